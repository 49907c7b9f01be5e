"""Several processes are one run: the same gradients, the same losses, one end, and any number goes on from it."""

import dataclasses
import json
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from genomamba.model.context_parallel import LostContactError, contact
from genomamba.settings import to_yaml
from genomamba.train.distributed import BUCKET, Ranks, _buckets
from genomamba.train.evaluate import Scorer
from genomamba.train.resume import checkpoints
from processes import finish, start

WORKER = Path(__file__).parents[1] / "gradients_of_ranks.py"


def assert_ranks_give_the_gradients_of_one_process(processes, *layouts):
    first, *others = finish(start([str(WORKER), *layouts], processes))
    assert first[0] == 0, first[2]
    assert all(code == 0 for code, _, _ in others), others
    found = json.loads(first[1])
    assert len(found) == 9 * len(layouts)
    for case, far in found.items():
        assert len(far) > 15
        assert not {name: value for name, value in far.items() if not value < 1e-9}, case


@pytest.mark.thorough
def test_two_processes_give_loss_and_every_gradient_of_one():
    assert_ranks_give_the_gradients_of_one_process(2, "data=2", "context=2")


@pytest.mark.slow
def test_four_processes_give_loss_and_every_gradient_of_one():
    assert_ranks_give_the_gradients_of_one_process(4, "context=4", "data=2,context=2", "data=4")


@pytest.mark.slow
def test_an_odd_number_of_parts_gives_loss_and_every_gradient_of_the_whole():
    assert_ranks_give_the_gradients_of_one_process(3, "context=3")


@pytest.fixture
def config_file(make_config, tmp_path):
    """Write the settings of a run into a file for --config."""

    def write(config):
        path = tmp_path / f"{Path(config.out).name}.yaml"
        path.write_text(to_yaml(config))
        return str(path)

    return write


def pretrain(config, file, processes, *more):
    return start(["-m", "genomamba", "pretrain", "--config", file(config), *more], processes)


def wait_for_step(folder, step, processes):
    """Return once the run has done `step` steps."""
    deadline = time.monotonic() + 200
    metrics = folder / "metrics.jsonl"
    while time.monotonic() < deadline and all(one.poll() is None for one in processes):
        if metrics.exists() and f'"step": {step},' in metrics.read_text():
            return
        time.sleep(0.005)
    raise AssertionError(f"step {step} was not seen: {finish(processes, 1)}")


