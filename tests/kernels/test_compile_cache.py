"""The compiled code on disk: where it lies, when it is made anew, and what may go wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import genomamba_kernels
from genomamba_kernels import _compile

CONVOLVE = """
import torch
from genomamba_kernels import causal_conv1d
from genomamba_kernels._compile import cache_folder
from genomamba_kernels.conv.cpu_kernels import conv_forward
y = causal_conv1d(torch.ones(1, 4, 1), torch.ones(1, 2))
assert y.flatten().tolist() == [1, 2, 2, 2]
print(cache_folder(), sum(conv_forward.stats.cache_hits.values()))
"""


def add_one(x):
    x[0] += 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOMAMBA_CACHE_DIR", str(tmp_path))
    return tmp_path


def run(environment):
    clean = {name: os.environ[name] for name in os.environ if name != "GENOMAMBA_CACHE_DIR"}
    command = [sys.executable, "-c", CONVOLVE]
    return subprocess.Popen(command, env=clean | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refuse(*_, **__):
    raise PermissionError


def compiled():
    return _compile.kernel(add_one)


def call(kernel):
    x = np.zeros(1, np.float32)
    kernel(x)
    assert x[0] == 1
    return sum(kernel.stats.cache_hits.values())


@pytest.mark.thorough
def test_second_process_compiles_nothing_where_home_cannot_be_written(tmp_path):
    # Below a file there can be no folder, whoever asks.
    environment = {"HOME": "/dev/null/home", "XDG_CACHE_HOME": "/dev/null/cache", "TMPDIR": str(tmp_path)}
    for expected_hits in (0, 1):
        process = run(environment)
        folder, hits = process.communicate(timeout=120)[0].split()
        assert process.returncode == 0
        assert Path(folder).is_relative_to(tmp_path)
        assert int(hits) == expected_hits


def test_what_lies_in_a_folder_that_cannot_be_written_is_read(folder, tmp_path, monkeypatch):
    call(compiled())
    monkeypatch.setattr(_compile.tempfile, "TemporaryFile", refuse)
    assert _compile.cache_folder() != next(_compile._folders())
    assert call(compiled()) == 1


@pytest.mark.thorough
def test_what_was_compiled_for_lack_of_a_folder_goes_with_the_process(tmp_path):
    # Below a file there can be no folder, whoever asks.
    process = run({"GENOMAMBA_CACHE_DIR": "/dev/null/cache", "TMPDIR": str(tmp_path)})
    shown, warned = process.communicate(timeout=120)
    folder, hits = shown.split()
    assert process.returncode == 0
    assert warned.count("compiled kernels cannot be kept, so each process compiles them anew") == 1
    assert (Path(folder).parent, hits) == (tmp_path, "0")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_processes_that_compile_at_once_both_succeed(tmp_path):
    processes = [run({"GENOMAMBA_CACHE_DIR": str(tmp_path)}) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    third = run({"GENOMAMBA_CACHE_DIR": str(tmp_path)})
    assert int(third.communicate(timeout=120)[0].split()[1]) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".bin"]


def test_code_is_read_back(folder):
    assert call(compiled()) == 0
    assert call(compiled()) == 1


def test_a_file_cut_short_is_compiled_again(folder):
    call(compiled())
    (path,) = folder.rglob("add_one-*.bin")
    path.write_bytes(path.read_bytes()[:100])
    assert call(compiled()) == 0
    assert call(compiled()) == 1


def test_any_change_of_a_source_file_makes_new_code(tmp_path):
    package = tmp_path / "package"
    shutil.copytree(Path(genomamba_kernels.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = _compile.source_stamp(package)
    for path in sorted(package.rglob("*.py")):
        path.write_text(path.read_text() + "\n# changed\n")
        _compile.source_stamp.cache_clear()
        after = _compile.source_stamp(package)
        assert after != before, path
        before = after
    _compile.source_stamp.cache_clear()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owner here")
def test_a_temporary_folder_open_to_others_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.delenv("GENOMAMBA_CACHE_DIR")
    monkeypatch.setenv("HOME", "/dev/null/home")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.setattr(_compile.tempfile, "tempdir", str(tmp_path))
    planted = tmp_path / f"genomamba-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    assert not _compile.cache_folder().is_relative_to(planted)
    planted.chmod(0o700)
    assert _compile.cache_folder().is_relative_to(planted)
