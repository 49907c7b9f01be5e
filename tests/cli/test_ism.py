"""`genomamba ism` on models that were trained: table and picture, the same numbers as `score`, and what is refused."""

import csv
import gzip
import io
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import genomamba
from genomamba.cli.main import main
from genomamba.coordinates import Interval
from genomamba.score.variants import mutations_session as session

OPTIONS = ("--context", "64", "--horizon", "16")
COLUMNS = ["chrom", "pos", "ref", "alt", "kind", "site", "llr", "llr_lc", "status"]
GFF = """\
##gff-version 3
one\tme\tgene\t111\t160\t.\t-\t.\tID=g;Name=abc
one\tme\tmRNA\t111\t160\t.\t-\t.\tID=t;Parent=g
one\tme\tCDS\t111\t120\t.\t-\t1\tID=c;Parent=t
one\tme\tCDS\t141\t160\t.\t-\t0\tID=c;Parent=t
"""


@pytest.fixture(scope="session")
def contigs(masked_on):
    """Letters of the genome that the models were trained on, by contig."""
    records = re.findall(r"^>(\S+)\n([^>]*)", (masked_on / "made.fa").read_text(), re.M)
    return {name: text.replace("\n", "") for name, text in records}


@pytest.fixture
def ism(masked_on, tmp_path, monkeypatch, capsys):
    """Run the command in the models' folder; return the table that it wrote."""
    monkeypatch.chdir(masked_on)

    def run(region, *options, name="ism.tsv", model="run", code=0):
        out = tmp_path / name
        given = ["ism", model, "--fasta", "made.fa", "--region", region, "--threads", "1", "--out", str(out)]
        assert main([*given, *map(str, options)]) == code
        return out

    run.shown = capsys.readouterr
    return run


def rows_of(path):
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def as_vcf(rows, path):
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    lines = [f"{row['chrom']}\t{row['pos']}\t.\t{row['ref']}\t{row['alt']}\t.\t.\t.\n" for row in rows]
    path.write_text(header + "".join(lines))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("run", OPTIONS),
        ("run", ("--context", "contig", "--horizon", "16", "--strand", "-", "--batch-size", "3")),
        ("masked", ("--context", "64", "--scores", "wt_marginal", "pseudo_llr", "--flank", "4")),
    ],
    ids=["causal", "whole contig", "masked"],
)
def test_the_numbers_are_those_of_score(ism, tmp_path, model, options):
    rows = rows_of(ism("one:61-100", *options, "--deletions", "1,3", model=model))
    as_vcf(rows, tmp_path / "same.vcf")
    scored = tmp_path / "scored.tsv"
    given = ["score", model, "--fasta", "made.fa", "--vcf", str(tmp_path / "same.vcf"), "--out", str(scored)]
    assert main([*given, "--threads", "1", *options]) == 0
    names = [name for name in rows[0] if name not in ("kind", "site")]
    # Five N behind the seventieth base have no rows; what holds one is not deleted.
    assert len(rows) == 35 * 3 + 35 + (8 + 23)
    assert [{name: row[name] for name in names} for row in rows] == [
        {name: row[name] for name in names} for row in rows_of(scored)
    ]
    assert sum(row["status"] == "OK" for row in rows) > 150


@pytest.mark.parametrize("name", ["ism.tsv.gz", "ism.parquet"])
def test_every_kind_of_file_holds_the_same(ism, name):
    texts = rows_of(ism("three:11-30", *OPTIONS))
    out = ism("three:11-30", *OPTIONS, "--force", name=name)
    if name.endswith("gz"):
        assert rows_of(out) == texts
        return
    table = pd.read_parquet(out)
    assert list(table.columns) == COLUMNS
    assert [str(table[one].dtype) for one in ("pos", "site", "llr")] == ["int64", "int64", "float64"]
    assert [f"{value + 0.0:.6g}" for value in table["llr"]] == [row["llr"] for row in texts]
    assert (table["llr"].astype(np.float32) == table["llr"]).all()


def test_rows_are_of_the_region_and_of_upper_case_letters(ism, contigs):
    assert contigs["one"][90].islower()
    rows = rows_of(ism("one:91-92", *OPTIONS))
    first, second = contigs["one"][90:92].upper()
    before = contigs["one"][89].upper()
    assert [(row["chrom"], row["pos"], row["site"], row["ref"], row["kind"]) for row in rows] == [
        ("one", "90", "91", before + first, "deletion"), *[("one", "91", "91", first, "snv")] * 3,
        ("one", "91", "92", first + second, "deletion"), *[("one", "92", "92", second, "snv")] * 3,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("region", "rows", "sites"),
    [
        ("three:1-2", 8, {"1", "2"}),
        ("three:1,999-2,000", 8, {"1999", "2000"}),
        ("two", 2_000, {str(i) for i in range(1, 501)}),
        ("tiny", 3, {"1"}),
        ("none", 0, set()),
        ("one:70-76", 8, {"70", "76"}),
    ],
    ids=["start", "end", "whole contig", "one base", "all N", "around N"],
)
def test_edges(ism, region, rows, sites):
    found = rows_of(ism(region, *OPTIONS))
    assert len(found) == rows
    assert {row["site"] for row in found} == sites
    assert {row["status"] for row in found} <= {"OK"}
    assert f"{rows:,} of {rows:,} variants scored" in ism.shown().err


