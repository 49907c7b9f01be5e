"""`genomamba score` on models that were trained: files in and out, parts, interruptions, and what is refused."""

import csv
import gzip
import io
import math
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.cli.main import main
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.model.checkpoint import load_model
from genomamba.score.variants import session, steps
from genomamba.score.variants.brute_force import score_variant
from genomamba.score.variants.causal import CausalSettings
from genomamba.score.variants.marginal import MarginalSettings, score_marginal

HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=one,length=3005>\n##contig=<ID=three,length=2000>\n"
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\n'
)
OPTIONS = ("--context", "64", "--horizon", "16")


@pytest.fixture(scope="session")
def contigs(masked_on):
    """Bases of the genome that the models were trained on, by contig."""
    records = re.findall(r"^>(\S+)\n([^>]*)", (masked_on / "made.fa").read_text(), re.M)
    return {name: text.replace("\n", "").upper() for name, text in records}


@pytest.fixture
def make_vcf(tmp_path, contigs):
    """Write a VCF of random records of all kinds on two contigs; every tenth has two alleles."""

    def make(count=40, name="calls.vcf", seed=0, mismatches=0):
        generator = np.random.default_rng(seed)
        lines = []
        for contig in ("one", "three"):
            for i, pos in enumerate(sorted(generator.integers(150, 1_900, count // 2).tolist())):
                ref = contigs[contig][pos - 1 : pos - 1 + int(generator.choice([1, 1, 2, 3]))]
                alts = {"".join(generator.choice(list("ACGT"), int(generator.choice([1, 1, 2, 4]))))}
                if i % 10 == 0:
                    alts.add("<DEL>")
                alts.discard(ref)
                if len(lines) < mismatches:
                    ref, alts = {"A": "C", "C": "G", "G": "T", "T": "A"}[ref[0]], {"<INS>"}
                    alts = {contigs[contig][pos - 1]}
                alt = ",".join(sorted(alts)) or "."
                lines.append(f"{contig}\t{pos}\trs{i}\t{ref}\t{alt}\t9.5\tPASS\tDP={i}\tGT\t0/1\n")
        (tmp_path / name).write_text(HEADER + "".join(lines))
        return tmp_path / name

    return make


@pytest.fixture
def score(masked_on, tmp_path, monkeypatch, capsys):
    """Run the command in the models' folder; return the file it wrote."""
    monkeypatch.chdir(masked_on)

    def run(vcf, name, *options, model="run", code=0):
        out = tmp_path / name
        given = ["score", model, "--fasta", "made.fa", "--vcf", str(vcf), "--threads", "1", "--out", str(out)]
        assert main([*given, *map(str, options)]) == code
        return out

    run.shown = capsys.readouterr
    return run


def records_of(path):
    """Rows of a VCF, split at tabs."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def tags_of(row):
    """Our tags of a record, a list of texts each."""
    fields = dict(field.partition("=")[::2] for field in row[7].split(";"))
    return {name: value.split(",") for name, value in fields.items() if name.startswith("GM_")}


def alleles_of(rows, contigs):
    for row in rows:
        for i, alt in enumerate(row[4].split(",")):
            yield (
                Variant(row[0], int(row[1]) - 1, row[3], alt),
                {name: values[i] for name, values in tags_of(row).items()},
            )


def test_a_vcf_gets_the_numbers_of_brute_force_and_keeps_its_bytes(score, make_vcf, contigs, masked_on):
    vcf = make_vcf()
    out = score(vcf, "scored.vcf", *OPTIONS)
    given, rows = records_of(vcf), records_of(out)
    assert [[*row[:7], *row[8:]] for row in rows] == [[*row[:7], *row[8:]] for row in given]
    assert [row[7].split(";GM_")[0] for row in rows] == [row[7] for row in given]
    model = load_model("run").eval()
    genome = Genome.open(["made.fa"], get_alphabet("dna"), contigs=("*",), progress=False)
    settings, scored = CausalSettings(context=64, horizon=16), 0
    for variant, tags in alleles_of(rows, contigs):
        if tags["GM_STATUS"] != "OK":
            assert variant.alt in ("<DEL>", ".")
            assert tags == {"GM_STATUS": "SYMBOLIC", "GM_LLR": ".", "GM_LLR_LC": "."}
            continue
        llr, corrected = score_variant(model, genome, variant.contig, variant, settings)
        assert float(tags["GM_LLR"]) == pytest.approx(llr, abs=1e-3)
        assert float(tags["GM_LLR_LC"]) == pytest.approx(corrected, abs=1e-3)
        scored += 1
    assert scored > 30
    shown = score.shown().err
    assert shown.startswith("run: llr, llr_lc; context 64, horizon 16, both strands\n")
    assert f"{out}: {scored} of {len(list(alleles_of(rows, contigs)))} alleles scored" in shown


def test_a_masked_model_gives_what_its_function_gives(score, make_vcf, contigs):
    scores = ("wt_marginal", "masked_marginal", "pseudo_llr")
    out = score(make_vcf(12), "scored.vcf", "--context", "64", "--scores", *scores, model="masked")
    model = load_model("masked").eval()
    genome = Genome.open(["made.fa"], get_alphabet("dna"), contigs=("*",), progress=False)
    compared = 0
    for variant, tags in alleles_of(records_of(out), contigs):
        if tags["GM_STATUS"] == "OK":
            (found,) = score_marginal(
                model, genome, variant.contig, [variant], MarginalSettings(context=64, scores=scores)
            )
            for name, value in found.items():
                text = tags[f"GM_{name.upper()}"]
                assert math.isnan(value) == (text == ".")
                assert text == "." or float(text) == pytest.approx(value, rel=1e-5, abs=1e-7)
                compared += text != "."
    assert compared > 15


@pytest.mark.parametrize("name", ["scored.vcf.gz", "scored.tsv", "scored.tsv.gz"])
def test_every_kind_of_file_holds_the_same(score, make_vcf, contigs, name):
    vcf = make_vcf(20)
    expected = [tags["GM_LLR"] for _, tags in alleles_of(records_of(score(vcf, "plain.vcf", *OPTIONS)), contigs)]
    out = score(vcf, name, *OPTIONS)
    if "vcf" in name:
        assert [tags["GM_LLR"] for _, tags in alleles_of(records_of(out), contigs)] == expected
        assert out.with_name(f"{name}.tbi").exists()
        return
    text = gzip.decompress(out.read_bytes()).decode() if name.endswith("gz") else out.read_text()
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    assert [row["llr"].replace("NA", ".") for row in rows] == expected
    assert list(rows[0]) == ["chrom", "pos", "id", "ref", "alt", "llr", "llr_lc", "status"]


def test_parts_put_together_are_the_whole(score, make_vcf):
    vcf = make_vcf()
    whole = score(vcf, "whole.vcf", *OPTIONS).read_text()
    parts = [score(vcf, f"part{i}.vcf", *OPTIONS, "--shard", f"{i}/3").read_text() for i in (1, 2, 3)]
    lines = [line for part in parts for line in part.splitlines() if not line.startswith("#")]
    assert lines == [line for line in whole.splitlines() if not line.startswith("#")]
    assert all(len(part.splitlines()) > 10 for part in parts)


def test_a_region_and_a_bed_take_their_records_alone(score, make_vcf, tmp_path):
    vcf = make_vcf()
    whole = records_of(score(vcf, "whole.vcf", *OPTIONS))
    inside = [row for row in whole if row[0] == "three" and int(row[1]) + len(row[3]) > 1_000 and int(row[1]) <= 1_500]
    assert 0 < len(inside) < len(whole)
    assert records_of(score(vcf, "region.vcf", *OPTIONS, "--region", "three:1,000-1,500")) == inside
    (tmp_path / "some.bed").write_text("three\t999\t1200\nthree\t1200\t1500\n")
    assert records_of(score(vcf, "bed.vcf", *OPTIONS, "--regions-bed", tmp_path / "some.bed")) == inside


def test_an_interrupted_command_goes_on_to_the_same_bytes(score, make_vcf, monkeypatch):
    vcf = make_vcf()
    monkeypatch.setattr(steps, "PART", 8)
    unbroken = records_of(score(vcf, "unbroken.vcf", *OPTIONS))
    finish, done = session.Partial.finish, []

    def stopped(self, part, sums):
        finish(self, part, sums)
        done.append(part)
        if len(done) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(session.Partial, "finish", stopped)
    out = score(vcf, "stopped.vcf", *OPTIONS, code=130)
    assert not out.exists()
    assert "24 of" in score.shown().err
    score(vcf, "stopped.vcf", *OPTIONS, code=1)
    assert "stopped.vcf.partial: an interrupted command left it; --resume goes on from there" in score.shown().err
    score(vcf, "stopped.vcf", *OPTIONS, "--resume", "--horizon", "20", code=1)
    assert "with horizon 16 where this one has 20" in score.shown().err
    assert records_of(score(vcf, "stopped.vcf", *OPTIONS, "--resume")) == unbroken
    assert done == sorted(done)
    assert done[:3] == [8, 16, 24]
    assert not out.with_name("stopped.vcf.partial").exists()


def test_what_is_scored_when_a_command_is_interrupted_is_kept(score, make_vcf, monkeypatch):
    vcf = make_vcf()
    unbroken = records_of(score(vcf, "unbroken.vcf", *OPTIONS))
    scored, seen = steps._scored, []

    def stopped(*given, **options):
        for one in scored(*given, **options):
            yield one
            seen.append(one)
            if len(seen) == 11:
                raise KeyboardInterrupt

    monkeypatch.setattr(steps, "_scored", stopped)
    score(vcf, "stopped.vcf", *OPTIONS, code=130)
    assert "stopped.vcf.partial: 11 of" in score.shown().err
    again = score(vcf, "stopped.vcf", *OPTIONS, "--resume")
    assert "going on, 11 of" in score.shown().err
    assert records_of(again) == unbroken
    assert len(seen) == len({id(one) for one in seen}) > 11


def test_what_is_done_is_kept_every_half_minute(score, make_vcf, monkeypatch):
    monkeypatch.setattr(steps, "KEPT_EVERY_S", 0.0)
    finish, done = session.Partial.finish, []
    monkeypatch.setattr(session.Partial, "finish", lambda self, *given: (done.append(given[0]), finish(self, *given)))
    score(make_vcf(), "scored.vcf", *OPTIONS)
    assert done == [*range(1, len(done) + 1)]
    assert len(done) > 30


@pytest.mark.slow
def test_killed_at_any_time_the_end_is_the_same(score, make_vcf, masked_on):
    vcf = make_vcf(2_000)
    unbroken = records_of(score(vcf, "unbroken.vcf", *OPTIONS))
    command = [
        sys.executable, "-m", "genomamba", "score", "run", "--fasta", "made.fa", "--vcf", str(vcf), "--threads", "1",
        "--out", str(vcf.with_name("killed.vcf")), *OPTIONS,
    ]  # fmt: skip
    partial = vcf.with_name("killed.vcf.partial")
    for wait_s in (3.0, 4.0, 5.0):
        process = subprocess.Popen(command + ["--resume"] * partial.exists(), cwd=masked_on, stderr=subprocess.DEVNULL)
        time.sleep(wait_s)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command + ["--resume"] * partial.exists(), cwd=masked_on, check=True)
    assert records_of(vcf.with_name("killed.vcf")) == unbroken


def test_another_assembly_is_told_by_its_bases(score, make_vcf, contigs):
    vcf = make_vcf(mismatches=5)
    out = score(vcf, "scored.vcf", *OPTIONS, code=1)
    shown = score.shown().err
    assert re.search(r"calls\.vcf:6: REF is '[ACGT]', and the FASTA has '[ACGT]' at one:\d+", shown)
    assert "so it is for 5 of" in shown
    assert "is this the right assembly?" in shown
    assert not out.exists()
    assert not out.with_name("scored.vcf.partial").exists()
    score(vcf, "scored.vcf", *OPTIONS, "--ref-mismatch", "error", code=1)
    assert "--ref-mismatch skip-all leaves such records unscored" in score.shown().err
    score(vcf, "skipped.vcf", *OPTIONS, "--ref-mismatch", "skip-all")
    skipped = [tags for _, tags in alleles_of(records_of(out.with_name("skipped.vcf")), contigs)]
    assert sum(tags["GM_STATUS"] == "REF_MISMATCH" and tags["GM_LLR"] == "." for tags in skipped) == 5
    score(vcf, "scored.vcf", *OPTIONS, "--ref-mismatch", "keep")
    kept = [tags for _, tags in alleles_of(records_of(out), contigs) if tags["GM_STATUS"] == "REF_MISMATCH"]
    assert len(kept) == 5
    assert all(math.isfinite(float(tags["GM_LLR"])) for tags in kept)


def test_a_few_mismatches_are_skipped_and_told(score, make_vcf, contigs, tmp_path):
    vcf = make_vcf(400, mismatches=2)
    out = score(vcf, "scored.vcf", *OPTIONS, "--region", "one:150-700", "--warnings", tmp_path / "w.tsv", code=1)
    assert "is this the right assembly?" in score.shown().err
    out = score(vcf, "scored.vcf", *OPTIONS, "--warnings", tmp_path / "w.tsv")
    found = [tags for _, tags in alleles_of(records_of(out), contigs) if tags["GM_STATUS"] == "REF_MISMATCH"]
    assert [tags["GM_LLR"] for tags in found] == [".", "."]
    table = list(csv.reader((tmp_path / "w.tsv").open(), delimiter="\t"))
    assert table[0] == ["line", "code", "text"]
    assert [row[:2] for row in table[1:3]] == [["6", "REF_MISMATCH"], ["7", "REF_MISMATCH"]]
    assert re.fullmatch(r"one:\d+ [ACGT]>[ACGT]: REF is not what the FASTA has there", table[1][2])
    unscored = sum(tags["GM_STATUS"] != "OK" for _, tags in alleles_of(records_of(out), contigs))
    assert len(table) - 1 == unscored


@pytest.mark.thorough
def test_standard_input_and_output_hold_the_same(score, make_vcf, masked_on):
    vcf = make_vcf(10)
    expected = records_of(score(vcf, "file.vcf", *OPTIONS))
    command = [sys.executable, "-m", "genomamba", "score", "run", "--fasta", "made.fa", "--vcf", "-", "--out", "-"]
    done = subprocess.run(
        [*command, *OPTIONS, "--threads", "1"], cwd=masked_on, input=vcf.read_bytes(), capture_output=True, check=True
    )
    assert [line.split("\t") for line in done.stdout.decode().splitlines() if line[0] != "#"] == expected


def test_a_dry_run_tells_and_writes_nothing(score, make_vcf, tmp_path):
    vcf = make_vcf()
    out = score(vcf, "scored.vcf", *OPTIONS, "--dry-run")
    assert re.search(
        r"calls\.vcf: 40 records, \d+ alleles \(.*\d+ snv.*\); not scored: \d+ SYMBOLIC", score.shown().err
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls.vcf"]
    assert not out.exists()


def test_a_contig_that_is_not_there_and_no_record_at_all(score, tmp_path, contigs):
    (tmp_path / "other.vcf").write_text(HEADER + "chrQ\t5\t.\tA\tC\t.\t.\t.\tGT\t0/1\n")
    assert not score(tmp_path / "other.vcf", "scored.vcf", *OPTIONS, code=1).exists()
    assert "other.vcf: none of its contigs (chrQ) is in the FASTA; is this the right genome?" in score.shown().err
    (row,) = records_of(score(tmp_path / "other.vcf", "scored.vcf", *OPTIONS, "--ref-mismatch", "skip-all"))
    assert tags_of(row) == {"GM_STATUS": ["NO_CONTIG"], "GM_LLR": ["."], "GM_LLR_LC": ["."]}
    (tmp_path / "none.vcf").write_text(HEADER)
    out = score(tmp_path / "none.vcf", "none.out.vcf", *OPTIONS)
    assert records_of(out) == []
    assert "#CHROM" in out.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scores", "wt_marginal"), "--scores has 'wt_marginal'; run is a causal model, which has llr"),
        (("--shard", "4/3"), "--shard is '4/3'; it must be as 3/16: the third of sixteen"),
        (("--context", "some"), "--context is 'some'; it must be a number of bases, such as 8192, or contig"),
        (("--horizon", "1"), "--horizon is 1; it must be a whole number, 2 or more"),
        (("--resume", "--force"), "--resume goes on and --force begins anew; give one of them"),
        (("--resume",), "scored.vcf.partial: nothing to go on with; leave out --resume"),
        (("--region", "nine"), "'nine'"),
        (("--warnings", "-"), "--warnings is -, a stream; name a file"),
        (("--report", "/dev/stderr"), "--report is /dev/stderr, a stream; name a file"),
        (("-O", "z"), "-O z writes .vcf.gz, but --out is"),
        (("--region", "one", "--regions-bed", "x.bed"), "--region and --regions-bed both say what to take"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_one_line(score, make_vcf, options, message):
    vcf = make_vcf(4)
    out = vcf.with_name("scored.vcf")
    assert main(["score", "run", "--fasta", "made.fa", "--vcf", str(vcf), "--out", str(out), *options]) in (1, 2)
    shown = score.shown().err
    assert message in shown
    assert len(shown.strip().splitlines()) == 1
    assert sorted(path.name for path in vcf.parent.iterdir()) == ["calls.vcf"]


def test_an_output_that_is_there_stays(score, make_vcf):
    vcf = make_vcf(4)
    vcf.with_name("scored.vcf").write_text("mine")
    out = score(vcf, "scored.vcf", *OPTIONS, code=1)
    assert "exists; give --force to replace it" in score.shown().err
    assert out.read_text() == "mine"
    score(vcf, "scored.vcf", *OPTIONS, "--force")
    assert len(records_of(out)) == 4


@pytest.mark.parametrize("name", ["vcf", "vcf.gz", "tsv"])
def test_merge_puts_shards_together(score, make_vcf, tmp_path, name):
    vcf = make_vcf()
    whole = score(vcf, f"whole.{name}", *OPTIONS)
    parts = [score(vcf, f"part{i}.{name}", *OPTIONS, "--shard", f"{i}/3") for i in (1, 2, 3)]
    out = tmp_path / f"merged.{name}"
    assert main(["merge", *map(str, parts), "--out", str(out)]) == 0
    if name == "tsv":
        assert out.read_bytes() == whole.read_bytes()
    else:
        assert records_of(out) == records_of(whole)
        text = gzip.decompress(out.read_bytes()).decode() if name.endswith("gz") else out.read_text()
        # The same however many shards there were.
        assert re.findall("^##genomambaCommand=.*", text, re.M) == [f"##genomambaCommand=genomamba merge --out {out}"]
        assert "genomamba score" not in text
    assert main(["merge", *map(str, parts), "--out", str(out)]) == 1
    assert "exists; give --force to replace it" in score.shown().err
    assert main(["merge", *map(str, parts[::-1]), "--out", str(out), "--force"]) == 1
    shown = score.shown().err
    if name == "tsv":
        assert re.search(rf"part[12]\.{name}:\d+: .* give the files in their order, each once", shown)
    else:
        assert "the first of shards that come as 3/3, 2/3, 1/3; give 1/3 to 3/3, each once" in shown
        assert main(["merge", str(parts[0]), str(parts[2]), "--out", str(out), "--force"]) == 1
        assert f"{parts[2]}: the last of 2 shards, and 2/3 is not among them; give all" in score.shown().err


def test_a_file_that_is_read_is_not_written_over(score, make_vcf):
    vcf = make_vcf(4)
    before = vcf.read_bytes()
    score(vcf, vcf.name, *OPTIONS, "--force", code=2)
    assert f"--out is {vcf}, which is read; give another name" in score.shown().err
    score(vcf, "scored.vcf", *OPTIONS, "--force", "--warnings", vcf, code=2)
    assert vcf.read_bytes() == before


def test_bcf_needs_its_contigs_declared_before_anything_is_scored(score, make_vcf, monkeypatch):
    vcf = make_vcf(4)
    vcf.write_text(vcf.read_text().replace("##contig=<ID=three,length=2000>\n", ""))
    monkeypatch.setattr(session, "score_alleles", None)
    out = score(vcf, "scored.bcf", *OPTIONS, code=1)
    assert "calls.vcf: its header has no ##contig line for three, which BCF needs" in score.shown().err
    assert not out.with_name("scored.bcf.partial").exists()


def test_merge_needs_a_name_that_is_not_a_shard(score, make_vcf):
    part = score(make_vcf(4), "part.vcf", *OPTIONS)
    before = part.read_bytes()
    assert main(["merge", str(part)]) == 2
    assert main(["merge", "-", str(part), "--out", str(part.with_name("merged.vcf"))]) == 2
    assert main(["merge", str(part), "--out", str(part), "--force"]) == 2
    assert "one of the shards; give another name" in score.shown().err
    assert main(["merge", str(part), "--report", "-"]) == 2
    assert "--report is -, a stream; name a file" in score.shown().err
    assert main(["merge", str(part), "--report", "no/page.html"]) == 1
    assert "no/page.html: there is no folder no; make it, or give another name" in score.shown().err
    assert part.read_bytes() == before
