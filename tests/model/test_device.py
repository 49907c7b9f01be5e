import pytest
import torch

from genomamba.errors import ConfigError
from genomamba.model import device
from genomamba.model.device import choose_device
from genomamba_kernels.selftest import Result


@pytest.fixture
def two_gpus(monkeypatch):
    """Two GPUs whose numbers are those that the fixture's list names; gives the devices that were checked."""
    results, checked = [Result("selective_scan forwards y", 0.0, 1e-6)], []

    def check(backend, where, dtype):
        checked.append((backend, str(where), dtype))
        return results

    device._check_numbers.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device.selftest, "check", check)
    yield results, checked
    device._check_numbers.cache_clear()


def test_auto_takes_the_cpu():
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "mps", "cuda:-1", ""])
def test_a_name_of_no_device_is_refused_in_one_line(name):
    with pytest.raises(ConfigError, match=f"^device is '{name}'; it must be auto, cpu, cuda, or cuda:1"):
        choose_device(name)


@pytest.mark.parametrize(
    ("version", "why"), [(None, "this torch is built for CPUs"), ("13.0", "torch sees no GPU here")]
)
def test_a_gpu_that_is_not_there_is_refused(monkeypatch, version, why):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", version)
    with pytest.raises(ConfigError, match=f"^device is 'cuda', but {why}; take cpu$"):
        choose_device("cuda")


def test_a_gpu_must_give_the_right_numbers_and_is_checked_once(two_gpus):
    _, checked = two_gpus
    assert choose_device("cuda:1") == choose_device("cuda:1") == torch.device("cuda:1")
    assert checked == [("triton", "cuda:1", torch.float32)]
    with pytest.raises(ConfigError, match=r"^device is 'cuda:2', but torch sees 2 GPUs, from cuda:0 on$"):
        choose_device("cuda:2")


@pytest.mark.parametrize("error", [1.0, float("nan")])
def test_a_gpu_with_wrong_numbers_is_refused(two_gpus, error):
    results, _ = two_gpus
    results.append(Result("selective_scan backwards gradient of u", error, 1e-6))
    with pytest.raises(
        ConfigError, match=r"wrong numbers \(selective_scan backwards gradient of u\); see genomamba doctor"
    ):
        choose_device("cuda")
