"""Whole runs of the command's front door on a made genome."""

import csv
import dataclasses
import json
import math
import os
import signal

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import load_model, open_checkpoint, save_huggingface, save_model
from genomamba.report import words
from genomamba.report.run_files import read_run
from genomamba.train import final
from genomamba.train.evaluate import Scored, Scorer
from genomamba.train.loop import pretrain
from genomamba.train.trainer import Trainer


def run(config):
    """Run, and return the exit code, the lines shown, and the evaluation."""
    from pathlib import Path

    lines = []
    code = pretrain(config, command="genomamba pretrain", emit=lines.append)
    path = Path(config.out) / "evaluation.json"
    return code, "\n".join(lines), json.loads(path.read_text()) if path.exists() else None


@pytest.fixture(scope="module")
def finished(tmp_path_factory, made_fasta):
    """Folder, output and evaluation of one finished causal run."""
    from genomamba.config import PretrainConfig

    out = tmp_path_factory.mktemp("finished") / "run"
    config = PretrainConfig(
        fasta=(str(made_fasta),), test=("two",), d_model=16, num_layers=1, d_state=4, context=64, batch_size=4,
        max_steps=150, threads=1, learning_rate=0.02, out=str(out),
    )  # fmt: skip
    code, shown, evaluation = run(config)
    assert code == 0
    return out, shown, evaluation


def test_learns_what_an_order_one_model_learns(finished):
    _, _, evaluation = finished
    orders = {row["order"]: row["test"] for row in evaluation["markov"]["orders"]}
    # The chain's steps are drawn with 0.1, 0.6, 0.2, 0.1: its entropy is known.
    entropy = -sum(p * math.log2(p) for p in (0.1, 0.6, 0.2, 0.1))
    assert orders[1] == pytest.approx(entropy, abs=0.02)
    assert evaluation["splits"]["test"]["bits_per_base"] == pytest.approx(entropy, abs=0.08)
    assert orders[0] > 1.95


def test_every_held_out_base_is_scored(finished):
    out, _, evaluation = finished
    assert evaluation["splits"]["test"]["bases"] == 6_000
    card = json.loads((out / "dataset.json").read_text())
    assert evaluation["splits"]["valid"]["bases"] == card["splits"]["valid"]["acgt"]


def test_the_plan_and_the_table_are_shown(finished):
    out, shown, _ = finished
    for part in ("causal, 1 layer, d_model 16", "--max-steps 150", "run folder", "Markov order", "bits per base"):
        assert part in shown
    assert shown.endswith(f"{words.verdict(read_run(out))}\nreport: {out / 'report.html'}")
    assert "held-out bases the model needs" in shown


def test_the_run_folder_is_complete(finished):
    out, _, evaluation = finished
    facts = json.loads((out / "run.json").read_text())
    assert facts["status"] == "finished"
    assert facts["steps"] == 150
    assert len(facts["inputs"][0]["sha256"]) == 64
    assert facts["bases"] == 150 * 4 * 64
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    with (out / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == [int(row["step"]) for row in table]
    assert {row["kind"] for row in rows} == {"train", "valid"}
    best = min((row for row in rows if row["kind"] == "valid"), key=lambda row: row["loss"])
    assert evaluation["checkpoint_step"] == best["step"]
    assert load_model(out).config.d_model == 16
    assert f"{evaluation['splits']['test']['bits_per_base']:.4f}" in (out / "README.md").read_text()


def test_its_config_gives_the_same_run_again(finished, tmp_path):
    import dataclasses

    from genomamba.config import PretrainConfig
    from genomamba.settings import from_yaml

    out, _, evaluation = finished
    config = from_yaml(PretrainConfig, (out / "config.yaml").read_text())
    _, _, again = run(dataclasses.replace(config, out=str(tmp_path / "again")))
    assert again["splits"] == evaluation["splits"]


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "masked"},
        {"objective": "masked", "strand": "equivariant"},
        {"objective": "masked", "strand": "forward"},
    ],
    ids=["random", "equivariant", "forward"],
)
def test_masked_models_are_named_as_such(make_config, changes):
    code, shown, evaluation = run(make_config(**changes))
    assert code == 0
    assert evaluation["objective"] == "masked"
    assert "bits per masked base" in shown
    assert "Markov" not in shown
    assert evaluation["splits"]["test"]["bases"] < 0.2 * 6_000


