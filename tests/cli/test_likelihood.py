"""`genomamba likelihood` on a model that was trained: tracks, tables, regions, and what an interrupted one leaves."""

import csv
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.cli.likelihood import parser
from genomamba.cli.main import main
from genomamba.model.checkpoint import load_model, save_model
from genomamba.score import session

DNA = get_alphabet("dna")
LENGTHS = {"one": 3_005, "two": 500, "tiny": 1, "none": 40, "three": 2_000}


@pytest.fixture
def likelihood(trained_on, tmp_path, monkeypatch, capsys):
    """Run the command in the model's folder; return the file it wrote."""
    monkeypatch.chdir(trained_on)

    def run(name, *options, code=0):
        out = tmp_path / name
        given = ["likelihood", "run", "--threads", "1", "--out", str(out), *map(str, options)]
        given += [] if "--fasta" in options else ["--fasta", "made.fa"]
        assert main(given) == code
        return out

    run.shown, run.folder = capsys.readouterr, trained_on
    return run


def read_bedgraph(path):
    """Values by contig, NaN where there is none."""
    found = {name: np.full(length, math.nan) for name, length in LENGTHS.items()}
    for line in path.read_text().splitlines():
        contig, start, end, value = line.split("\t")
        assert int(end) == int(start) + 1
        assert np.isnan(found[contig][int(start)])
        found[contig][int(start)] = float(value)
    return found


def read_fasta(path):
    records = re.findall(r"^>(\S+)\n([^>]*)", path.read_text(), re.M)
    return {name: text.replace("\n", "").upper() for name, text in records}


