"""`genomamba evaluate` on models that were trained: the bases it takes, what it prints and writes, what it refuses."""

import csv
import json
import math
import re
import shutil

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.cli.main import main
from genomamba.model.checkpoint import load_model
from genomamba.score import contexts

DNA = get_alphabet("dna")


@pytest.fixture
def evaluate(trained_on, tmp_path, monkeypatch, capsys):
    """Run the command in the models' folder; return what it printed."""
    monkeypatch.chdir(trained_on)

    def run(model, *options, code=0):
        given = ["evaluate", model, "--threads", "1", "--block-size", "16", *map(str, options)]
        assert main(given) == code
        shown = capsys.readouterr()
        return shown.out if code == 0 else shown.err

    run.out = tmp_path / "out"
    return run


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def letters_of(path):
    records = re.findall(r"^>(\S+)\n([^>]*)", path.read_text(), re.M)
    return {name: text.replace("\n", "").upper() for name, text in records}


def test_full_context_is_the_likelihood_of_the_whole_contig(evaluate, trained_on):
    """A block behind the first 1,984 bases of a contig, read with all of them, costs what one pass over it says."""
    shown = evaluate("run", "--fasta", "made.fa", "--region", "three:1,985-2,000", "--contexts", "64,1984",
                     "--out", evaluate.out)  # fmt: skip
    tokens = torch.from_numpy(DNA.encode(letters_of(trained_on / "made.fa")["three"]))
    model = load_model(trained_on / "run").eval()
    costs = {}
    for context in (64, 1_984):
        read = tokens[1_984 - context :]
        with torch.no_grad():
            logits = model(torch.cat([torch.tensor([DNA.bos]), read[:-1]])[None])[0].log_softmax(-1)
        costs[context] = -logits[-16:].gather(1, read[-16:, None]).sum().item() / math.log(2)
    rows = rows_of(evaluate.out / "contexts.tsv")
    assert [int(row["context"]) for row in rows] == [64, 1_984]
    for row in rows:
        assert float(row["bits_per_base"]) == pytest.approx(costs[int(row["context"])] / 16, abs=2e-6)
        assert row["low"] == row["change_high"] == ""
    first, *table = shown.splitlines()
    assert first == "1 block of 16 bases, out of 16 bases in three:1,985-2,000 that have 1,984 bases of context"
    assert table[0].split() == [
        "context",
        "bits",
        "per",
        "base",
        "95",
        "%",
        "interval",
        "against",
        "64",
        "95",
        "%",
        "interval",
    ]
    assert table[1].split() == ["64", f"{costs[64] / 16:.4f}", "-"]
    assert table[-2] == "run was trained with 128 bases of context"


def test_a_run_is_scored_on_what_it_held_out(evaluate, trained_on):
    shown = evaluate("run", "--split", "valid", "--contexts", "16,64", "--out", evaluate.out)
    facts = json.loads((evaluate.out / "contexts.json").read_text())
    assert facts["scored"] == "the validation part of run"
    assert (facts["objective"], facts["trained_context"]) == ("next_token", 128)
    held_out = json.loads((trained_on / "run/dataset.json").read_text())["splits"]["valid"]["bases"]
    assert facts["bases"] == held_out
    assert (
        f"out of {facts['usable_bases']:,} bases in the validation part of run that have 64 bases of context" in shown
    )
    blocks = rows_of(evaluate.out / "blocks.tsv")
    assert len(blocks) == facts["blocks"] > 10
    trained = load_blocks_of_training(trained_on)
    for block in blocks:
        assert block["scored"] == "16"
        assert trained[block["contig"]][int(block["start"]) : int(block["end"])].sum() == 0
    rows = rows_of(evaluate.out / "contexts.tsv")
    for row in rows:
        bits = sum(float(block[f"bits_{row['context']}"]) for block in blocks)
        assert float(row["bits_per_base"]) == pytest.approx(bits / (16 * len(blocks)), abs=1e-5)
        assert float(row["low"]) < float(row["bits_per_base"]) < float(row["high"])
        assert float(row["bits_per_base"]) < 1.9
    assert facts["contexts"][1]["change"] == pytest.approx(float(rows[1]["change"]), abs=1e-6)
    again = evaluate("run/checkpoints/step-00000030", "--split", "valid", "--contexts", "16,64")
    assert again.splitlines()[1:4] == shown.splitlines()[1:4]


