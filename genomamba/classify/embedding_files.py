"""Embeddings in files, .npz or Parquet: written from parts on the disk, and put together from shards."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.classify.labels import Labels
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.files import atomic_file

__all__ = ["FORMATS", "Table", "check_embedding_format", "holds_embeddings", "merge_embeddings", "write_embeddings"]

FORMATS: Final = (".npz", ".parquet")
META: Final = "genomamba"
"""Key of what the numbers are, in JSON, in the metadata of Parquet; in .npz the array is called `meta`."""

_ROWS: Final = 4_096
_VALUES: Final = "embeddings"
_SHARD: Final = "shard"

Float32Array = npt.NDArray[np.float32]
WriteValues = Callable[[IO[bytes]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Embeddings and what is known of the sequences.

    Attributes
    ----------
    values : (rows, width), float32
        A row a sequence, or where `lengths` is given a row a base; may lie on the disk.
    lengths : (sequences,), int64, or None
        Bases of each.
    names : sequence of str
    labels : Labels or None
    splits : sequence of str, or None
        train, valid or test of each.
    meta : dict
        What the numbers are: model, layers, ..., plain values.
    """

    values: Float32Array
    lengths: npt.NDArray[np.int64] | None
    names: Sequence[str]
    labels: Labels | None
    splits: Sequence[str] | None
    meta: dict[str, Any]


def check_embedding_format(out: Path) -> str:
    """Return the format that a name asks for.

    Raises
    ------
    ConfigError
        Where it is none of `FORMATS`.
    RunError
        For Parquet, where pyarrow is not installed.
    """
    suffix = out.suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(f"--out is {out}; its name must end with {' or '.join(FORMATS)}")
    if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise RunError(
            f"{out}: Parquet is written by pyarrow, which is not installed; pip install 'genomamba[tracks]',"
            " or give a name that ends with .npz"
        )
    return suffix


def write_embeddings(path: Path, table: Table) -> None:
    """Write a table, whole or not at all; no more than some rows of it are held in memory."""
    with atomic_file(path) as temporary:
        if path.suffix.lower() == ".npz":

            def put(file: IO[bytes]) -> None:
                for start in range(0, len(table.values), _ROWS):
                    file.write(np.ascontiguousarray(table.values[start : start + _ROWS]).tobytes())

            _write_npz(temporary, _small_arrays(table), table.values.shape, put)
        else:
            _write_parquet(temporary, table)