def losses(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {(row["kind"], row["step"], row["bases"]): row["loss"] for row in rows}


def assert_alike(folder, expected):
    """The same rows, of the same bases, up to what sums in another order round."""
    found = losses(folder)
    assert found.keys() == expected.keys()
    for row, loss in found.items():
        assert loss == pytest.approx(expected[row], rel=2e-4), row


@pytest.fixture
def slow_steps(make_config):
    """Settings of a run of a few dozen steps that a signal can meet."""

    def make(**changes):
        settings = {"context": 256, "batch_size": 4, "max_steps": 30, "valid_every": 10, "d_model": 16, "num_layers": 2}
        return make_config(**(settings | {"precision": "float32"} | changes))

    return make


@pytest.mark.thorough
def test_a_signal_to_one_ends_all_and_one_process_goes_on(slow_steps, make_trainer, config_file, tmp_path):
    whole = make_trainer(slow_steps(out=str(tmp_path / "whole")))
    whole.train()
    config = slow_steps(checkpoint_every=100)
    folder = Path(config.out)
    processes = pretrain(config, config_file, 2)
    wait_for_step(folder, 3, processes)
    processes[1].send_signal(signal.SIGTERM)
    (code, shown, errors), (other_code, other_shown, other_errors) = finish(processes)
    assert (code, other_code) == (143, 143), errors + other_errors
    assert "--resume" in shown
    assert (other_shown, other_errors) == ("", "")
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped"
    assert json.loads((folder / "run.json").read_text())["processes"] == 2
    alone = make_trainer(config, resume=True)
    assert 3 <= alone.progress.step < 30
    assert alone.train()
    assert alone.progress.consumed_samples == whole.progress.consumed_samples
    assert_alike(folder, losses(whole.folder.path))


@pytest.mark.thorough
def test_two_processes_go_on_from_one(slow_steps, make_trainer, config_file, tmp_path):
    config = slow_steps(checkpoint_every=1, keep=30)
    whole = make_trainer(config)
    whole.train()
    two = dataclasses.replace(config, out=str(tmp_path / "two"), parallel=("context=2",), resume=True)
    shutil.copytree(whole.folder.path, two.out)
    for folder in checkpoints(Path(two.out))[12:]:
        shutil.rmtree(folder)
    ended = finish(pretrain(two, config_file, 2))
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert "at step 12" in ended[0][1]
    assert (Path(two.out) / "report.html").exists()
    assert_alike(Path(two.out), losses(whole.folder.path))


@pytest.mark.slow
def test_lanes_are_carried_by_the_ranks_that_read_them(slow_steps, make_trainer, config_file, tmp_path):
    config = slow_steps(carry_state=True, checkpoint_every=1, keep=30)
    whole = make_trainer(config)
    whole.train()
    two = dataclasses.replace(config, out=str(tmp_path / "two"), resume=True)
    shutil.copytree(whole.folder.path, two.out)
    for folder in checkpoints(Path(two.out))[12:]:
        shutil.rmtree(folder)
    ended = finish(pretrain(two, config_file, 2))
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert_alike(Path(two.out), losses(whole.folder.path))
    for folder in checkpoints(Path(two.out))[20:]:
        shutil.rmtree(folder)
    alone = make_trainer(two, resume=True)
    assert alone.train()
    assert_alike(Path(two.out), losses(whole.folder.path))


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1], ids=["the-first", "the-second"])
def test_a_process_that_dies_ends_the_other(slow_steps, config_file, killed):
    config = slow_steps(max_steps=3000)
    processes = pretrain(config, config_file, 2)
    wait_for_step(Path(config.out), 5, processes)
    processes[killed].kill()
    began = time.monotonic()
    ended = finish(processes, 120)
    assert time.monotonic() - began < 60
    code, _, errors = ended[1 - killed]
    assert code == 1
    assert "Traceback" not in errors
    if killed:
        assert "another process of the run ended" in errors
        assert json.loads((Path(config.out) / "run.json").read_text())["status"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--parallel", "data=2,context=4"), "2 x 4 = 8 processes"),
        (("--batch-size", "3"), "data=2 does not divide"),
        (("--learning-rate", "1e30"), "loss"),
        (("--fasta", "nowhere.fa"), "nowhere.fa"),
    ],
    ids=["layout", "batch", "not-finite", "no-file"],
)
def test_what_ends_all_is_told_once(slow_steps, config_file, more, says):
    (code, _, errors), (other_code, *other) = finish(pretrain(slow_steps(), config_file, 2, *more))
    assert code == other_code != 0
    assert says in errors.strip().splitlines()[-1]
    assert other == ["", ""]


def test_what_torch_says_of_a_lost_process_is_told_as_a_whole_sentence():
    said = "[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:16021. This is typically"
    with (
        pytest.raises(LostContactError, match=r"answer \(Connection closed by peer \[127.0.0.1\]:16021\); what"),
        contact(),
    ):
        raise RuntimeError(f"{said} caused by a remote worker crashing.\nC++ CapturedTraceback:")


def test_gradients_go_in_messages_of_one_dtype_and_bounded_size():
    sizes = [(BUCKET // 2, torch.float32), (BUCKET // 2, torch.float32), (1, torch.float32), (3, torch.float64)]
    sizes += [(2 * BUCKET, torch.float64), (4, torch.float64)]
    gradients = [torch.empty(size, dtype=dtype, device="meta") for size, dtype in sizes]
    assert [[len(one) for one in bucket] for bucket in _buckets(gradients)] == [
        [BUCKET // 2, BUCKET // 2], [1], [3], [2 * BUCKET], [4],
    ]  # fmt: skip


class Several(Ranks):
    """A rank whose sums are put together by the test."""

    def gather_values(self, value):
        return [value]


@pytest.mark.parametrize("objective", ["next_token", "masked"])
def test_ranks_score_what_one_process_scores(make_config, make_trainer, objective):
    trainer = make_trainer(make_config(objective=objective))
    given = {"genome": trainer.plan.genome, "objective": objective, "context": 64, "batch_size": 3, "seed": 0}
    parts = trainer.plan.split.test
    whole = Scorer(**given)(trainer.plan.model, parts)
    seen = []
    shares = [Scorer(**given, ranks=Several(rank, 3, 1))(trainer.plan.model, parts, after_batch=seen.append)
              for rank in range(3)]  # fmt: skip
    assert sum(one["two"].bases for one in shares) == whole["two"].bases
    assert np.isclose(sum(one["two"].nats for one in shares), whole["two"].nats, rtol=1e-12)
    # As often on each, so that all can agree to leave.
    assert seen == 3 * seen[: len(seen) // 3]
    assert seen[-1] == 1