def test_a_picture_with_genes_lies_beside_the_table(ism, tmp_path):
    (tmp_path / "genes.gff").write_text(GFF)
    out = ism("one:101-160", *OPTIONS, "--gff", tmp_path / "genes.gff")
    svg = out.with_suffix(".svg").read_text()
    texts = re.findall(r"<text [^>]*>([^<]*)</text>", svg)
    assert {"one:101-160", "60 bases, run", "abc", "start", "position on one", "del", "change: llr_lc, nats"} <= {
        *texts
    }
    (cells,) = re.findall(r'<g id="cells[^"]*">(.*?)</g>', svg, re.S)
    assert cells.count("<path ") == 60 * 4
    assert len(re.findall(r'<g id="coding', svg)) == 2
    assert "strand -" in svg
    assert "strand +" not in svg
    ism("one:101-160", *OPTIONS, "--gff", tmp_path / "genes.gff", "--force")
    assert out.with_suffix(".svg").read_text() == svg
    assert f"{out} and {out.with_suffix('.svg')}: 240 of 240 variants scored" in ism.shown().err


def test_the_picture_has_the_numbers_of_the_table(ism, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(session, "draw_mutagenesis", lambda scan, kind: drawn.append((scan, kind)) or b"picture")
    options = ("--deletions", "2", "1", "--plot", tmp_path / "x.PNG", "--plot-score", "llr")
    out = ism("one:66-79", *OPTIONS, *options)
    ((scan, kind),) = drawn
    assert kind == "png"
    assert (tmp_path / "x.PNG").read_bytes() == b"picture"
    assert (scan.score, scan.unit, scan.is_ratio, list(scan.deletions)) == ("llr", "nats", True, [1, 2])
    found = {}
    for row in rows_of(out):
        if row["kind"] == "snv":
            value = scan.substitutions[int(row["site"]) - 66, "ACGT".index(row["alt"])]
        else:
            value = scan.deletions[len(row["ref"]) - 1][int(row["site"]) - 66]
        found[row["site"], row["ref"], row["alt"]] = value
        assert float(row["llr"]) == pytest.approx(value, rel=1e-5, abs=1e-6)
    # Nothing else is known.
    arrays = [scan.substitutions, *scan.deletions.values()]
    assert sum(np.isfinite(array).sum() for array in arrays) == len(found) == 9 * 4 + 7


def test_a_picture_can_be_left_out_and_a_large_one_is(ism, tmp_path, monkeypatch):
    out = ism("one:101-110", *OPTIONS, "--plot", "none")
    assert [path.name for path in tmp_path.iterdir()] == ["ism.tsv"]
    monkeypatch.setattr(session, "MOST_DRAWN", 5)
    ism("one:101-110", *OPTIONS, "--force")
    assert "no picture of more than 5 bases is made without --plot FILE.svg" in ism.shown().err
    assert not out.with_suffix(".svg").exists()
    ism("one:101-110", *OPTIONS, "--force", "--plot", out.with_suffix(".svg"))
    assert out.with_suffix(".svg").exists()


def test_python_gives_the_same(ism, masked_on):
    rows = rows_of(ism("one:65-80", *OPTIONS))
    asked = {"context": 64, "horizon": 16}
    table = genomamba.mutagenesis(masked_on / "run", masked_on / "made.fa", "one:65-80", **asked)
    assert list(table.columns) == COLUMNS
    assert [f"{np.float32(value) + 0.0:.6g}" for value in table["llr"]] == [row["llr"] for row in rows]
    for name in ("chrom", "pos", "ref", "alt", "kind", "site", "status"):
        assert table[name].astype(str).tolist() == [row[name] for row in rows]
    model = genomamba.from_pretrained(masked_on / "run")
    again = genomamba.mutagenesis(model, [masked_on / "made.fa"], Interval("one", 64, 80), deletions=(1,), **asked)
    pd.testing.assert_frame_equal(again, table)
    alone = genomamba.mutagenesis(model, masked_on / "made.fa", "one:65-80", deletions=0, **asked)
    pd.testing.assert_frame_equal(alone, table[table["kind"] == "snv"].reset_index(drop=True))
    scores = genomamba.score_variants(model, masked_on / "made.fa", table[["chrom", "pos", "ref", "alt"]], **asked)
    assert (scores["llr"] == table["llr"]).all()


def test_a_masked_model_changes_bases_alone_where_its_score_has_no_more(ism):
    rows = rows_of(ism("one:101-105", "--context", "64", model="masked"))
    assert len(rows) == 15
    assert list(rows[0]) == ["chrom", "pos", "ref", "alt", "kind", "site", "wt_marginal", "status"]


@pytest.mark.thorough
def test_standard_output_has_the_table_alone(ism, masked_on):
    expected = ism("one:101-105", *OPTIONS).read_bytes()
    command = [sys.executable, "-m", "genomamba", "ism", "run", "--fasta", "made.fa", "--region", "one:101-105"]
    done = subprocess.run(
        [*command, *OPTIONS, "--threads", "1", "--out", "-"], cwd=masked_on, capture_output=True, check=True
    )
    assert done.stdout == expected


@pytest.mark.parametrize("model", ["run", "masked"])
def test_a_dry_run_tells_and_writes_nothing(ism, tmp_path, model):
    ism("one:1-100", "--context", "64", "--deletions", "1,2", "--dry-run", "--scores", *{
        "run": ["llr"], "masked": ["masked_marginal", "distance"]}[model], model=model)  # fmt: skip
    shown = ism.shown().err
    assert "one:1-100: 100 bases, 285 substitutions, 188 deletions (of 1, 2 bases)\nabout " in shown
    assert re.search(r"about [\d.]+ (s|min \d+ s)\n$", shown.replace(" on this machine", ""))
    assert list(tmp_path.iterdir()) == []


def test_stopped_in_the_middle_nothing_is_left(ism, tmp_path, monkeypatch):
    add = session.Progress.add

    def stopped(self, count):
        add(self, count)
        raise KeyboardInterrupt

    monkeypatch.setattr(session.Progress, "add", stopped)
    ism("one:101-160", *OPTIONS, code=130)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_fails_leaves_no_table(ism, tmp_path, monkeypatch):
    def fail(scan, kind):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "draw_mutagenesis", fail)
    ism("one:101-110", *OPTIONS, code=130)
    assert list(tmp_path.iterdir()) == []


