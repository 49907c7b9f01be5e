"""The header of a VCF: kept byte for byte, read for what it declares, and given the lines of our own tags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from genomamba import __version__
from genomamba.errors import DataError

__all__ = ["PREFIX", "InfoField", "Tag", "VcfHeader", "parse_header", "shown"]

PREFIX: Final = "GM_"
"""What the names of all our tags begin with."""

_SOURCE = "genomamba"
_SHARD = re.compile(rb"--shard[ =](\d+)/(\d+)")
_COMMAND = b"##genomambaCommand="
_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_FIELD = re.compile(rb'(\w+)=("(?:[^"\\]|\\.)*"|[^,>]*)')
_LENGTH = re.compile("[0-9]{1,18}")
_SHOWN = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """A field of INFO that we write.

    Attributes
    ----------
    id : str
        Its name, which begins with `PREFIX`.
    number : str
        `A` for a value an allele, `1` for a value a record.
    type : str
        `Float` and `Integer`, where NaN is missing, or `String`, where None is.
    description : str
        One line: what it is, its sign and its unit.
    """

    id: str
    number: Literal["A", "1"]
    type: Literal["Float", "Integer", "String"]
    description: str

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"{PREFIX}[A-Za-z0-9_]+", self.id):
            raise ValueError(f"{self.id!r} is no name of a tag of ours; write {PREFIX} and letters, digits or _")
        if self.number not in ("A", "1") or self.type not in ("Float", "Integer", "String"):
            raise ValueError(f"{self.id}: Number={self.number},Type={self.type} is not written; see Tag")
        if "\n" in self.description:
            raise ValueError(f"{self.id}: the description has more than one line")

    @property
    def column(self) -> str:
        """Name of its column in tables: `llr` for `GM_LLR`."""
        return self.id.removeprefix(PREFIX).lower()

    def header_line(self) -> bytes:
        """Return its line of the header, without an end."""
        description = self.description.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'##INFO=<ID={self.id},Number={self.number},Type={self.type},Description="{description}",'
            f'Source="{_SOURCE}",Version="{__version__}">'
        ).encode()


@dataclass(frozen=True, slots=True)
class InfoField:
    """What a header says of a field of INFO, as text: its Number, its Type, and who wrote it."""

    number: str
    type: str
    source: str


@dataclass(frozen=True, slots=True)
class VcfHeader:
    """The lines before the first record.

    Attributes
    ----------
    name : str
        The file, for messages.
    lines : tuple of bytes
        Every line, with its end.
    contigs : dict of str to (int or None)
        Contigs that are declared, in order, and their lengths in bases where these are given.
    info : dict of str to InfoField
        Fields of INFO that are declared.
    samples : tuple of str
        Names of the samples.
    num_columns : int
        Columns of every line.
    """

    name: str
    lines: tuple[bytes, ...]
    contigs: dict[str, int | None]
    info: dict[str, InfoField]
    samples: tuple[str, ...]
    num_columns: int

    def to_bytes(self) -> bytes:
        """Return the header as it was read."""
        return b"".join(self.lines)

    def longest_contig(self) -> int:
        """Return the length of the longest contig that is declared with a length; 0 where none is."""
        return max((length or 0 for length in self.contigs.values()), default=0)

    def own_tags(self) -> frozenset[str]:
        """Return the names of the tags that an earlier run of ours declared."""
        return frozenset(name for name, field in self.info.items() if _is_ours(name, field))

    def annotated(self, tags: Sequence[Tag], command: str) -> bytes:
        """Return the header with the lines of our tags and the command in place of those of an earlier run.

        They follow the last line of another's ##INFO, or come before #CHROM. No other byte changes.

        Raises
        ------
        DataError
            Where a tag of the same name is declared, and is not ours.
        """
        own = self.own_tags()
        end = self.lines[-1][len(self.lines[-1].rstrip(b"\r\n")) :] or b"\n"
        kept: list[bytes] = []
        place = None
        for number, line in enumerate(self.lines, 1):
            if line.startswith(b"##INFO="):
                name = _fields(line).get("ID", "")
                if name in own:
                    continue
                if any(tag.id == name for tag in tags):
                    raise DataError(
                        f"{self.name}:{number}: declares {name}, which is a tag that genomamba writes, with another "
                        "Source; rename or remove it: bcftools annotate -x INFO/" + name
                    )
                place = len(kept) + 1
            if not line.startswith(_COMMAND):
                kept.append(line)
        said = " ".join(command.split()).encode("utf-8", "surrogateescape")
        added = [*(tag.header_line() for tag in tags), _COMMAND + said]
        place = len(kept) - 1 if place is None else place
        return b"".join([*kept[:place], *(line + end for line in added), *kept[place:]])

    def without_command(self) -> bytes:
        """Return the header without the lines that tell our command, which differ between shards of one run."""
        return b"".join(line for line in self.lines if not line.startswith(_COMMAND))

    @property
    def shard(self) -> tuple[int, int] | None:
        """Which part of how many an earlier run of ours has written, from 1, as its command says; None for a whole."""
        commands = b" ".join(line for line in self.lines if line.startswith(_COMMAND))
        match = _SHARD.search(commands)
        return None if match is None else (int(match[1]), int(match[2]))

    def with_command(self, command: str) -> bytes:
        """Return the header with another command in the place of ours."""
        said = _COMMAND + " ".join(command.split()).encode("utf-8", "surrogateescape")
        return b"".join(
            said + line[len(line.rstrip(b"\r\n")) :] if line.startswith(_COMMAND) else line for line in self.lines
        )


def parse_header(name: str, lines: Sequence[bytes]) -> VcfHeader:
    """Read the lines up to and with #CHROM, each with its end. Raises `DataError` where that line is malformed."""
    contigs: dict[str, int | None] = {}
    info: dict[str, InfoField] = {}
    for line in lines:
        if line.startswith(b"##contig="):
            fields = _fields(line)
            length = fields.get("length", "")
            contigs[fields.get("ID", "")] = int(length) if _LENGTH.fullmatch(length) else None
        elif line.startswith(b"##INFO="):
            fields = _fields(line)
            info[fields.get("ID", "")] = InfoField(
                fields.get("Number", ""), fields.get("Type", ""), fields.get("Source", "")
            )
    columns = _columns(f"{name}:{len(lines)}", lines[-1])
    return VcfHeader(name, tuple(lines), contigs, info, tuple(columns[9:]), len(columns))


