"""The stored numbers are those of the reference, every backend meets them, and a wrong number shows."""

import pytest
import torch

from genomamba_kernels import selftest


def test_stored_numbers_are_those_of_the_reference():
    results = selftest.check("reference", "cpu", torch.float64)
    assert {result.name for result in results} == set(selftest.EXPECTED)
    assert max(result.error for result in results) < 1e-13


@pytest.mark.parametrize("dtype", selftest.TOLERANCES, ids=str)
def test_cpu_meets_the_stored_numbers(dtype):
    assert all(result.is_right for result in selftest.check("cpu", "cpu", dtype))


@pytest.mark.parametrize("change", [1e-3, float("nan")], ids=["one number off", "one NaN"])
def test_one_wrong_number_is_found(change, monkeypatch):
    outcomes = selftest.outcomes

    def wrong(*arguments):
        found = outcomes(*arguments)
        found["selective_scan forwards y"][1, 77, 3] += change * found["selective_scan forwards y"].norm()
        return found

    monkeypatch.setattr(selftest, "outcomes", wrong)
    results = selftest.check("cpu", "cpu", torch.float32)
    assert [result.name for result in results if not result.is_right] == ["selective_scan forwards y"]
