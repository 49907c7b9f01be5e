"""Threads of the kernels: their number, several callers at once, errors, and fork."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from genomamba_kernels import get_num_threads, set_num_threads
from genomamba_kernels._threads import parallel_for
from genomamba_kernels.scan import cpu_plan


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        ({"SLURM_CPUS_PER_TASK": "1"}, 1),
        ({"OMP_NUM_THREADS": "3", "SLURM_CPUS_PER_TASK": "1"}, 3),
        ({"OMP_NUM_THREADS": "5,2"}, 5),
        ({"NUMBA_NUM_THREADS": "4"}, 4),
        ({"OMP_NUM_THREADS": "many"}, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1),
    ],
    ids=str,
)
def test_default_follows_the_cpus_given(environment, expected, monkeypatch):
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("genomamba_kernels._threads._chosen", None)
    assert get_num_threads() == expected


def test_number_is_set_and_refused():
    set_num_threads(3)
    assert get_num_threads() == 3
    with pytest.raises(ValueError, match="count is 0, expected 1 or more"):
        set_num_threads(0)


@pytest.mark.parametrize(("count", "threads"), [(1, 4), (3, 1), (100, 4), (4, 100)])
def test_every_index_is_visited_once(count, threads):
    visited = []
    parallel_for(count, threads, lambda index, worker: visited.append((index, worker)))
    assert sorted(index for index, _ in visited) == list(range(count))
    assert {worker for _, worker in visited} <= set(range(min(count, threads)))


def test_an_error_of_another_thread_is_raised():
    started = threading.Barrier(2)

    def body(index, worker):
        started.wait(timeout=30)
        if worker == 1:
            raise RuntimeError("from worker 1")

    with pytest.raises(RuntimeError, match="from worker 1"):
        parallel_for(2, 2, body)


def test_several_callers_at_once_get_their_own_results(make_scan, run_scan, monkeypatch):
    monkeypatch.setattr(cpu_plan, "SMALL", 0)
    set_num_threads(2)
    inputs = [make_scan(2, 130, 70, 5, torch.float32, seed=seed) for seed in range(4)]
    expected = [run_scan(one) for one in inputs]
    actual = [None] * 4

    def call(i):
        for _ in range(5):
            actual[i] = run_scan(inputs[i])

    callers = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for one, other in zip(actual, expected, strict=True):
        for name, tensor in other.items():
            assert torch.equal(one[name], tensor), name


FORK = """
import os, sys, threading, torch
from genomamba_kernels import selective_scan, set_num_threads
from genomamba_kernels._threads import parallel_for
from genomamba_kernels.scan import cpu_plan
cpu_plan.SMALL = 0
set_num_threads(2)
torch.manual_seed(0)
u, delta, B, C = torch.randn(1, 70, 33), torch.rand(1, 70, 33), torch.randn(1, 70, 4), torch.randn(1, 70, 4)
A = -torch.rand(33, 4)
u.requires_grad_()
def run():
    y = selective_scan(u, delta, A, B, C)
    return y.detach(), torch.autograd.grad(y.square().sum(), u)[0]
expected = run()
child = os.fork()
if child == 0:
    actual = run()
    # The child has threads of its own: alone, the caller would wait for the second party in vain.
    both = threading.Barrier(2)
    parallel_for(2, 2, lambda index, worker: both.wait(timeout=20))
    os._exit(0 if all(map(torch.equal, actual, expected)) else 3)
_, status = os.waitpid(child, 0)
again = run()
sys.exit(os.waitstatus_to_exitcode(status) or (0 if all(map(torch.equal, again, expected)) else 4))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.thorough
def test_a_forked_child_computes_as_its_parent():
    done = subprocess.run([sys.executable, "-c", FORK], timeout=120, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