REFUSED = {
    "past the end": (("three:1,990-2,001",), 1, "three:1,990-2,001: three has 2,000 bases; stay within it"),
    "no contig": (("four:1-9",), 1, "no sequence 'four'"),
    "no region": (("one:9-3",), 2, "one:9-3"),
    "ending": (("one:1-9", "--plot", "x.pdf"), 2, "--plot is x.pdf; its name must end with .svg or .png"),
    "folder": (("one:1-9", "--plot", "no/x.svg"), 1, "no/x.svg: there is no folder no; make it"),
    "column": (("one:1-9", "--plot-score", "lr"), 2, "--plot-score is 'lr'; it must be one of llr, llr_lc"),
    "deletions": (("one:1-9", "--deletions", "x"), 2, "--deletions is 'x'; it must be a whole number"),
    "long deletion": (("one:1-9", "--deletions", "8"), 2, "--deletions has 8; a deletion has 1 to 7 bases"),
    "score": (("one:1-9", "--scores", "wt_marginal"), 2, "--scores has 'wt_marginal'; run is a causal model"),
    "context": (("one:1-9", "--context", "x"), 2, "--context is 'x'; it must be a number of bases"),
    "threads": (("one:1-9", "--threads", "0"), 2, "--threads is 0; it must be above 0"),
    "gff": (("one:1-9", "--gff", "made.fa"), 1, "made.fa:1: 1 column, expected 9"),
    "no gff": (("one:1-9", "--gff", "no.gff"), 1, "no.gff: no such file"),
}


@pytest.mark.parametrize(("given", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_told_in_one_line(ism, tmp_path, given, code, message):
    ism(given[0], *OPTIONS, *given[1:], code=code)
    shown = ism.shown().err
    assert message in shown
    assert shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["--fasta", "--region", "--out"])
def test_what_is_needed_is_told(masked_on, monkeypatch, capsys, missing):
    monkeypatch.chdir(masked_on)
    given = {"--fasta": "made.fa", "--region": "one:1-9", "--out": "never.tsv"}
    given.pop(missing)
    assert main(["ism", "run", *(word for pair in given.items() for word in pair)]) == 2
    assert f"by {missing}" in capsys.readouterr().err
    assert not (masked_on / "never.tsv").exists()


def test_a_file_that_is_there_is_kept(ism):
    out = ism("one:101-103", *OPTIONS)
    before = out.read_bytes()
    ism("one:104-106", *OPTIONS, code=1)
    assert "ism.tsv: exists; give --force" in ism.shown().err
    out.rename(out.with_name("other.tsv"))
    ism("one:104-106", *OPTIONS, code=1)
    assert "ism.svg: exists; give --force" in ism.shown().err
    ism("one:101-103", *OPTIONS, "--force")
    assert out.read_bytes() == before