def load_blocks_of_training(folder):
    from genomamba.config import PretrainConfig
    from genomamba.settings import from_yaml
    from genomamba.train.plan import open_data

    _, split = open_data(from_yaml(PretrainConfig, (folder / "run/config.yaml").read_text()), DNA)
    trained = {name: np.zeros(4_000, int) for name in ("one", "three")}
    for interval in split.train:
        trained[interval.contig][interval.start : interval.end] = 1
    return trained


def test_the_files_of_a_run_are_known_by_their_content(evaluate, trained_on, tmp_path):
    shutil.copy(trained_on / "made.fa", tmp_path / "moved.fa")
    shown = evaluate("run", "--fasta", tmp_path / "moved.fa", "--split", "valid", "--contexts", "16")
    assert "the validation part of run" in shown
    (tmp_path / "other.fa").write_text(">new\n" + "ACGTTGCA" * 40 + "\n")
    shown = evaluate("run", "--fasta", tmp_path / "other.fa", "--contexts", "16")
    assert shown.startswith(
        "19 blocks of 16 bases, out of 304 bases in all contigs that have 16 bases of context; 16 have"
    )
    both = evaluate("run", "--fasta", tmp_path / "other.fa", tmp_path / "moved.fa", "--contexts", "16", code=2)
    assert both.startswith("--fasta holds some of the files that run was trained on, not just these")


def test_a_bed_names_what_is_scored(evaluate, tmp_path):
    (tmp_path / "some.bed").write_text("one\t1000\t1032\nthree\t0\t40\n")
    shown = evaluate("run", "--bed", tmp_path / "some.bed", "--contexts", "16,24", "--out", evaluate.out)
    assert "3 blocks of 16 bases, out of 48 bases in " in shown
    assert "; 24 have fewer bases before them on their contig" in shown
    starts = [(block["contig"], int(block["start"])) for block in rows_of(evaluate.out / "blocks.tsv")]
    assert starts == [("one", 1_000), ("one", 1_016), ("three", 24)]


def test_stretches_may_lie_on_a_contig_that_is_else_left_out(evaluate, tmp_path):
    (tmp_path / "two.fa").write_text(">chr1\n" + "ACGT" * 10 + "\n>chrUn_x\n" + "TTGACA" * 10 + "\n")
    (tmp_path / "some.bed").write_text("chrUn_x\t16\t48\n")
    options = ("--fasta", tmp_path / "two.fa", "--contexts", 16)
    assert evaluate("run", *options).startswith("1 block of 16 bases, out of 24 bases in all contigs")
    for where in (("--bed", tmp_path / "some.bed"), ("--region", "chrUn_x:17-48")):
        assert evaluate("run", *options, *where).startswith("2 blocks of 16 bases, out of 32 bases in ")


def test_a_masked_model_is_scored_on_masked_bases(evaluate, masked_on):
    options = ("--fasta", "made.fa", "--region", "one:1-3,000", "--blocks", 20, "--contexts", "16,100")
    shown = evaluate("masked", *options, "--out", evaluate.out)
    assert "bits per masked base" in shown
    scored = [int(block["scored"]) for block in rows_of(evaluate.out / "blocks.tsv")]
    assert scored == [2] * 20
    cut = evaluate("masked", *options, "--chunk", 50, "--spill", evaluate.out)
    assert cut.splitlines()[:4] == shown.splitlines()[:4]
    assert json.loads((evaluate.out / "contexts.json").read_text())["objective"] == "masked"
    assert "none: cannot hold the residual streams" in evaluate("masked", *options, "--spill", "none", code=1)


