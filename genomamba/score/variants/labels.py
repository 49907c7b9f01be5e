"""Labels of variants, to hold scores against: a field of INFO or a column of the VCF, a class or a number an allele."""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.data.vcf import VcfReader, VcfRecord
from genomamba.data.vcf_header import VcfHeader, shown
from genomamba.errors import DataError
from genomamba.score.variants.selection import Records
from genomamba.settings import did_you_mean

__all__ = ["Field", "LabelledRecords", "Labels", "read_labels"]

Float64Array = npt.NDArray[np.float64]

_COLUMNS: Final = {"ID": 2, "QUAL": 5, "FILTER": 6}
_INFO: Final = "INFO/"
_MISSING: Final = b"."
_PRESENT, _ABSENT = b"present", b"absent"
_MOST_CLASSES: Final = 1_000
_NAMED: Final = 8


class Field:
    """A field of INFO, or the column ID, QUAL or FILTER, read by allele.

    Parameters
    ----------
    name : str
        As the user gave it; `INFO/ID` is the field, `ID` the column.
    header : VcfHeader
        Whose declarations say what is a number, and which values belong to which allele.

    Attributes
    ----------
    is_flag, is_number : bool
        Whether presence is all it has; whether it is declared as a number.

    Raises
    ------
    DataError
        For a field that holds a value a genotype.
    """

    def __init__(self, name: str, header: VcfHeader) -> None:
        self.name = name
        self._column = _COLUMNS.get(name)
        tag = name.removeprefix(_INFO)
        declared = header.info.get(tag) if self._column is None else None
        self._number = "1" if declared is None else declared.number
        self.is_flag = declared is not None and declared.type == "Flag"
        self.is_number = name == "QUAL" or (declared is not None and declared.type in ("Float", "Integer"))
        if self._number == "G":
            raise DataError(f"{header.name}: {name} has a value a genotype, none of which is an allele's; name another")
        self._find = re.compile(rb"(?:^|;)" + re.escape(tag.encode()) + rb"(?:=([^;]*))?(?=;|$)").search

    def texts(self, record: VcfRecord, where: str) -> Sequence[bytes | None]:
        """Return the value of each allele as written, None where it is missing.

        A field declared with Number=A or R has one for each allele; any other belongs to all of them.
        """
        count = len(record.alts)
        if self._column is not None:
            return [_known(record.line.split(b"\t", self._column + 1)[self._column])] * count
        found = self._find(record.info)
        if self.is_flag:
            return [_ABSENT if found is None else _PRESENT] * count
        if found is None or found[1] in (None, _MISSING, b""):
            return [None] * count
        if self._number not in ("A", "R"):
            return [found[1]] * count
        values = found[1].split(b",")
        values = values[1:] if self._number == "R" else values
        if len(values) != count:
            raise DataError(
                f"{where}:{record.number}: {self.name} is {shown(found[1])}, with {len(values)} values for {count}"
                f" alternative alleles; it is declared with Number={self._number}"
            )
        return [_known(value) for value in values]

    def numbers(self, record: VcfRecord, where: str) -> list[float]:
        """Return the value of each allele as a number, NaN where it is missing.

        Raises
        ------
        DataError
            Where a value is none.
        """
        return [self._as_number(text, record, where) for text in self.texts(record, where)]

    def _as_number(self, text: bytes | None, record: VcfRecord, where: str) -> float:
        if text is None:
            return math.nan
        try:
            return _number(text)
        except ValueError:
            raise DataError(
                f"{where}:{record.number}: {self.name} is {shown(text)}; a field to compare with, or a label without"
                " --positive, must be a number"
            ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What is known of the alleles that are taken, in their order.

    Attributes
    ----------
    tag : str
        The field.
    positive : tuple of str
        Classes that are positive; empty for numbers.
    values : (alleles,), float64
        The number; or 1 where the class is positive and 0 where not. NaN where there is none.
    compared : dict of str to (alleles,), float64
        Numbers of other fields.
    in_labelled_records : (alleles,), bool
        Whether any allele of the record has a label.
    classes : dict of str to int
        Alleles of each class, the most frequent first; empty for numbers.
    """

    tag: str
    positive: tuple[str, ...]
    values: Float64Array
    compared: dict[str, Float64Array]
    in_labelled_records: npt.NDArray[np.bool_]
    classes: dict[str, int]

    @property
    def is_class(self) -> bool:
        """Whether it is a class rather than a number."""
        return bool(self.positive)

    @property
    def count(self) -> int:
        """Alleles that have a label."""
        return int((~np.isnan(self.values)).sum())

    def in_words(self) -> str:
        """Return what a user is told of them."""
        known = f"{self.count:,} of {self.values.size:,} alleles have {self.tag}"
        if not self.is_class:
            return f"{known}, a number"
        return f"{known}: {_named(self.classes)}; positive: {', '.join(self.positive)}"


class LabelledRecords(Records):
    """Of the records that are taken, those in which any allele has a label."""

    def __init__(self, taken: Records, labels: Labels) -> None:
        self._taken, self._labels = taken, labels

    @property
    def num_alleles(self) -> int:
        """Alleles of these records, labelled or not."""
        return int(self._labels.in_labelled_records.sum())

    def contig(self, record: VcfRecord) -> str | None:
        """Return the name of a record's contig in the genome; None where it has none."""
        return self._taken.contig(record)

    def batches(self, reader: VcfReader) -> Iterator[list[VcfRecord]]:
        """Give the records, in the lists in which they are read; some may be empty."""
        at = 0
        for batch in self._taken.batches(reader):
            kept = []
            for record in batch:
                if self._labels.in_labelled_records[at]:
                    kept.append(record)
                at += len(record.alts)
            yield kept


def read_labels(vcf: Path, taken: Records | None, tag: str, positive: Sequence[str], compare: Sequence[str]) -> Labels:
    """Read the labels of all alleles that are taken, and the fields to compare with; 8 bytes a number.

    Parameters
    ----------
    vcf : Path
        The file.
    taken : Records, optional
        What is taken of it; None takes it all.
    tag : str
        The field of the label.
    positive : sequence of str
        Classes that are positive. Without them the label must be a number, or a flag, which is positive where present.
    compare : sequence of str
        Fields of numbers.

    Raises
    ------
    DataError
        Where no allele has a label, or one that is asked for; where a label is a class, and which is positive is not
        said; where a number is none.
    """
    with VcfReader(vcf) as reader:
        label = Field(tag, reader.header)
        if label.is_flag and not positive:
            positive = (_PRESENT.decode(),)
        fields = {name: Field(name, reader.header) for name in compare}
        found = _Columns(str(vcf), label, positive, fields)
        for batch in reader.batches() if taken is None else taken.batches(reader):
            for record in batch:
                found.add(record)
        return found.finished(reader.header)


class _Columns:
    """Numbers as they are read, and the classes that were met."""

    def __init__(self, where: str, label: Field, positive: Sequence[str], fields: dict[str, Field]) -> None:
        self._where, self._label, self._fields = where, label, fields
        self._positive = {text.encode(): 1.0 for text in positive}
        self._values = array("d")
        self._compared = {name: array("d") for name in fields}
        self._in_labelled = bytearray()
        self._classes: Counter[bytes] = Counter()
        # The first label that is no number, where numbers are what is left.
        self._text: tuple[int, bytes] | None = None

    def add(self, record: VcfRecord) -> None:
        texts = self._label.texts(record, self._where)
        for text in texts:
            if text is not None and (text in self._classes or len(self._classes) < _MOST_CLASSES):
                self._classes[text] += 1
            self._values.append(self._value(text, record))
        is_labelled = any(text is not None for text in texts)
        self._in_labelled.extend([is_labelled] * len(texts))
        for name, field in self._fields.items():
            self._compared[name].extend(field.numbers(record, self._where))

    def _value(self, text: bytes | None, record: VcfRecord) -> float:
        if text is None:
            return math.nan
        if self._positive:
            return self._positive.get(text, 0.0)
        try:
            return _number(text)
        except ValueError:
            self._text = self._text or (record.number, text)
            return math.nan

    def finished(self, header: VcfHeader) -> Labels:
        values = np.frombuffer(self._values, np.float64) if self._values else np.empty(0)
        classes = {text.decode("utf-8", "backslashreplace"): count for text, count in self._classes.most_common()}
        if values.size and not classes:
            raise _nowhere(self._where, "--labels", self._label.name, header)
        self._check_classes(values, classes)
        compared = {
            name: np.frombuffer(column, np.float64) if column else np.empty(0)
            for name, column in self._compared.items()
        }
        for name, column in compared.items():
            if column.size and np.isnan(column).all():
                raise _nowhere(self._where, "--compare", name, header)
        return Labels(
            tag=self._label.name,
            positive=tuple(text.decode() for text in self._positive),
            values=values,
            compared=compared,
            in_labelled_records=np.frombuffer(bytes(self._in_labelled), np.bool_),
            classes=classes if self._positive else {},
        )

    def _check_classes(self, values: Float64Array, classes: dict[str, int]) -> None:
        """Refuse a positive class that nothing has, and classes of which none is said to be positive."""
        name = self._label.name
        if self._positive and classes:
            for text in self._positive:
                if text not in self._classes and len(self._classes) < _MOST_CLASSES:
                    hint = did_you_mean(text.decode(), classes) or f"; it has {_named(classes)}"
                    raise DataError(f"{self._where}: --positive has {text.decode()!r}, which no {name} is{hint}")
            if np.nanmin(values) == np.nanmax(values):
                which = "positive" if np.nanmax(values) else "of --positive"
                none_or_all = "every label is" if np.nanmax(values) else "no label is"
                raise DataError(
                    f"{self._where}: {none_or_all} {which}; there is nothing to tell apart: {name} is {_named(classes)}"
                )
        elif not self._positive and classes:
            is_text = self._text is not None and not self._label.is_number
            if is_text or (not self._label.is_number and len(classes) <= 2):
                raise DataError(
                    f"{self._where}: {name} is a class: {_named(classes)}; name those that are positive, such as"
                    f" --positive {min(classes, key=lambda text: classes[text])}"
                )
            if self._text is not None:
                number, text = self._text
                raise DataError(f"{self._where}:{number}: {name} is {shown(text)}, and is declared as a number")


def _number(text: bytes) -> float:
    """Read a number; one that is not finite has no place among others, and counts as missing."""
    number = float(text)
    return number if math.isfinite(number) else math.nan


def _known(text: bytes) -> bytes | None:
    return None if text in (_MISSING, b"") else text


def _named(classes: dict[str, int]) -> str:
    """Return the classes and how many alleles each has."""
    said = ", ".join(f"{text} ({count:,})" for text, count in list(classes.items())[:_NAMED])
    more = f" and {len(classes) - _NAMED:,} more" if len(classes) > _NAMED else ""
    return said + more


def _nowhere(where: str, option: str, name: str, header: VcfHeader) -> DataError:
    hint = did_you_mean(name, header.info)
    if not hint:
        fields = ", ".join(header.info) or "none"
        hint = f"; the header declares {fields}, and ID, QUAL and FILTER are columns"
    return DataError(f"{where}: {option} is {name}, which no record that is taken has{hint}")
