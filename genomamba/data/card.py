"""The dataset card: what each set of a split holds, counted over the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genomamba.alphabet import Alphabet
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.data.windows import Split
from genomamba.errors import RunError
from genomamba.files import read_json

__all__ = ["check_card", "dataset_card"]

_BLOCK: Final = 1 << 20
_SETS: Final = ("train", "valid", "test")


def dataset_card(
    genome: Genome,
    split: Split,
    alphabet: Alphabet,
    context: int,
    genomes: Mapping[str, tuple[float, Split]] | None = None,
) -> dict[str, Any]:
    """Describe a split, in plain values for JSON.

    Parameters
    ----------
    genomes : mapping of str to (float, Split), optional
        Of a mixture, each genome's share of the windows, and its part of the split.

    Returns
    -------
    card : dict
        `splits`: for each of train, valid and test `intervals`, `contigs` and `windows` (numbers; windows of
        `context`), `bases`, and for `dna` `acgt`, `n_share`, `softmask_share`, `gc` (among ACGT), else None.
        `genomes`, of a mixture: name, share and `splits` of each.
        `contigs`: name, length and set of each, sets joined by `+` where there are several. `excluded`: name
        and length. `inputs`: as `Genome.inputs`.
    """
    sets = {name: getattr(split, name) for name in _SETS}
    members: dict[str, list[str]] = {}
    for name, intervals in sets.items():
        for contig in {interval.contig for interval in intervals}:
            members.setdefault(contig, []).append(name)
    card = {
        "splits": {name: _describe(genome, intervals, alphabet, context) for name, intervals in sets.items()},
        "contigs": [
            {"name": c.name, "length": c.length, "split": "+".join(members.get(c.name, []))} for c in genome.contigs
        ],
        "excluded": [{"name": c.name, "length": c.length} for c in genome.excluded],
        "inputs": genome.inputs,
    }
    if genomes:
        card["genomes"] = [
            {
                "name": name,
                "share": share,
                "splits": {part: _describe(genome, getattr(own, part), alphabet, context) for part in _SETS},
            }
            for name, (share, own) in genomes.items()
        ]
    return card


def check_card(path: Path, split: Split) -> None:
    """Raise `RunError` where the card at `path`, if there is one, tells of another split: it was made anew since.

    Parameters
    ----------
    path : Path
        The card, as JSON.
    split : Split
        As it is made now.
    """
    if not path.is_file():
        return
    for name, before in read_json(path)["splits"].items():
        intervals = getattr(split, name)
        now_is = {"bases": sum(map(len, intervals)), "intervals": len(intervals), "sha256": _checksum(intervals)}
        # Cards of before tell no checksum.
        if any(before.get(key, value) != value for key, value in now_is.items()):
            raise RunError(
                f"{path}: {name} had {before['bases']:,} bases in {before['intervals']:,} stretches, and would now "
                f"have {now_is['bases']:,} in {now_is['intervals']:,}, or others; bring back the BED files, or the "
                "genomamba, that the run was started with, or start anew"
            )


def _checksum(intervals: Sequence[Interval]) -> str:
    """Return the SHA-256 of where stretches lie."""
    return hashlib.sha256("".join(f"{one.contig}\t{one.start}\t{one.end}\n" for one in intervals).encode()).hexdigest()


def _describe(genome: Genome, intervals: Sequence[Interval], alphabet: Alphabet, context: int) -> dict[str, Any]:
    counts = _count_symbols(genome, intervals)
    bases = int(counts.sum())
    card: dict[str, Any] = {
        "intervals": len(intervals),
        "contigs": len({interval.contig for interval in intervals}),
        "bases": bases,
        "sha256": _checksum(intervals),
        "windows": sum(max(1, len(interval) // context) for interval in intervals),
        "acgt": None,
        "n_share": None,
        "softmask_share": None,
        "gc": None,
    }
    if alphabet.has_complement and bases:
        tokens = np.bincount(alphabet.token_of_symbol, weights=counts, minlength=256)
        acgt = int(tokens[alphabet.targets].sum())
        gc = int(tokens[alphabet.encode("CG")].sum())
        soft = int(counts[alphabet.softmask(np.arange(256, dtype=np.uint8))].sum())
        card |= {
            "acgt": acgt,
            "n_share": 1 - acgt / bases,
            "softmask_share": soft / bases,
            "gc": gc / acgt if acgt else None,
        }
    return card


def _count_symbols(genome: Genome, intervals: Iterable[Interval]) -> npt.NDArray[np.int64]:
    counts = np.zeros(256, np.int64)
    for interval in intervals:
        for start in range(interval.start, interval.end, _BLOCK):
            symbols = genome.fetch(interval.contig, start, min(start + _BLOCK, interval.end))
            counts += np.bincount(symbols, minlength=256)
    return counts
