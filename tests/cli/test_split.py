"""`genomamba split`: the table and the files, scores of the shards against those of the whole, and what is refused."""

import gzip

import numpy as np
import pytest

from genomamba.cli.main import main
from genomamba.score.bigwig import BigWigWriter

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
SCORED = ("--context", "64", "--horizon", "16", "--threads", "1", "--ref-mismatch", "skip-all")


@pytest.fixture
def calls(trained_on, tmp_path, monkeypatch):
    """A VCF on two contigs whose first records have a wrong REF, in a folder to work in; and the genome's path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cache").mkdir()
    text = (trained_on / "made.fa").read_text()
    contigs = {part.split("\n", 1)[0]: part.split("\n", 1)[1].replace("\n", "") for part in text.split(">")[1:]}
    rows = []
    for name, places in (("one", range(200, 1_000, 40)), ("three", range(200, 700, 50))):
        for number, pos in enumerate(places):
            ref = contigs[name][pos - 1].upper()
            alt = "ACGT"[("ACGT".index(ref) + 1) % 4]
            rows.append(f"{name}\t{pos}\t.\t{alt if number < 2 else ref}\t{ref if number < 2 else alt}\t.\t.\t.\n")
    (tmp_path / "calls.vcf").write_text(HEADER + "".join(rows))
    return trained_on


def test_shards_scored_apart_and_merged_are_the_whole_scored(calls, capsys):
    fasta = ("--fasta", str(calls / "made.fa"), "--cache-dir", "cache")
    assert main(["split", "calls.vcf", *fasta, "--records", "15", "--table", "shards.tsv", "--out", "shards"]) == 0
    assert capsys.readouterr().out == "calls.vcf: 30 records of 2 contigs in 3 shards\n"
    with open("shards.tsv") as file:
        assert file.read() == "shard\tcontigs\trecords\n1\tone\t10\n2\tone\t10\n3\tthree\t10\n"
    run = str(calls / "run")
    for number in (1, 2, 3):
        assert (
            main(["score", run, *fasta, *SCORED, "--vcf", f"shards/{number}.vcf.gz", "--out", f"{number}.vcf.gz"]) == 0
        )
    assert main(["score", run, *fasta, *SCORED, "--vcf", "calls.vcf", "--out", "whole.vcf.gz"]) == 0
    assert main(["merge", "1.vcf.gz", "2.vcf.gz", "3.vcf.gz", "--out", "merged.vcf.gz"]) == 0
    texts = []
    for name in ("merged", "whole"):
        with gzip.open(f"{name}.vcf.gz") as file:
            texts.append([line for line in file.read().decode().splitlines() if "Command=" not in line])
    assert texts[0] == texts[1]
    assert sum("GM_STATUS=REF_MISMATCH" in line for line in texts[0]) == 4


def test_skip_stops_where_many_records_do_not_match_and_skip_all_goes_on(calls, capsys):
    given = ["score", str(calls / "run"), "--fasta", str(calls / "made.fa"), "--vcf", "calls.vcf", "--dry-run"]
    assert main([*given, "--ref-mismatch", "skip"]) == 1
    assert "4 of 30 alleles: is this the right assembly?" in capsys.readouterr().err
    assert main([*given, "--ref-mismatch", "skip-all"]) == 0


REFUSED = {
    "no such file": (["no.vcf"], 1, "no.vcf"),
    "a stream": (["-"], 2, "it is read twice, so name a file"),
    "no records": (["calls.vcf", "--records", "0"], 2, "--records is 0; it must be above 0"),
    "no folder": (["calls.vcf", "--table", "no/shards.tsv"], 1, "there is no folder no"),
    "in the way": (["calls.vcf", "--out", "cache"], 1, "cache: exists; give --force"),
    "another genome": (
        ["calls.vcf", "--fasta", "other.fa"],
        1,
        "its records lie on 'one', 'three', and the FASTA has 'x'",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_split_is_one_line(calls, tmp_path, capsys, arguments, code, message):
    (tmp_path / "other.fa").write_text(">x\nACGT\n")
    assert main(["split", *arguments, "--cache-dir", "cache"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_bigwigs_are_merged_and_refused_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, count in (("a", 5), ("b", 3)):
        with BigWigWriter(tmp_path / f"{name}.bw", {name: 9}) as file:
            file.add(name, 2, np.full(count, -2, np.float32))
    assert main(["merge", "a.bw", "b.bw", "--out", "c.bw"]) == 0
    assert capsys.readouterr().err == "c.bw: 8 bases\n"
    for words, message in (
        (["a.bw", "--out", "c.bw"], "c.bw: exists; give --force"),
        (["a.bw", "--out", "a.bw"], "--out is a.bw, one of the shards"),
        (["a.bw", "--out", "d.bw", "-O", "z"], "-O is for VCF, and --out is d.bw"),
        (["a.bw", "--out", "d.bw", "--labels", "CLASS"], "--labels is for scores, and --out is d.bw"),
    ):
        assert main(["merge", *words]) in (1, 2)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(message)
