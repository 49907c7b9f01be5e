import pytest
import torch

from genomamba.train import device
from genomamba.train.device import choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("model name\t: EPYC\nflags\t\t: fpu avx512f avx512_bf16 clzero\n", "bfloat16"),
        ("Features\t: fp asimd bf16 i8mm\n", "bfloat16"),
        ("model name\t: bf16 maker\nflags\t\t: fpu avx2\n", "float32"),
        (None, "float32"),
    ],
    ids=["x86", "arm", "neither", "no-proc"],
)
def test_auto_takes_bfloat16_where_the_cpu_has_it(monkeypatch, tmp_path, cpuinfo, expected):
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    monkeypatch.setattr(device, "Path", lambda _: path)
    assert choose_precision("auto", CPU) == expected
    assert choose_precision("float32", CPU) == "float32"
    assert choose_precision("bfloat16", CPU) == "bfloat16"