def test_every_file_is_written_and_replaced_by_force_alone(evaluate):
    options = (
        "run",
        "--fasta",
        "made.fa",
        "--region",
        "one",
        "--contexts",
        "16,32",
        "--blocks",
        5,
        "--out",
        evaluate.out,
    )
    assert evaluate(*options).splitlines()[-1] == (
        f"{evaluate.out}: contexts.tsv, blocks.tsv, contexts.json, contexts.svg, contexts.png"
    )
    first = {path.name: path.read_bytes() for path in evaluate.out.iterdir()}
    assert first["contexts.svg"].startswith(b"<svg ")
    assert b"xmlns=" in first["contexts.svg"]
    assert first["contexts.png"].startswith(b"\x89PNG")
    (evaluate.out / "mine.txt").write_text("kept")
    assert "holds contexts.tsv already; give --force to replace it" in evaluate(*options, code=1)
    evaluate(*options, "--force", "--chunk", 16_384)
    assert {path.name: path.read_bytes() for path in evaluate.out.iterdir()} == first | {"mine.txt": b"kept"}


def interrupt_after(monkeypatch, passes):
    """Stop the command in the pass after so many."""
    counted = []

    def stopping(name, whole):
        def run(*given, **options):
            counted.append(name)
            if len(counted) > passes:
                raise KeyboardInterrupt
            return whole(*given, **options)

        return run

    for name in ("log_likelihoods", "stream"):
        monkeypatch.setattr(contexts, name, stopping(name, getattr(contexts, name)))


