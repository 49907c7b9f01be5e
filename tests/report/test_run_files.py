import json
from pathlib import Path

import numpy as np
import pytest

from genomamba.errors import RunError
from genomamba.report.run_files import MISSING, read_run


def test_reads_every_file(make_run) -> None:
    run = read_run(make_run())
    assert run.missing == {}
    assert run.facts is not None
    assert run.facts["parameters"] == 512_640
    assert run.config is not None
    assert run.config["fasta"] == ["yeast.fa", "other.fa"]
    assert run.card is not None
    assert run.evaluation is not None
    assert (run.train["step"].size, run.valid["step"].size) == (300, 20)


def test_values_that_are_not_there_are_nan(make_run) -> None:
    rows = [
        {"kind": "train", "step": 1, "bases": 8, "bits_per_base": None},
        {"kind": "train", "step": 2, "bases": 16, "bits_per_base": 1.5},
    ]
    train = read_run(make_run(rows=rows)).train
    assert np.isnan(train["bits_per_base"]).tolist() == [True, False]
    assert np.isnan(train["learning_rate"]).all()


def test_last_row_may_be_cut_short(make_run) -> None:
    folder = make_run()
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text() + '{"kind": "train", "st')
    assert read_run(folder).train["step"].size == 300


@pytest.mark.parametrize("kept", MISSING)
def test_one_file_makes_a_run_folder(make_run, kept: str) -> None:
    folder = make_run()
    for name in set(MISSING) - {kept}:
        (folder / name).unlink()
    assert list(read_run(folder).missing) == [name for name in MISSING if name != kept]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("run.json", "{", "run.json: cannot be read as JSON"),
        ("run.json", "[1]", "run.json: holds a list, expected names with values"),
        ("config.yaml", "a: [1\nb: 2", "config.yaml: cannot be read as YAML"),
        ("config.yaml", "text", "config.yaml: holds a str"),
        ("dataset.json", '{"splits": {}}', "dataset.json: has no contigs, excluded; restore the file"),
        ("evaluation.json", "{}", "evaluation.json: has no objective, splits; restore the file"),
        ("metrics.jsonl", '{}\n{"a\n{}\n', "metrics.jsonl:2: is no JSON"),
        ("metrics.jsonl", "{}\n7\n", "metrics.jsonl:2: holds a int"),
        ("metrics.jsonl", b"\xff\xfe", "metrics.jsonl: cannot be read"),
    ],
)
def test_damaged_file_is_named_in_one_line(make_run, file: str, text: str | bytes, message: str) -> None:
    folder = make_run()
    (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunError) as caught:
        read_run(folder)
    assert str(caught.value).startswith(f"{folder}/{message}")
    assert "\n" not in str(caught.value)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"absent: no such folder"):
        read_run(tmp_path / "absent")
    (tmp_path / "notes.json").write_text(json.dumps({}))
    with pytest.raises(RunError, match=r"is no run folder, it holds none of run.json, config.yaml"):
        read_run(tmp_path)