def holds_embeddings(path: Path) -> bool:
    """Whether a file is one that `write_embeddings` has written, as far as its name and, in Parquet, metadata say."""
    if path.suffix.lower() == ".npz":
        return True
    if path.suffix.lower() != ".parquet" or importlib.util.find_spec("pyarrow") is None or not path.is_file():
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return META.encode() in (pq.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return False


def merge_embeddings(paths: Sequence[Path], out: Path) -> int:
    """Put the shards of one command together, in the order given; return how many sequences there are.

    Raises
    ------
    ConfigError
        Where `out` is of another format than the shards.
    DataError
        Where a file is no shard, is of another command, or is not the next one.
    RunError
        Where the output cannot be written.
    """
    suffix = check_embedding_format(out)
    for path in paths:
        if path.suffix.lower() != suffix:
            raise ConfigError(f"--out is {out}, and {path} is of another format; give --out the ending {path.suffix}")
    metas = [_read_meta(path) for path in paths]
    for number, (path, meta) in enumerate(zip(paths, metas, strict=True), 1):
        if (expected := f"{number}/{len(paths)}") != meta[_SHARD]:
            raise DataError(f"{path}: is shard {meta[_SHARD]}, expected {expected}; give all of them, in their order")
        for key, value in metas[0].items():
            if key != _SHARD and meta.get(key) != value:
                raise DataError(f"{path}: its {key} is {meta.get(key)}, and that of {paths[0]} is {value}")
    with atomic_file(out) as temporary:
        merge = _merge_npz if suffix == ".npz" else _merge_parquet
        merge(paths, temporary, {**metas[0], _SHARD: None})
    return int(metas[0]["sequences_in_all"])


def _small_arrays(table: Table) -> dict[str, npt.NDArray[Any]]:
    """Return all but the embeddings, without pickled objects."""
    arrays: dict[str, npt.NDArray[Any]] = {"names": _texts(table.names)}
    if table.lengths is not None:
        arrays["borders"] = np.concatenate([[0], table.lengths.cumsum()]).astype(np.int64)
    if (labels := table.labels) is not None:
        is_name = labels.kind == "single"
        arrays["labels"] = _texts(labels.classes)[labels.values] if is_name else labels.values
        if labels.classes:
            arrays["classes"] = _texts(labels.classes)
    if table.splits is not None:
        arrays["splits"] = _texts(table.splits)
    return arrays | {"meta": np.array(json.dumps(table.meta))}


def _texts(texts: Sequence[str]) -> npt.NDArray[np.str_]:
    return np.array(list(texts), np.str_) if len(texts) else np.zeros(0, "<U1")


def _write_npz(path: Path, arrays: dict[str, npt.NDArray[Any]], shape: tuple[int, ...], put: WriteValues) -> None:
    """Write small arrays, and one of float32 whose bytes `put` writes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(f"{_VALUES}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_2_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            put(file)
        for name, array in arrays.items():
            held = io.BytesIO()
            np.lib.format.write_array(held, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", held.getvalue())


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as found:
                meta = json.loads(str(found["meta"]))
        else:
            import pyarrow.parquet as pq

            meta = json.loads((pq.read_schema(path).metadata or {})[META.encode()])
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the name") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: no shard of embeddings ({' '.join(str(error).split())})") from None
    if not isinstance(meta, dict) or not isinstance(meta.get(_SHARD), str):
        raise DataError(f"{path}: no shard; genomamba embed --shard 1/16 writes one")
    return meta


def _merge_npz(paths: Sequence[Path], out: Path, meta: dict[str, Any]) -> None:
    arrays: dict[str, list[npt.NDArray[Any]]] = {}
    for path in paths:
        with np.load(path, allow_pickle=False) as found:
            for name in found.files:
                if name != _VALUES:
                    arrays.setdefault(name, []).append(found[name])
    whole = {name: np.concatenate(parts) for name, parts in arrays.items() if name not in ("classes", "meta")}
    if "classes" in arrays:
        whole["classes"] = arrays["classes"][0]
    if "borders" in arrays:
        lengths = np.concatenate([np.diff(borders) for borders in arrays["borders"]])
        whole["borders"] = np.concatenate([[0], lengths.cumsum()]).astype(np.int64)
    with _opened(paths) as opened:
        shapes = [shape for _, shape in opened]
        rows = sum(shape[0] for shape in shapes)

        def put(file: IO[bytes]) -> None:
            for values, _ in opened:
                shutil.copyfileobj(values, file, 1 << 20)

        _write_npz(out, whole | {"meta": np.array(json.dumps(meta))}, (rows, *shapes[0][1:]), put)


@contextmanager
def _opened(paths: Sequence[Path]) -> Iterator[list[tuple[IO[bytes], tuple[int, ...]]]]:
    """Open the embeddings of every shard behind their header, and give their shapes."""
    with ExitStack() as stack:
        found = []
        for path in paths:
            file = stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(f"{_VALUES}.npy"))
            np.lib.format.read_magic(file)
            shape, _, _ = np.lib.format.read_array_header_2_0(file)
            found.append((file, shape))
        yield found


def _write_parquet(path: Path, table: Table) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    width = table.values.shape[1]
    lengths = table.lengths
    columns = _columns(table)
    types = {"name": pa.string(), "position": pa.int64(), "label": pa.string(), "split": pa.string()}
    if table.labels is not None and table.labels.kind == "regression":
        types["label"] = pa.float64()
    fields = [(name, types[name]) for name in columns]
    schema = pa.schema([*fields, (_VALUES[:-1], pa.list_(pa.float32(), width))])
    schema = schema.with_metadata({META: json.dumps(table.meta)})
    owner = None if lengths is None else np.repeat(np.arange(lengths.size), lengths)
    with pq.ParquetWriter(str(path), schema) as writer:
        for start in range(0, max(1, len(table.values)), _ROWS):
            values = np.ascontiguousarray(table.values[start : start + _ROWS])
            rows = np.arange(start, start + len(values))
            batch = {name: column(rows if owner is None else owner[rows], rows) for name, column in columns.items()}
            flat = pa.array(values.ravel(), pa.float32())
            batch[_VALUES[:-1]] = pa.FixedSizeListArray.from_arrays(flat, width)
            writer.write_table(pa.table(batch, schema=schema))


_Column = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], list[Any]]


def _columns(table: Table) -> dict[str, _Column]:
    """Return what makes the values of each column from rows of sequences, and rows of the table."""
    labels, splits = table.labels, table.splits
    columns: dict[str, _Column] = {"name": lambda owners, _: [table.names[owner] for owner in owners]}
    if table.lengths is not None:
        starts = table.lengths.cumsum() - table.lengths
        columns["position"] = lambda owners, rows: (rows - starts[owners]).tolist()
    if labels is not None and labels.kind == "regression":
        columns["label"] = lambda owners, _: labels.values[owners].tolist()
    elif labels is not None and labels.kind == "per-base":
        columns["label"] = lambda _, rows: [labels.classes[code] for code in labels.values[rows]]
    elif labels is not None:
        columns["label"] = lambda owners, _: [labels.text(owner) for owner in owners]
    if splits is not None:
        columns["split"] = lambda owners, _: [splits[owner] for owner in owners]
    return columns


def _merge_parquet(paths: Sequence[Path], out: Path, meta: dict[str, Any]) -> None:
    import pyarrow.parquet as pq

    schema = pq.read_schema(paths[0]).with_metadata({META: json.dumps(meta)})
    with pq.ParquetWriter(str(out), schema) as writer:
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(batch_size=_ROWS):
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
