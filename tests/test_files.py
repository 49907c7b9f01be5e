"""Whole or absent, whatever happens while a file is written."""

import errno
import os
from pathlib import Path

import pytest

from genomamba.errors import RunError
from genomamba.files import atomic_file, atomic_folder, read_json, remove_strays, write_json


def write_half(target, error):
    """Write something into a file or a folder that is being made, then fail."""
    with target as temporary:
        (temporary / "weights" if temporary.is_dir() else temporary).write_text("half")
        raise error


def test_a_file_that_failed_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "values.json"
    write_json(path, {"a": 1})
    with pytest.raises(ZeroDivisionError):
        write_half(atomic_file(path), ZeroDivisionError())
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["values.json"]


def test_a_read_only_disk_is_said(tmp_path, monkeypatch):
    def refused(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    # As a real one: the file that was never made cannot be removed either.
    monkeypatch.setattr(Path, "unlink", refused)
    monkeypatch.setattr(Path, "write_text", refused)
    with pytest.raises(RunError, match=r"run.json: cannot be written \(Read-only file system\); what was there is"):
        write_json(tmp_path / "run.json", {})


def test_a_full_disk_is_said_and_leaves_the_old_folder(tmp_path):
    path = tmp_path / "step-1"
    with atomic_folder(path) as temporary:
        (temporary / "weights").write_text("old")
    with pytest.raises(RunError, match=r"step-1: cannot be written \(No space left on device\)"):
        write_half(atomic_folder(path), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert (path / "weights").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["step-1"]


def test_what_has_nothing_to_do_with_writing_is_told_as_it_is(tmp_path):
    damaged = RunError("config.json: damaged")
    damaged.__cause__ = ValueError("no number")
    for error in (damaged, RunError("the model is of another kind")):
        with pytest.raises(RunError, match=f"^{error}$"):
            write_half(atomic_folder(tmp_path / "step-1"), error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "step-1"
    for name in ("one", "two"):
        with atomic_folder(path) as temporary:
            (temporary / name).write_text("x")
    assert [p.name for p in path.iterdir()] == ["two"]


def test_a_parent_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot be written"), atomic_folder(tmp_path / "file" / "deep" / "folder"):
        pass


def test_strays_of_killed_processes_are_removed(tmp_path):
    (tmp_path / ".tmp-123-run.json").write_text("half")
    (tmp_path / ".tmp-abc").mkdir()
    (tmp_path / ".tmp-abc" / "weights").write_text("half")
    (tmp_path / "run.json").write_text("{}")
    remove_strays(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json: cannot be read as JSON"):
        read_json(tmp_path / "run.json")