def shown(text: bytes) -> str:
    """Return bytes as a message shows them: quoted, on one line, cut where they are long."""
    quoted = repr(text[:_SHOWN].decode("utf-8", "backslashreplace"))
    return quoted if len(text) <= _SHOWN else f"{quoted}... ({len(text):,} bytes)"


def _columns(where: str, line: bytes) -> list[str]:
    text = line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
    columns = text.split("\t")
    if tuple(columns[:8]) != _COLUMNS:
        if len(columns) == 1 and tuple(text.split()[:8]) == _COLUMNS:
            raise DataError(f"{where}: the names of the columns are divided by spaces; VCF divides them by tabs")
        raise DataError(
            f"{where}: the columns are {', '.join(columns[:9])[:80]}; expected {', '.join(_COLUMNS)}, divided by tabs"
        )
    if len(columns) > 8 and columns[8] != "FORMAT":
        raise DataError(f"{where}: column 9 is {shown(columns[8].encode())}; expected FORMAT, then the samples")
    return columns


def _fields(line: bytes) -> dict[str, str]:
    found = _FIELD.findall(line[line.find(b"<") + 1 :])
    return {key.decode(): value.decode("utf-8", "backslashreplace").strip('"') for key, value in found}


def _is_ours(name: str, field: InfoField) -> bool:
    return name.startswith(PREFIX) and field.source == _SOURCE