def test_any_file_trains_at_byte_level(make_config, tmp_path):
    text = tmp_path / "verse.txt"
    text.write_bytes("Wer reitet so spät durch Nacht und Wind? ".encode() * 400)
    config = make_config(fasta=(str(text),), alphabet="bytes", test=(), max_steps=60, d_model=16, learning_rate=0.02)
    code, shown, evaluation = run(config)
    assert code == 0
    assert "strand forward" in shown
    assert evaluation["splits"]["test"]["bits_per_base"] < 4.5
    with pytest.raises(ConfigError, match="--strand random needs a complement"):
        run(make_config(fasta=(str(text),), alphabet="bytes", test=(), strand="random", out=str(tmp_path / "other")))


def test_init_goes_on_from_given_weights(make_config, finished, tmp_path):
    out, _, evaluation = finished
    shape = {"d_model": None, "num_layers": None, "d_state": None}
    _, _, further = run(make_config(init=str(out), max_steps=1, learning_rate=1e-9, **shape))
    assert further["splits"]["test"]["bits_per_base"] == pytest.approx(
        evaluation["splits"]["test"]["bits_per_base"], abs=1e-3
    )
    assert "| started from | " + out.name in (tmp_path / "run/README.md").read_text()
    with pytest.raises(ConfigError, match="--init fixes the shape"):
        run(make_config(init=str(out), out=str(tmp_path / "other")))


def published(folder, **shape):
    """A folder with a network of a vocabulary of its own, as one that was published and converted would be."""
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4, **shape))
    folder.mkdir()
    save_model(folder, model, {})
    return str(folder)


SHAPE_OF_INIT = {"d_model": None, "num_layers": None, "d_state": None}


def test_init_keeps_the_vocabulary_of_the_weights(make_config, tmp_path):
    plant = "[PAD],[MASK],[UNK],a,c,g,t"
    init = published(tmp_path / "init", alphabet=plant, vocab_rows=8, direction="bidirectional", norm="layer")
    config = make_config(init=init, objective="masked", max_steps=3, **SHAPE_OF_INIT)
    code, _, evaluation = run(config)
    assert code == 0
    assert evaluation["splits"]["test"]["bits_per_base"] < 8
    assert open_checkpoint(config.out).config.alphabet == plant
    assert run(dataclasses.replace(config, resume=True, max_steps=5))[0] == 0


def test_init_reads_the_layout_of_others(make_config, tmp_path):
    model = load_model(published(tmp_path / "init"))
    (tmp_path / "theirs").mkdir()
    save_huggingface(tmp_path / "theirs", model)
    code, _, evaluation = run(make_config(init=str(tmp_path / "theirs"), max_steps=3, **SHAPE_OF_INIT))
    assert code == 0
    assert evaluation["splits"]["test"]["bits_per_base"] < 8


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        ({"alphabet": "[UNK],A,C,G,T"}, {}, r"the vocabulary \[UNK\],A,C,G,T has no \[BOS\]"),
        ({"alphabet": "bytes"}, {}, "reads bytes, the options ask for dna"),
        ({"alphabet": "tokens", "vocab_rows": 16}, {}, "takes token ids, not sequences"),
        ({"direction": "bidirectional"}, {}, "has direction bidirectional, the options ask for causal"),
        ({}, {"revision": "v1"}, "^revision v1 is of a name on the hub"),
        ({}, {"revision": "v1", "init": None, "d_model": 8}, "--revision is that of a hub name in --init"),
    ],
    ids=["no-bos", "bytes", "ids-alone", "direction", "revision-of-a-folder", "revision-of-nothing"],
)
def test_init_that_does_not_fit_is_refused(make_config, tmp_path, shape, changes, message):
    init = published(tmp_path / "init", **shape)
    with pytest.raises(ConfigError, match=message):
        run(make_config(**({"init": init} | SHAPE_OF_INIT | changes)))


def test_dry_run_writes_nothing(make_config, tmp_path):
    code, shown, _ = run(make_config(dry_run=True))
    assert code == 0
    assert "parameters" in shown
    assert not (tmp_path / "run").exists()


