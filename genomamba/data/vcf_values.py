"""Values of our tags: how they come, a column a tag, and the text that files hold of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.data.vcf import VcfRecord
from genomamba.data.vcf_header import Tag

__all__ = ["MISSING", "TagValues", "Values", "count_alleles", "fields_by_record", "texts_by_allele", "values_by_allele"]

Values = Sequence[Any] | npt.NDArray[Any]

TagValues = Mapping[str, Values]
"""Name of each tag to its values: for Number=A one for each allele of each record, in order; for Number=1, a record."""

MISSING: Final = b"."

_DIVIDERS = set(";,= \t\r\n")


def count_alleles(records: Sequence[VcfRecord]) -> list[int]:
    """Return the number of alleles of each record, and so of its values for Number=A; 1 where ALT is `.`."""
    return [len(record.alts) for record in records]


def fields_by_record(tag: Tag, values: Values, counts: Sequence[int]) -> list[bytes]:
    """Return one field of INFO a record, such as `;GM_LLR=-1.5,.`, with what divides it from the field before.

    Numbers have six digits, and what is missing is `.`.

    Raises
    ------
    ValueError
        Where there are more or fewer values than alleles, or records, or a text has a character that divides.
    """
    _check_size(tag, values, counts)
    name = b";%b=" % tag.id.encode()
    texts = _texts(tag, values, MISSING, name)
    if len(texts) == len(counts):
        return texts
    rest = iter(texts)
    return [next(rest) if count == 1 else _joined(name, islice(rest, count)) for count in counts]


def texts_by_allele(tag: Tag, values: Values, counts: Sequence[int], missing: bytes) -> list[bytes]:
    """Return one text an allele; raises as `fields_by_record`."""
    return _texts(tag, values_by_allele(tag, values, counts), missing)


def values_by_allele(tag: Tag, values: Values, counts: Sequence[int]) -> Values:
    """Return one value an allele: for Number=1, that of its record. Raises `ValueError` where some are left over."""
    _check_size(tag, values, counts)
    if tag.number == "A":
        return values
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def _check_size(tag: Tag, values: Values, counts: Sequence[int]) -> None:
    expected = sum(counts) if tag.number == "A" else len(counts)
    if len(values) != expected:
        raise ValueError(f"{tag.id} has {len(values):,} values, expected {expected:,}")


def _joined(name: bytes, texts: Iterable[bytes]) -> bytes:
    return name + b",".join([text[len(name) :] for text in texts])


def _texts(tag: Tag, values: Values, missing: bytes, before: bytes = b"") -> list[bytes]:
    """Return the text of each value, with the same text before each, which costs nothing here."""
    missing = before + missing
    match tag.type:
        case "Float":
            # Adding zero takes the sign from -0.
            numbers = (np.asarray(values, np.float64) + 0.0).tolist()
            form = before + b"%.6g"
            return [form % value if value == value else missing for value in numbers]
        case "Integer":
            numbers = np.asarray(values, np.float64).tolist()
            form = before + b"%d"
            return [form % value if value == value else missing for value in numbers]
        case "String":
            texts = {value: missing if value is None else before + _text(tag, value) for value in set(values)}
            return [texts[value] for value in values]


def _text(tag: Tag, value: str) -> bytes:
    if not value or not _DIVIDERS.isdisjoint(value):
        raise ValueError(f"{tag.id} is {value!r}; it must have letters, and none of ; , = or white space")
    return value.encode()
