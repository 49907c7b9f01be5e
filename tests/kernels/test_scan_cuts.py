"""The selective scan gives the same numbers however its work is cut: packings, columns, segments and rounds."""

import pytest
import torch

from genomamba_kernels import set_num_threads
from genomamba_kernels.scan import cpu_plan

DIRECTIONS = pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
PACKED = pytest.mark.parametrize("packed", [False, True], ids=["batch", "packed"])


def assert_same(actual, expected, tolerance=1e-10):
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(actual[name], tensor, rtol=tolerance, atol=tolerance, msg=name)


@DIRECTIONS
def test_packed_is_one_by_one(backend, reverse, pick, make_scan, run_scan, run_one_by_one, cu_seqlens):
    lengths = pick(backend, [1, 64, 3, 65, 20], [1, 17, 2])
    inputs = make_scan(1, sum(lengths), *pick(backend, (17, 5), (3, 2)), torch.float64, sequences=len(lengths))
    together = run_scan(inputs, backend=backend, reverse=reverse, cu_seqlens=cu_seqlens(lengths))
    assert_same(together, run_one_by_one(run_scan, inputs, lengths, backend=backend, reverse=reverse))


@DIRECTIONS
@pytest.mark.parametrize("threads", [1, 3])
def test_more_sequences_than_columns(threads, reverse, make_scan, run_scan, cu_seqlens, monkeypatch):
    monkeypatch.setattr(cpu_plan, "SMALL", 0)
    monkeypatch.setattr(cpu_plan, "SMALLEST_TURN", 0)
    set_num_threads(threads)
    lengths = [1 + i % 3 for i in range(2 * cpu_plan.COLUMNS)] + [130, 1]
    inputs = make_scan(1, sum(lengths), 17, 5, torch.float64, sequences=len(lengths))
    options = {"reverse": reverse, "cu_seqlens": cu_seqlens(lengths)}
    assert_same(run_scan(inputs, **options), run_scan(inputs, backend="reference", **options))


@pytest.fixture
def set_plan(monkeypatch):
    """Set numbers of the plan of the Triton kernels; its chunks have four positions."""
    pytest.importorskip("triton")
    from genomamba_kernels.scan import triton_backward, triton_plan

    def change(**values):
        for name, value in {"SHORTEST_CHUNK": 4, "LONGEST_CHUNK": 4, **values}.items():
            monkeypatch.setattr(triton_plan if hasattr(triton_plan, name) else triton_backward, name, value)

    return change


@pytest.fixture
def hold_triton_to_reference(make_scan, run_scan, cu_seqlens):
    """Compare the backends on rows of three chunks, or sequences of three and of one."""

    def check(packed, reverse):
        lengths = [10, 1, 9]
        inputs = make_scan(*((1, 20) if packed else (2, 10)), 3, 2, torch.float64, sequences=3 if packed else None)
        options = {"reverse": reverse, "cu_seqlens": cu_seqlens(lengths) if packed else None}
        assert_same(run_scan(inputs, backend="triton", **options), run_scan(inputs, backend="reference", **options))

    return check


@DIRECTIONS
@PACKED
@pytest.mark.parametrize("chunks", [1, 2])
def test_rounds_of_triton_change_no_number(chunks, packed, reverse, set_plan, hold_triton_to_reference):
    set_plan(_chunks_a_round=lambda *_: chunks)
    hold_triton_to_reference(packed, reverse)


@DIRECTIONS
@PACKED
@pytest.mark.parametrize("plan", [{"PROGRAMS": 1}, {"FULL": 1}], ids=["two-chunks", "whole-sequences"])
def test_chunks_of_a_program_of_triton_change_no_number(plan, packed, reverse, set_plan, hold_triton_to_reference):
    set_plan(**plan)
    hold_triton_to_reference(packed, reverse)


@pytest.mark.parametrize(("chunks", "bytes_a_chunk"), [(1000, 2**20), (257, 2**20), (3, 2**30), (5, 100)])
def test_memory_of_a_round_of_triton_is_bounded(chunks, bytes_a_chunk):
    triton_backward = pytest.importorskip("genomamba_kernels.scan.triton_backward")
    count = triton_backward._chunks_a_round(chunks, bytes_a_chunk, 1, torch.device("cpu"))
    assert 1 <= count <= chunks
    assert count == 1 or count * bytes_a_chunk <= triton_backward.SCRATCH_MIB * 2**20
