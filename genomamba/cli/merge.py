"""`genomamba merge SHARD ...`: put the shards of a scored file, or of embeddings, together again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from genomamba.cli.parsing import Parser
from genomamba.cli.process import command_line
from genomamba.errors import ConfigError, RunError

__all__ = ["parser", "run"]


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "merge",
        "SHARD ... --out FILE [-O v|z|b] [--force]",
        description="Put the shards that score --shard, or embed --shard, has written together, in the order given.",
    )
    made.add_argument(
        "shards", metavar="SHARD", nargs="+", type=Path, help="files that score --shard or embed --shard has written"
    )
    made.add_argument("--out", metavar="FILE", help="as for score or embed; - is standard output of records. Needed")
    made.add_argument("-O", "--output-type", metavar="{v,z,b}", help="as for score")
    made.add_argument("--force", action="store_true", default=argparse.SUPPRESS, help="replace --out")
    return made


def run(argv: Sequence[str]) -> int:
    """Merge, say what was written, and return the exit code."""
    given = parser().parse(argv)
    if given.out is None:
        raise ConfigError("no file to write; name one by --out, such as scored.vcf.gz")
    from genomamba.classify.embedding_files import holds_embeddings, merge_embeddings
    from genomamba.data.vcf_merge import merge_scored
    from genomamba.data.vcf_output import is_stream, output_kind

    if holds_embeddings(given.shards[0]):
        _check_free(given)
        count = merge_embeddings(given.shards, Path(given.out))
        print(f"{given.out}: {count:,} sequences", file=sys.stderr)
        return 0
    kind = output_kind(given.out, given.output_type)
    if not is_stream(given.out):
        _check_free(given)
    if Path("-") in given.shards:
        raise ConfigError("a shard is '-'; shards are read twice, so name files")
    count = merge_scored(given.shards, given.out, kind, command_line("merge", argv))
    if not is_stream(given.out):
        print(f"{given.out}: {count:,} {'records' if kind in ('vcf', 'vcf.gz', 'bcf') else 'rows'}", file=sys.stderr)
    return 0


def _check_free(given: argparse.Namespace) -> None:
    """Refuse an output that is there, or is one of the shards."""
    if given.out in {str(shard) for shard in given.shards}:
        raise ConfigError(f"--out is {given.out}, one of the shards; give another name")
    if Path(given.out).exists() and not hasattr(given, "force"):
        raise RunError(f"{given.out}: exists; give --force to replace it, or another name")
