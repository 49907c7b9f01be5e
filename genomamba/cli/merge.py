"""`genomamba merge SHARD ...`: put the shards of a scored file, or the contigs of a bigWig, together again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from genomamba.cli.parsing import Parser
from genomamba.cli.process import command_line
from genomamba.errors import ConfigError, RunError

__all__ = ["parser", "run"]

BIGWIG: Final = ".bw"


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "merge",
        "SHARD ... --out SCORED.vcf.gz [-O v|z|b] [--force]",
        description="Put shards that score has written, or bigWigs that likelihood has, together in the order given.",
    )
    made.add_argument(
        "shards", metavar="SHARD", nargs="+", type=Path, help="files that score or likelihood has written"
    )
    made.add_argument("--out", metavar="FILE", help="as for score; - is standard output. Needed")
    made.add_argument("-O", "--output-type", metavar="{v,z,b}", help="as for score")
    made.add_argument("--force", action="store_true", default=argparse.SUPPRESS, help="replace --out")
    return made


def run(argv: Sequence[str]) -> int:
    """Merge, say what was written, and return the exit code."""
    given = parser().parse(argv)
    if given.out is None:
        raise ConfigError("no file to write; name one by --out, such as scored.vcf.gz")
    if given.out.lower().endswith(BIGWIG):
        return _merge_tracks(given)
    from genomamba.data.vcf_merge import merge_scored
    from genomamba.data.vcf_output import is_stream, output_kind

    kind = output_kind(given.out, given.output_type)
    if not is_stream(given.out) and Path(given.out).exists() and not hasattr(given, "force"):
        raise RunError(f"{given.out}: exists; give --force to replace it, or another name")
    if Path("-") in given.shards:
        raise ConfigError("a shard is '-'; shards are read twice, so name files")
    if given.out in {str(shard) for shard in given.shards}:
        raise ConfigError(f"--out is {given.out}, one of the shards; give another name")
    count = merge_scored(given.shards, given.out, kind, command_line("merge", argv))
    if not is_stream(given.out):
        print(f"{given.out}: {count:,} {'records' if kind in ('vcf', 'vcf.gz', 'bcf') else 'rows'}", file=sys.stderr)
    return 0


def _merge_tracks(given: argparse.Namespace) -> int:
    from genomamba.score.tracks import merge_bigwigs

    if given.output_type is not None:
        raise ConfigError(f"-O is for VCF, and --out is {given.out}; leave it out")
    if Path(given.out) in given.shards:
        raise ConfigError(f"--out is {given.out}, one of the shards; give another name")
    if Path(given.out).exists() and not hasattr(given, "force"):
        raise RunError(f"{given.out}: exists; give --force to replace it, or another name")
    bases = merge_bigwigs(given.shards, Path(given.out))
    print(f"{given.out}: {bases:,} bases", file=sys.stderr)
    return 0