def test_nothing_is_overwritten_without_force(make_config, tmp_path):
    run(make_config(max_steps=2))
    before = (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(RunError, match=r"--resume goes on with it, --force replaces it"):
        run(make_config(max_steps=3))
    assert (tmp_path / "run" / "config.yaml").read_text() == before
    keep = tmp_path / "run" / "notes.txt"
    keep.write_text("mine")
    assert run(make_config(max_steps=3, force=True))[0] == 0
    assert keep.read_text() == "mine"
    assert "max_steps: 3" in (tmp_path / "run" / "config.yaml").read_text()


def test_a_folder_of_something_else_is_left_alone(make_config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="is not empty and holds no run"):
        run(make_config(force=True))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="is a file"):
        run(make_config(out=str(tmp_path / "file")))


def test_force_spares_the_files_of_something_else(make_config, tmp_path):
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    foreign = {"config.json": '{"model_type": "other"}', "model.safetensors": "x", "checkpoints/x.pt": "x"}
    for name, text in foreign.items():
        (folder / name).write_text(text)
    with pytest.raises(RunError, match="is not empty and holds no run"):
        run(make_config(force=True))
    assert {name: (folder / name).read_text() for name in foreign} == foreign


def test_force_keeps_the_old_run_where_the_new_one_cannot_start(make_config, tmp_path):
    run(make_config(max_steps=2))
    with pytest.raises(DataError):
        run(make_config(force=True, test=("absent",)))
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_a_run_does_not_go_on_with_another_genome(make_config, made_fasta, tmp_path):
    fasta = tmp_path / "copy.fa"
    fasta.write_text(made_fasta.read_text())
    run(make_config(fasta=(str(fasta),), max_steps=2))
    fasta.write_text(made_fasta.read_text().replace("ACG", "GCA"))
    with pytest.raises(RunError, match=r"copy\.fa: its content is not what .* was started on"):
        run(make_config(fasta=(str(fasta),), max_steps=4, resume=True))


def test_a_run_does_not_go_on_with_bases_parted_in_another_way(make_config, tmp_path):
    bed = tmp_path / "valid.bed"
    bed.write_text("one\t0\t1000\n")
    run(make_config(valid_bed=str(bed), max_steps=2))
    before = (tmp_path / "run" / "run.json").read_text()
    bed.write_text("one\t0\t1500\n")
    with pytest.raises(RunError, match=r"train had 11,000 bases in 1 stretches, and would now have 10,500 in 1, or"):
        run(make_config(valid_bed=str(bed), max_steps=4, resume=True))
    # As many bases elsewhere.
    bed.write_text("one\t5000\t6000\n")
    with pytest.raises(RunError, match="or others; bring back the BED files"):
        run(make_config(valid_bed=str(bed), max_steps=4, resume=True))
    assert (tmp_path / "run" / "run.json").read_text() == before


def test_a_run_does_not_go_on_with_other_weights_of_regions(make_config, tmp_path):
    bed = tmp_path / "regions.bed"
    bed.write_text("one\t0\t3000\t1\none\t3000\t6000\t5\n")
    run(make_config(regions_bed=str(bed), max_steps=2))
    bed.write_text("one\t0\t3000\t5\none\t3000\t6000\t1\n")
    with pytest.raises(RunError, match=r"regions.bed: its content is not what .* was started on"):
        run(make_config(regions_bed=str(bed), max_steps=4, resume=True))


def test_every_session_is_on_record(make_config, tmp_path):
    run(make_config(max_steps=2))
    started = json.loads((tmp_path / "run" / "run.json").read_text())["started"]
    run(make_config(max_steps=4, resume=True))
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["started"] == started
    assert len(facts["sessions"]) == 2
    assert facts["steps"] == 4


def test_nothing_held_out_is_said(make_config):
    code, shown, evaluation = run(make_config(test=(), valid_share=0.0, test_share=0.0, max_steps=2))
    assert code == 0
    assert "nothing is held out" in shown
    assert evaluation["splits"] == {}


