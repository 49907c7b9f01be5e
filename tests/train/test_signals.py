"""Real signals to the real command: checkpoints stand whole, exit codes are the usual ones, nothing is lost."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from genomamba.cli.main import main
from processes import finish, start

STEPS = 40


@pytest.fixture
def command(made_fasta, tmp_path):
    """The command line of a run of 40 slow steps with a checkpoint each, into the folder of that name."""

    def make(name, *more):
        return [
            sys.executable, "-m", "genomamba", "pretrain", "--fasta", str(made_fasta), "--test", "two",
            "--d-model", "16", "--num-layers", "2", "--context", "512", "--batch-size", "16", "--threads", "1",
            "--max-steps", str(STEPS), "--valid-every", "10", "--checkpoint-every", "1",
            "--out", str(tmp_path / name), *more,
        ]  # fmt: skip

    return make


def start_and_wait_for(arguments, folder, step, **options):
    """Start the command and return once it has done `step` steps."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    wait_for(step, folder, [process])
    return process


def wait_for(step, folder, processes):
    """Return once a run has done `step` steps."""
    metrics = folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        if metrics.exists() and f'"step": {step},' in metrics.read_text():
            return
        time.sleep(0.002)
    raise AssertionError(f"step {step} was not seen: {finish(processes, 1)}")


def final_state(folder):
    last = sorted((folder / "checkpoints").glob("step-*"))[-1]
    assert last.name == f"step-{STEPS:08d}"
    weights = safetensors.torch.load_file(last / "model.safetensors")
    return weights | safetensors.torch.load_file(last / "state.safetensors")


def assert_equal_runs(one, other):
    states = final_state(one), final_state(other)
    assert states[0].keys() == states[1].keys()
    for name in states[0]:
        assert torch.equal(states[0][name], states[1][name]), name
    evaluations = [json.loads((folder / "evaluation.json").read_text()) for folder in (one, other)]
    assert evaluations[0] == evaluations[1]


def kill_and_resume(command, folder, steps, processes=1):
    """Kill the run at each of these steps in turn, going on from there each time, then let it finish."""
    for i, step in enumerate(steps):
        started = start(command(folder.name, *(["--resume"] if i else []))[1:], processes)
        wait_for(step, folder, started)
        for process in started:
            process.send_signal(signal.SIGKILL)
        finish(started, 30)
    run_to_its_end(command(folder.name, "--resume"), processes)


def run_to_its_end(arguments, processes):
    for code, _, errors in finish(start(arguments[1:], processes)):
        assert code == 0, errors


def test_three_kills_end_with_the_same_bits(command, tmp_path):
    assert main(command("unbroken")[3:]) == 0
    kill_and_resume(command, tmp_path / "killed", [3, 17, 31])
    assert_equal_runs(tmp_path / "unbroken", tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"], ids=["0-workers", "2-workers"])
@pytest.mark.parametrize("processes", [1, 2], ids=["1-process", "2-processes"])
def test_twenty_kills_end_with_the_same_bits(command, tmp_path, workers, processes):
    def with_workers(name, *more):
        return command(name, "--workers", workers, *more)

    run_to_its_end(with_workers("unbroken"), processes)
    kill_and_resume(with_workers, tmp_path / "killed", range(1, STEPS, 2), processes)
    assert_equal_runs(tmp_path / "unbroken", tmp_path / "killed")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param(signal.SIGINT, 130, id="SIGINT", marks=pytest.mark.slow),
    ],
)
def test_asked_to_leave_it_writes_a_checkpoint_and_leaves(command, tmp_path, number, code):
    folder = tmp_path / "run"
    process = start_and_wait_for(command("run", "--checkpoint-every", "100"), folder, 3)
    process.send_signal(number)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "--resume" in shown
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped"
    kept = sorted((folder / "checkpoints").glob("step-*"))
    done = json.loads((kept[-1] / "state.json").read_text())["step"]
    assert 3 <= done < STEPS
    assert (folder / "report.html").exists()
    resumed = subprocess.run(
        [sys.executable, "-m", "genomamba", "pretrain", "--resume", "--out", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr
    assert final_state(folder)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param(signal.SIGINT, 130, id="SIGINT", marks=pytest.mark.slow),
    ],
)
def test_workers_do_not_see_what_a_terminal_or_a_cluster_sends_to_all(command, tmp_path, number, code):
    folder = tmp_path / "run"
    process = start_and_wait_for(command("run", "--workers", "2"), folder, 2, start_new_session=True)
    os.killpg(process.pid, number)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert "--resume" in shown
    assert json.loads((folder / "run.json").read_text())["status"] == "stopped"


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not show the masks of processes")
def test_processes_that_serve_the_run_take_none_of_its_signals_and_end_with_it(command, tmp_path):
    process = start_and_wait_for(command("run", "--workers", "2"), tmp_path / "run", 2, start_new_session=True)
    masks = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        pid = int(status.parent.name)
        with contextlib.suppress(OSError):
            if os.getsid(pid) == process.pid and pid != process.pid:
                kept_off = re.findall(r"Sig(?:Blk|Ign):\s*(\w+)", status.read_text())
                masks[pid] = int(kept_off[0], 16) | int(kept_off[1], 16)
    process.kill()
    # Ends when the last process that holds the pipe does, and asks only then for the exit code of the one killed.
    process.communicate(timeout=30)
    assert len(masks) >= 3
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        assert all(mask >> (number - 1) & 1 for mask in masks.values()), number


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no SIGUSR1")
def test_usr1_writes_a_checkpoint_and_goes_on(command, tmp_path):
    folder = tmp_path / "run"
    process = start_and_wait_for(command("run", "--checkpoint-every", "100", "--valid-every", "39"), folder, 2)
    os.kill(process.pid, signal.SIGUSR1)
    deadline = time.monotonic() + 60
    while not list((folder / "checkpoints").glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    early = [int(path.name[5:]) for path in (folder / "checkpoints").glob("step-*")]
    assert early
    assert early[0] < 39
    process.communicate(timeout=60)
    assert process.returncode == 0
