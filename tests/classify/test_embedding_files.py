"""Files of embeddings: labels of every kind come back as they were."""

import numpy as np
import pytest

from genomamba.classify.embedding_files import Table, write_embeddings
from genomamba.classify.labels import Labels

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)
KINDS = {
    "none": None,
    "single": Labels("single", ("x", "long"), np.array([1, 0, 1], np.int32)),
    "multi": Labels("multi", ("x", "y"), np.array([[1, 1], [0, 0], [0, 1]], np.uint8)),
    "regression": Labels("regression", (), np.array([0.5, -1, 3])),
}
TEXTS = {"single": ["long", "x", "long"], "multi": ["x;y", "", "y"], "regression": [0.5, -1.0, 3.0]}


def table(labels, values=VALUES, lengths=None, names="abc"):
    return Table(values=values, lengths=lengths, names=list(names), labels=labels, splits=None, meta={"pool": "mean"})


@pytest.mark.parametrize("kind", KINDS)
def test_npz(tmp_path, kind):
    write_embeddings(tmp_path / "x.npz", table(KINDS[kind]))
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["embeddings"], VALUES)
        assert found["names"].tolist() == list("abc")
        if kind == "none":
            assert "labels" not in found.files
        else:
            expected = TEXTS["single"] if kind == "single" else KINDS[kind].values.tolist()
            assert found["labels"].tolist() == expected
            assert ("classes" in found.files) == (kind != "regression")


@pytest.mark.parametrize("kind", KINDS)
def test_parquet(tmp_path, kind):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_embeddings(tmp_path / "x.parquet", table(KINDS[kind]))
    found = parquet.read_table(tmp_path / "x.parquet")
    np.testing.assert_array_equal(np.array(found["embedding"].to_pylist(), np.float32), VALUES)
    assert "label" in found.column_names or kind == "none"
    if kind != "none":
        assert found["label"].to_pylist() == TEXTS[kind]


@pytest.mark.parametrize("rows", [2, 100])
def test_labels_of_bases_stand_beside_them(tmp_path, monkeypatch, rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("genomamba.classify.embedding_files._ROWS", rows)
    labels = Labels("per-base", ("none", "exon"), np.array([0, 1, 1], np.int16))
    bases = table(labels, lengths=np.array([1, 2]), names="ab")
    write_embeddings(tmp_path / "x.parquet", bases)
    found = parquet.read_table(tmp_path / "x.parquet").to_pydict()
    assert (found["name"], found["position"]) == (["a", "b", "b"], [0, 0, 1])
    assert found["label"] == ["none", "exon", "exon"]
    write_embeddings(tmp_path / "x.npz", bases)
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["borders"].tolist() == [0, 1, 3]
        assert arrays["labels"].tolist() == [0, 1, 1]
        np.testing.assert_array_equal(arrays["embeddings"], VALUES)


def test_no_sequences_at_all_are_a_file_too(tmp_path):
    write_embeddings(tmp_path / "x.npz", table(None, values=np.zeros((0, 4), np.float32), names=""))
    with np.load(tmp_path / "x.npz") as found:
        assert found["embeddings"].shape == (0, 4)
        assert found["names"].shape == (0,)