def test_the_weights_that_validated_best_are_those_of_the_run(make_config, tmp_path, monkeypatch):
    # Of the validations at 7, 14 and 20 the second is the best; the last figures are of the final scoring.
    losses = iter([3.0, 1.0, 2.0, 1.0, 1.0])
    monkeypatch.setattr(Scorer, "__call__", lambda *_, **__: {"one": Scored(next(losses), 1)})
    _, _, evaluation = run(make_config(keep=3))
    assert evaluation["checkpoint_step"] == 14
    exported, best, last = (
        safetensors.torch.load_file(tmp_path / "run" / place / "model.safetensors")
        for place in (".", "checkpoints/step-00000014", "checkpoints/step-00000020")
    )
    assert torch.equal(exported["embedding.weight"], best["embedding.weight"])
    assert not torch.equal(exported["embedding.weight"], last["embedding.weight"])


def test_a_validation_that_is_not_finite_stops(make_config, monkeypatch):
    monkeypatch.setattr(Scorer, "__call__", lambda *_, **__: {"one": Scored(math.nan, 5)})
    with pytest.raises(RunError, match="step 7: validation loss nan; there is no good checkpoint"):
        run(make_config())


def test_the_checkpoint_whose_weights_gave_nan_is_set_aside(make_config, tmp_path):
    with pytest.raises(RunError, match="there is no good checkpoint; start again with a lower --learning-rate"):
        run(make_config(learning_rate=1e30, checkpoint_every=1, valid_every=20, warmup=0.0))
    names = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert names == ["failed-00000001"]
    assert (tmp_path / "run" / "report.html").exists()


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(make_config, tmp_path, monkeypatch):
    honest = safetensors.torch.save_file

    def full(tensors, path, *more, **options):
        if "step-00000014" in str(path) or steps == 14:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        honest(tensors, path, *more, **options)

    steps = 0
    saved = Trainer.checkpoint

    def checkpoint(self):
        nonlocal steps
        steps = self.progress.step
        saved(self)

    monkeypatch.setattr(Trainer, "checkpoint", checkpoint)
    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(RunError, match=r"step-00000014: cannot be written \(I/O error: No space left"):
        run(make_config(checkpoint_every=7))
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000007"]


def test_init_and_force_on_one_folder_is_refused(make_config, tmp_path):
    run(make_config(max_steps=2))
    shape = {"d_model": None, "num_layers": None, "d_state": None}
    with pytest.raises(ConfigError, match="--force would remove"):
        run(make_config(init=str(tmp_path / "run"), force=True, **shape))


def test_a_loss_that_is_not_finite_stops_and_names_step_samples_and_checkpoint(make_config, tmp_path, monkeypatch):
    honest = Trainer._step

    def step(self, batch):
        if self.progress.step == 8:
            with torch.no_grad():
                next(self.plan.model.parameters()).fill_(float("nan"))
        return honest(self, batch)

    monkeypatch.setattr(Trainer, "_step", step)
    with pytest.raises(
        RunError, match=r"step 9: loss nan.* on samples 16 to 17 \(one:.*last good checkpoint: .*step-00000007"
    ):
        run(make_config(checkpoint_every=7))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def test_resuming_a_finished_run_changes_nothing(make_config, tmp_path):
    _, _, first = run(make_config())
    rows = (tmp_path / "run" / "metrics.jsonl").read_text()
    code, _, again = run(make_config(resume=True))
    assert code == 0
    assert again == first
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == rows


def test_a_run_that_is_left_while_it_is_scored_is_trained(make_config, tmp_path, monkeypatch):
    def asked_to_leave(*_, before_stretch, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        before_stretch()

    with monkeypatch.context() as patched:
        patched.setattr(final, "markov_table", asked_to_leave)
        code, shown, _ = run(make_config(max_steps=2))
    assert code == 143
    assert "trained to the end, not evaluated" in shown
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "trained"
    assert "--resume scores it" in (tmp_path / "run" / "report.html").read_text()
    code, shown, _ = run(make_config(max_steps=2, resume=True))
    assert code == 0
    assert "trained to its limit; scoring" in shown
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


def test_resume_starts_a_run_where_there_is_none(make_config):
    assert run(make_config(resume=True, max_steps=2))[0] == 0