def read_tsv(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def one_pass(model, text):
    tokens = torch.from_numpy(DNA.encode(text))[None]
    with torch.no_grad():
        logp = model(torch.cat([torch.full((1, 1), DNA.bos), tokens[:, :-1]], dim=1)).log_softmax(-1)[0]
    bits = logp.gather(1, tokens[0][:, None])[:, 0].numpy() / math.log(2)
    return np.where(DNA.is_target_token[tokens[0].numpy()], bits, np.nan)


def test_a_track_is_what_the_plain_model_says(likelihood, trained_on):
    out = likelihood("track.bedgraph")
    shown = likelihood.shown().out
    found = read_bedgraph(out)
    model = load_model(trained_on / "run").eval()
    for name, text in read_fasta(trained_on / "made.fa").items():
        np.testing.assert_allclose(found[name], one_pass(model, text), atol=1e-4)
    values = np.concatenate(list(found.values()))
    scored = values[~np.isnan(values)]
    # The contig of N alone, and the five N inside of another.
    assert scored.size == sum(LENGTHS.values()) - 40 - 5
    assert shown == f"{out}: {scored.size:,} bases scored, {-scored.mean():.4f} bits per base\n"
    assert -scored.mean() < 1.9
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("chunk", [100, 1_000, 3_004])
def test_no_number_depends_on_the_chunk(likelihood, chunk):
    whole, cut = (read_bedgraph(likelihood(f"{c}.bedgraph", "--chunk", c)) for c in (16_384, chunk))
    for name in LENGTHS:
        np.testing.assert_allclose(cut[name], whole[name], atol=1.01e-4)


def test_every_format_holds_the_same_numbers(likelihood):
    pq, reader = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyBigWig")
    text = read_bedgraph(likelihood("t.bedgraph"))
    rows = read_tsv(likelihood("t.tsv"))
    table = pq.read_table(likelihood("t.parquet")).to_pylist()
    bigwig = reader.open(str(likelihood("t.bw")))
    assert bigwig.chroms() == LENGTHS
    assert [(row["contig"], row["start"], row["base"]) for row in table] == [
        (row["contig"], int(row["start"]), row["base"]) for row in rows
    ]
    bases = read_fasta(likelihood.folder / "made.fa")
    for row, exact in zip(rows, table, strict=True):
        contig, start = exact["contig"], exact["start"]
        assert bases[contig][start] == exact["base"]
        assert row["log2_likelihood"] == f"{exact['log2_likelihood']:z.4f}"
        assert text[contig][start] == float(row["log2_likelihood"])
        text[contig][start] = math.nan
    assert all(np.isnan(left).all() for left in text.values())
    for name, length in LENGTHS.items():
        values = np.float32(bigwig.values(name, 0, length))
        exact = np.full(length, np.nan, np.float32)
        for row in table:
            if row["contig"] == name:
                exact[row["start"]] = row["log2_likelihood"]
        np.testing.assert_array_equal(values, exact)


def test_the_other_strand_is_the_track_of_the_reverse_complement(likelihood, trained_on, tmp_path):
    swapped = str.maketrans("ACGT", "TGCA")
    other = tmp_path / "other.fa"
    records = read_fasta(trained_on / "made.fa").items()
    other.write_text("".join(f">{name}\n{text[::-1].translate(swapped)}\n" for name, text in records))
    strands = {"p": "+", "m": "-", "b": "both"}
    tracks = (likelihood(f"{name}.bedgraph", "--strand", strand) for name, strand in strands.items())
    plus, minus, both = map(read_bedgraph, tracks)
    assert main(["likelihood", "run", "--fasta", str(other), "--out", str(tmp_path / "o.bedgraph")]) == 0
    turned = read_bedgraph(tmp_path / "o.bedgraph")
    for name in LENGTHS:
        np.testing.assert_allclose(minus[name], turned[name][::-1], atol=1.01e-4)
        np.testing.assert_allclose(both[name], (plus[name] + minus[name]) / 2, atol=1.01e-4)
        if name == "one":
            assert np.nanmax(np.abs(plus[name] - minus[name])) > 0.01


def test_a_row_a_record_holds_the_sums_of_the_track(likelihood):
    for strand in ("+", "both"):
        track = read_bedgraph(likelihood(f"{strand}.bedgraph", "--strand", strand))
        rows = read_tsv(likelihood(f"{strand}.tsv", "--per-record", "--strand", strand, "--chunk", 2_000))
        assert [row["contig"] for row in rows] == list(LENGTHS)
        for row in rows:
            values = track[row["contig"]]
            scored = int((~np.isnan(values)).sum())
            assert (int(row["length"]), int(row["scored"])) == (values.size, scored)
            assert float(row["log2_likelihood"]) == pytest.approx(np.nansum(values), abs=1e-4 * (scored + 1))
            if scored:
                assert float(row["bits_per_base"]) == pytest.approx(-np.nanmean(values), abs=2e-4)
            else:
                assert row["bits_per_base"] == ""


def test_a_region_with_all_that_lies_before_it_is_a_cut_of_the_track(likelihood):
    track = read_bedgraph(likelihood("t.bedgraph"))["one"]
    for name, lead in (("lead", 1_000), ("alone", 0)):
        found = read_bedgraph(likelihood(f"{name}.bedgraph", "--region", "one:1,001-1,100", "--lead", lead))["one"]
        assert np.flatnonzero(~np.isnan(found)).tolist() == list(range(1_000, 1_100))
        near = np.abs(found[1_000:1_100] - track[1_000:1_100]) <= 1.01e-4
        assert near.all() if lead else not near[0]
    (row,) = read_tsv(likelihood("r.tsv", "--region", "one:1,001-1,100", "--per-record"))
    assert (row["contig"], row["length"], row["scored"]) == ("one:1001-1100", "100", "100")


@pytest.mark.parametrize(("region", "length"), [("three", 2_000), ("three:1,991", 10), ("chrtwo:500-500", 1)])
def test_regions_are_those_of_samtools(likelihood, region, length):
    (row,) = read_tsv(likelihood("r.tsv", "--region", region, "--per-record"))
    assert int(row["length"]) == length


def test_a_region_may_lie_on_a_contig_that_is_else_left_out(likelihood, tmp_path):
    (tmp_path / "two.fa").write_text(">chr1\nACGTACGT\n>chrUn_x\nTTGACA\n")
    options = ["--fasta", tmp_path / "two.fa", "--per-record"]
    assert [row["contig"] for row in read_tsv(likelihood("all.tsv", *options))] == ["chr1"]
    (row,) = read_tsv(likelihood("one.tsv", *options, "--region", "chrUn_x:2-5"))
    assert (row["contig"], row["scored"]) == ("chrUn_x:2-5", "4")


def test_context_forgets_what_lies_further_back(likelihood, trained_on):
    found = read_bedgraph(likelihood("c.bedgraph", "--context", "64", "--contigs", "three"))["three"]
    model, text = load_model(trained_on / "run").eval(), read_fasta(trained_on / "made.fa")["three"]
    np.testing.assert_allclose(found[:64], one_pass(model, text[:64]), atol=1e-4)
    np.testing.assert_allclose(found[672:704], one_pass(model, text[640:704])[32:], atol=1e-4)


REFUSED = {
    "absent model": (["absent", "--out", "t.tsv"], 1, "absent: "),
    "masked model": (["masked", "--fasta", "made.fa", "--out", "t.tsv"], 2, "masked: a masked model, which predicts"),
    "no output": (["run"], 2, "no file to write; name one by --out"),
    "other format": (["run", "--out", "t.csv"], 2, "--out is t.csv; its name must end with .bedgraph"),
    "table as track": (["run", "--per-record", "--out", "t.bw"], 2, "--out is t.bw; --per-record writes a table"),
    "file in the way": (["run", "--out", "made.fa.bedgraph"], 1, "made.fa.bedgraph: exists; give --force"),
    "folder in the way": (["run", "--out", "a.bw", "--force"], 1, "a.bw: is a folder; name a file by --out"),
    "no folder": (["run", "--out", "no/t.bw"], 1, "no/t.bw: there is no folder no"),
    "no such contig": (["run", "--fasta", "made.fa", "--region", "nine:1-5", "--out", "t.bw"], 1, "no sequence 'nine'"),
    "past the end": (["run", "--fasta", "made.fa", "--region", "two:1-501", "--out", "t.bw"], 1, "two has 500 bases"),
    "begins past the end": (["run", "--fasta", "made.fa", "--region", "two:501", "--out", "t.bw"], 1, "two has 500"),
    "no region": (["run", "--fasta", "made.fa", "--region", "two:9-3", "--out", "t.bw"], 2, "'two:9-3'"),
    "lead alone": (["run", "--lead", "9", "--out", "t.bw"], 2, "--lead reads bases before a region"),
    "chunk": (["run", "--chunk", "0", "--out", "t.bw"], 2, "--chunk is 0; it must be above 0"),
    "strand": (["run", "--strand", "x", "--out", "t.bw"], 2, "--strand is 'x'; it must be one of +, -, both"),
    "device": (["run", "--device", "abacus", "--out", "t.bw"], 2, "--device is 'abacus'"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(masked_on, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(masked_on)
    (masked_on / "made.fa.bedgraph").write_text("")
    (masked_on / "a.bw").mkdir(exist_ok=True)
    before = sorted(masked_on.iterdir())
    assert main(["likelihood", *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(masked_on.iterdir()) == before


def test_every_option_has_help():
    shown = " ".join(parser().format_help().split())
    assert "changes no number beyond rounding" in shown
    assert "-2 is a guess among four" in shown


def interrupt_after(monkeypatch, parts, error):
    """Have the command end with an error once so many parts are done, and a little of the next one."""
    whole = session.log_likelihoods

    def until(model, readings, **options):
        until.parts += 1
        for number, scores in enumerate(whole(model, readings, **options)):
            if until.parts > parts and number:
                raise error
            yield scores

    until.parts = 0
    monkeypatch.setattr(session, "log_likelihoods", until)
    return lambda: monkeypatch.setattr(session, "log_likelihoods", whole)


@pytest.mark.parametrize("strand", ["+", "both"])
@pytest.mark.parametrize("name", ["t.bedgraph", "t.bw", "t.parquet", "t.tsv.gz", "table.tsv"])
def test_interrupted_and_gone_on_with_it_is_the_same_file(likelihood, monkeypatch, name, strand):
    options = ["--chunk", 400, "--strand", strand, *(["--per-record"] if name == "table.tsv" else [])]
    unbroken = likelihood(f"unbroken-{name}", *options)
    likelihood.shown()
    resume = interrupt_after(monkeypatch, 1 if strand == "+" else 3, KeyboardInterrupt())
    out = likelihood(name, *options, code=130)
    folder = out.with_name(f"{name}.partial")
    done = 1
    assert f"{folder}: {done} of 5 sequences are done; the same command goes on from there\n" in likelihood.shown().err
    assert not out.exists()
    resume()
    computed = []
    monkeypatch.setattr(session.Reading, "tokens", counting(session.Reading.tokens, computed))
    likelihood(name, *options)
    assert f"{folder}: going on, {done} of 5 sequences are done\n" in likelihood.shown().err
    assert "one" not in computed
    assert out.read_bytes() == unbroken.read_bytes()
    assert not folder.exists()


def counting(method, contigs):
    def counted(reading, start, end):
        contigs.append(reading.interval.contig)
        return method(reading, start, end)

    return counted


def test_what_is_left_is_refused_with_other_settings_and_replaced_by_force(likelihood, monkeypatch):
    resume = interrupt_after(monkeypatch, 1, KeyboardInterrupt())
    likelihood("t.tsv", "--chunk", 400, code=130)
    resume()
    likelihood.shown()
    likelihood("t.tsv", "--chunk", 400, "--strand", "-", code=1)
    (line,) = likelihood.shown().err.splitlines()
    assert "with strand + where this one has -; give that again to go on, --force to begin anew" in line
    out = likelihood("t.tsv", "--chunk", 400, "--strand", "-", "--force")
    assert out.read_bytes() == likelihood("other.tsv", "--chunk", 400, "--strand", "-").read_bytes()


def test_each_thing_that_numbers_depend_on_is_told_apart(likelihood, monkeypatch, trained_on, tmp_path):
    begun = {"--chunk": 400, "--region": "one", "--lead": 10}
    resume = interrupt_after(monkeypatch, 0, KeyboardInterrupt())
    likelihood("t.tsv", *(word for pair in begun.items() for word in pair), code=130)
    resume()
    (tmp_path / "other.fa").write_text((trained_on / "made.fa").read_text().replace("ACG", "ACT"))
    changes = [
        ("chunk", {"--chunk": 500}), ("lead", {"--lead": 20}), ("sequences", {"--region": "one:2-3,000"}),
        ("context", {"--context": 64}), ("strand", {"--strand": "both"}), ("fasta", {"--fasta": tmp_path / "other.fa"}),
        ("per_record", {"--per-record": "--per-record"}),
    ]  # fmt: skip
    likelihood.shown()
    for key, change in changes:
        likelihood("t.tsv", *dict.fromkeys(word for pair in (begun | change).items() for word in pair), code=1)
        assert f"an interrupted command left it, with {key} " in likelihood.shown().err
    model = load_model(trained_on / "run")
    with torch.no_grad():
        model.norm_f.weight[0] += 1e-6
    save_model(tmp_path, model, {})
    given = ["--fasta", "made.fa", "--out", tmp_path / "t.tsv", *(word for pair in begun.items() for word in pair)]
    assert main(["likelihood", str(tmp_path), *map(str, given)]) == 1
    assert "an interrupted command left it, with model " in likelihood.shown().err


@pytest.mark.thorough
def test_a_killed_process_is_gone_on_with(trained_on, tmp_path):
    def command(name):
        return [
            sys.executable, "-m", "genomamba", "likelihood", "run", "--fasta", "made.fa", "--threads", "1",
            "--chunk", "20", "--out", str(tmp_path / name),
        ]  # fmt: skip

    def finish(name):
        subprocess.run(command(name), cwd=trained_on, check=True, capture_output=True)
        return (tmp_path / name).read_bytes()

    process = subprocess.Popen(command("killed.bw"), cwd=trained_on, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done = tmp_path / "killed.bw.partial/done.jsonl"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and not (done.exists() and done.stat().st_size):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed.bw").exists()
    assert finish("killed.bw") == finish("unbroken.bw")


def peak_mib(pid):
    """Read the peak of a running process; what wait4 tells begins with the peak of its parent. None at its end."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("suffix", ["bedgraph.gz", "bw"])
def test_memory_does_not_grow_with_the_genome(trained_on, tmp_path, suffix):
    peaks = {}
    for length in (1_000_000, 10_000_000):
        text = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), length).tobytes()
        (tmp_path / "made.fa").write_bytes(b">c\n" + text + b"\n")
        command = [
            sys.executable, "-m", "genomamba", "likelihood", str(trained_on / "run"), "--fasta", "made.fa",
            "--threads", "1", "--force", "--out", f"made.{suffix}",
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peaks[length] = peak_mib(process.pid) or peaks[length]
            time.sleep(0.05)
        assert process.returncode == 0
    assert peaks[1_000_000] > 100
    assert peaks[10_000_000] <= peaks[1_000_000] + 50