@pytest.mark.parametrize("model", ["run", "masked"])
def test_an_interrupted_command_goes_on_where_it_was(evaluate, masked_on, monkeypatch, capsys, tmp_path, model):
    more = 0 if model == "masked" else 16
    # Parts of several blocks, of two, and of one.
    parts = sum(math.ceil(6 / (2 * (64 + more) // (context + more))) for context in (16, 64, 128))
    options = ("--fasta", "made.fa", "--region", "one:1-3,000", "--contexts", "16,64,128", "--blocks", 6,
               "--chunk", 2 * (64 + more))  # fmt: skip
    unbroken = evaluate(model, *options, "--out", tmp_path / "unbroken")
    with monkeypatch.context() as patched:
        interrupt_after(patched, 4)
        assert main(["evaluate", model, "--threads", "1", "--block-size", "16", *map(str, options),
                     "--out", str(evaluate.out)]) == 130  # fmt: skip
    folder = evaluate.out / "contexts.partial"
    told = capsys.readouterr().err
    assert re.search(rf"^{folder}: [\d,]+ of 1,[\d,]+ bases are read; the same command goes on from there$", told, re.M)
    assert [path.name for path in evaluate.out.iterdir()] == ["contexts.partial"]
    changes = [("seed", "1"), ("contexts", "256"), ("chunk", "99"), ("blocks", "5"), ("region", "one:1-2,900")]
    for name, text in changes:
        refused = evaluate(model, *options, f"--{name}", text, "--out", evaluate.out, code=1)
        key = {"blocks": "sequences", "region": "sequences"}.get(name, name)
        assert refused.startswith(f"{folder}: an interrupted command left it, with {key} ")
    assert len((folder / "done.jsonl").read_text().splitlines()) == 4
    with monkeypatch.context() as patched:
        interrupt_after(patched, parts - 4)
        shown = evaluate(model, *options, "--out", evaluate.out)
    assert shown.replace(str(evaluate.out), "") == unbroken.replace(str(tmp_path / "unbroken"), "")
    for path in (tmp_path / "unbroken").iterdir():
        assert (evaluate.out / path.name).read_bytes() == path.read_bytes()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("model", "options", "message", "code"),
    [
        ("run", ["--contexts", "8,64"], "--contexts has 8; it must be --block-size, 16, or more", 2),
        ("run", ["--blocks", "0"], "--blocks is 0; it must be above 0", 2),
        ("run", ["--region", "one", "--bed", "x.bed"], "--region and --bed both say what to score", 2),
        ("run", ["--region", "one", "--split", "test"], "--split is a part that a run held out; leave it out", 2),
        ("run", ["--contexts", "16"], "run held nothing out for test; name bases by --region or --bed", 2),
        ("run", ["--contigs", "one"], "--contigs and --chrom-map are those of run", 2),
        ("run", ["--spill", "."], "--spill is for masked models", 2),
        (
            "run",
            ["--split", "valid", "--contexts", "5000"],
            "no block of 16 bases has 5,000 bases of context before",
            1,
        ),
        ("made.fa", [], "made.fa", 1),
        ("run", ["--fasta", "made.fa", "--region", "four"], "four", 1),
        ("run", ["--out", "made.fa"], "made.fa: is a file; give a folder by --out", 1),
        ("run", ["--out", "made.fa/x"], "made.fa/x: cannot be made (Not a directory); give another folder by --out", 1),
        ("run", ["--bed", "none.bed"], "none.bed", 1),
    ],
)
def test_what_cannot_be_scored_is_refused_in_a_line(evaluate, model, options, message, code):
    shown = evaluate(model, *options, code=code)
    assert message in shown
    assert shown.count("\n") == 1


def test_a_run_whose_genome_has_changed_is_refused(evaluate, trained_on, tmp_path):
    shutil.copytree(trained_on / "run", tmp_path / "run")
    config = tmp_path / "run/config.yaml"
    (tmp_path / "made.fa").write_text((trained_on / "made.fa").read_text().replace("ACG", "ACT"))
    config.write_text(config.read_text().replace(str(trained_on), str(tmp_path)))
    shown = evaluate(str(tmp_path / "run"), "--split", "valid", code=1)
    assert "made.fa: its content is not what " in shown
    config.unlink()
    assert "config.yaml: cannot be read" in evaluate(str(tmp_path / "run"), code=1)


def test_a_damaged_training_context_is_told_before_anything_is_scored(evaluate, trained_on, tmp_path):
    shutil.copy(trained_on / "run/model.safetensors", tmp_path)
    values = json.loads((trained_on / "run/config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"training": {"context": "long"}}))
    shown = evaluate(str(tmp_path), code=1)
    assert shown == f"{tmp_path}: its training context is 'long' in config.json; it must be a whole number\n"


def test_a_split_needs_a_run(evaluate, trained_on, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "bare").mkdir(exist_ok=True)
        shutil.copy(trained_on / "run" / name, tmp_path / "bare" / name)
    assert "is no run; give --region or --bed" in evaluate(str(tmp_path / "bare"), "--split", "test", code=2)
    shown = evaluate(str(tmp_path / "bare"), "--contexts", "16", "--blocks", 3)
    assert shown.startswith("3 blocks of 16 bases, out of ")
    assert "bases in all contigs that have 16 bases of context; 48 have" in shown


def test_a_run_whose_file_of_classes_is_gone_is_evaluated_without(evaluate, trained_on, tmp_path, caplog):
    run = tmp_path / "run"
    shutil.copytree(trained_on / "run", run)
    settings = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(settings.replace("classes: null", f"classes: {tmp_path / 'gone.bed'}"))
    assert (run / "config.yaml").read_text() != settings
    evaluate(str(run), "--split", "valid", "--contexts", "16", "--blocks", 3)
    (told,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert told == f"{tmp_path / 'gone.bed'}: is not there, so nothing is told by class; give it anew by --classes FILE"


def test_classes_are_told_against_context(evaluate, tmp_path):
    (tmp_path / "classes.bed").write_text("one\t0\t2000\texon\nthree\t100\t2000\trepeat\nnowhere\t0\t9\texon\n")
    options = ("--split", "valid", "--contexts", "16,64", "--classes", tmp_path / "classes.bed")
    shown = evaluate("run", *options, "--out", evaluate.out)
    rows = rows_of(evaluate.out / "classes.tsv")
    facts = json.loads((evaluate.out / "contexts.json").read_text())
    assert [row["class"] for row in facts["classes"]] == [row["class"] for row in rows]
    assert {row["class"] for row in rows} <= {"exon", "repeat", "other"}
    whole = {row["context"]: float(row["bits_per_base"]) for row in rows_of(evaluate.out / "contexts.tsv")}
    for context, bits in whole.items():
        own = [row for row in rows if row["context"] == context]
        scored = sum(int(row["scored"]) for row in own)
        assert scored == 16 * facts["blocks"]
        assert sum(float(row["bits_per_base"]) * int(row["scored"]) for row in own) / scored == pytest.approx(bits)
    (line,) = (line for line in shown.splitlines() if line.split()[0] == rows[0]["class"])
    assert line.split()[1].replace(",", "") == rows[0]["scored"]
    # A result without classes leaves no table of another one.
    evaluate("run", *options[:-2], "--out", evaluate.out, "--force")
    assert not (evaluate.out / "classes.tsv").exists()
