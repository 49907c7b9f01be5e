"""`genomamba index FASTA...`: read FASTA files into the cache that training reads."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from genomamba.cli.parsing import Parser
from genomamba.config import PretrainConfig
from genomamba.settings import settings_of

if TYPE_CHECKING:
    from genomamba.alphabet import Alphabet

__all__ = ["parser", "run"]

SETTINGS: Final = {name: settings_of(PretrainConfig)[name] for name in ("fasta", "alphabet", "contigs", "cache_dir")}


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "index",
        "[FASTA ...] [--alphabet {dna,bytes}] [--cache-dir DIR] [--rebuild] [--table FILE]",
        description="Read FASTA files into the cache that training reads, and print what is in them.",
    )
    made.add_argument("fasta", metavar="FASTA", nargs="*", default=argparse.SUPPRESS, help=SETTINGS["fasta"].help)
    made.add_settings(setting for name, setting in SETTINGS.items() if name != "fasta")
    made.add_argument("--rebuild", action="store_true", help="make the cache anew where there is one")
    made.add_argument("--table", metavar="FILE", default=None, help="TSV to write: name and length of --contigs")
    return made


def run(argv: Sequence[str]) -> int:
    """Build the caches, print a line a file, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = PretrainConfig(**made.values(SETTINGS, namespace))
    from genomamba.alphabet import get_alphabet
    from genomamba.data.cache import build_cache
    from genomamba.data.examples import example_paths
    from genomamba.data.source import expand_paths

    alphabet = get_alphabet(config.alphabet)
    paths = expand_paths(config.fasta) or [files["fasta"] for files in example_paths().values()]
    for path in paths:
        start = time.perf_counter()
        cached = build_cache(path, alphabet, cache_dir=config.cache_dir, rebuild=namespace.rebuild)
        seconds = time.perf_counter() - start
        contigs, bases = len(cached.contigs), sum(contig.length for contig in cached.contigs.values())
        counts = f"{contigs:,} contig{'s'[: contigs != 1]}, {bases:,} bp"
        print(f"{path}: {counts}, {seconds:.2f} s, cache {cached.path}", flush=True)
    if namespace.table is not None:
        _write_table(Path(namespace.table), paths, alphabet, config)
    return 0


def _write_table(out: Path, paths: Sequence[str | Path], alphabet: Alphabet, config: PretrainConfig) -> None:
    from genomamba.data.genome import Genome
    from genomamba.files import atomic_file

    genome = Genome.open(paths, alphabet, cache_dir=config.cache_dir, contigs=config.contigs)
    with atomic_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write("contig\tlength\n")
        file.writelines(f"{contig.name}\t{contig.length}\n" for contig in genome.contigs)
