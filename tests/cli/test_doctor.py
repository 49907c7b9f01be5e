"""`genomamba doctor`: all well here, and a verdict with an exit code where something is wrong."""

import importlib.util
import json

import pytest

from genomamba.cli import doctor
from genomamba.cli.main import main
from genomamba_kernels import selftest


def test_all_is_well_here(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "all is well"
    assert any(line.startswith("ok       numbers of cpu in float32 on cpu: ") for line in lines)
    assert any(line.startswith("ok       --device auto: pretrain trains on c") for line in lines)
    assert not any(line.startswith("FAILED") for line in lines)


def test_a_wrong_number_is_told_and_fails(capsys, monkeypatch):
    name = "causal_conv1d backwards gradient of bias"
    value, norm = selftest.EXPECTED[name]
    monkeypatch.setitem(selftest.EXPECTED, name, (value + norm, norm))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert f"FAILED   numbers of cpu in float64 on cpu: 1 of 34 wrong, the worst {name}: error" in out
    assert out.endswith("4 of 11 checks failed: do not trust results of this installation\n")


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_a_compiler_that_fails_is_told(capsys, monkeypatch):
    compiler = pytest.importorskip("genomamba_kernels._triton_compile")

    def fails(*arguments, **options):
        raise RuntimeError("ptxas is\nmissing")

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(compiler, "compile_forward", fails)
    assert main(["doctor"]) == 1
    assert "FAILED   Triton: RuntimeError: ptxas is missing\n" in capsys.readouterr().out


def test_json_holds_the_same(capsys):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert {"versions", "processor", "cache of genomes"} <= {finding["what"] for finding in report["findings"]}


def test_a_full_disk_is_told(capsys, monkeypatch):
    monkeypatch.setattr("genomamba.cli.doctor.LEAST_FREE_GIB", 1e9)
    assert main(["doctor"]) == 1
    assert "FAILED   cache of genomes: " in capsys.readouterr().out


def test_kernels_that_cannot_be_kept_are_told(monkeypatch):
    monkeypatch.setenv("GENOMAMBA_CACHE_DIR", "/dev/null/cache")
    finding = doctor._folder("cache of compiled kernels", doctor._kernel_cache)
    assert finding.verdict == "FAILED"
    assert finding.detail.startswith("no folder can be written, so each process compiles anew")


@pytest.mark.parametrize("argument", ["--jsn", "here"])
def test_usage(argument, capsys):
    assert main(["doctor", argument]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
