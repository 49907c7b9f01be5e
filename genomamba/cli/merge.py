"""`genomamba merge SHARD ...`: put shards of scores, embeddings or bigWigs together; hold scores against labels."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from genomamba.cli.parsing import Parser
from genomamba.cli.process import command_line, prepare_process
from genomamba.errors import ConfigError
from genomamba.score.variants.config import ScoreConfig, refuse_one_name_twice
from genomamba.settings import settings_of

__all__ = ["parser", "run"]

BIGWIG: Final = ".bw"
_ALL: Final = settings_of(ScoreConfig)
SETTINGS: Final = {
    setting.name: replace(setting, help=setting.help.removesuffix(" Needed."))
    for setting in _ALL.values()
    if setting.section == "Labels" or setting.name in ("report", "fasta", "chrom_map", "cache_dir")
    if setting.name != "baselines"
}

_EPILOG = """\
With --labels or --report, --out may be left out: one file that was scored is then read and not copied. With --fasta, a
Markov model of it stands beside the scores, and transitions of CpG are told from others.
"""


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "merge",
        "SHARD ... --out FILE [options]",
        description="Put shards that score or embed has written, or bigWigs that likelihood has, together in the order"
        " given.",
        epilog=_EPILOG,
    )
    made.add_argument(
        "shards", metavar="SHARD", nargs="+", type=Path, help="files that score, embed or likelihood has written"
    )
    made.add_argument("--out", metavar="FILE", help="as for those; - is standard output of records")
    made.add_argument("-O", "--output-type", metavar="{v,z,b}", help="as for score")
    made.add_argument(
        "--force", action="store_true", default=argparse.SUPPRESS, help="replace --out, --metrics, --report"
    )
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Merge, say what was written and found, and return the exit code."""
    made = parser()
    given = made.parse(argv)
    values = made.flags(SETTINGS, given)
    asks = "labels" in values or "report" in values
    if given.out is None and not (asks and len(given.shards) == 1):
        raise ConfigError("no file to write; name one by --out, such as scored.vcf.gz")
    if given.out is not None and given.out.lower().endswith(BIGWIG):
        return _merge_tracks(given, values)
    if values and not asks:
        flag = SETTINGS[next(iter(values))].flag
        raise ConfigError(f"{flag} is about a study of the scores; ask for one by --labels or --report")
    files = {"out": given.out, "metrics": values.get("metrics"), "report": values.get("report")}
    refuse_one_name_twice(**files)
    prepare_process()
    from genomamba.classify.embedding_files import holds_embeddings, merge_embeddings
    from genomamba.data.vcf_output import check_outputs, is_stream, output_kind

    if Path("-") in given.shards:
        raise ConfigError("a shard is '-'; shards are read twice, so name files")
    for option, name in files.items():
        if name is not None and Path(name) in given.shards:
            raise ConfigError(f"--{option} is {name}, one of the shards; give another name")
    check_outputs(force=hasattr(given, "force"), **files)
    if holds_embeddings(given.shards[0]):
        if asks:
            raise ConfigError(f"{given.shards[0]}: holds embeddings, which labels and reports are not made of")
        count = merge_embeddings(given.shards, Path(given.out))
        print(f"{given.out}: {count:,} sequences", file=sys.stderr)
        return 0
    scored = given.shards[0]
    # Without the shards, so that the bytes do not depend on how many there were.
    command = command_line("merge", [word for word in argv if Path(word) not in given.shards])
    emit = functools.partial(print, file=sys.stderr, flush=True)
    if given.out is not None:
        from genomamba.data.vcf_merge import merge_scored

        kind = output_kind(given.out, given.output_type)
        if asks and (is_stream(given.out) or kind not in ("vcf", "vcf.gz", "bcf")):
            raise ConfigError(f"--out is {given.out}; labels and reports are made of a VCF or BCF, so let it be one")
        count = merge_scored(given.shards, given.out, kind, command)
        scored = Path(given.out)
        if not is_stream(given.out):
            emit(f"{given.out}: {count:,} {'records' if kind in ('vcf', 'vcf.gz', 'bcf') else 'rows'}")
    if asks:
        from genomamba.score.variants.merged import study_scored

        study_scored(scored, values, command=command, emit=emit)
    return 0


def _merge_tracks(given: argparse.Namespace, values: Mapping[str, Any]) -> int:
    from genomamba.data.vcf_output import check_outputs
    from genomamba.score.tracks import merge_bigwigs

    if values:
        raise ConfigError(f"{SETTINGS[next(iter(values))].flag} is for scores, and --out is {given.out}; leave it out")
    if given.output_type is not None:
        raise ConfigError(f"-O is for VCF, and --out is {given.out}; leave it out")
    if Path(given.out) in given.shards:
        raise ConfigError(f"--out is {given.out}, one of the shards; give another name")
    check_outputs(force=hasattr(given, "force"), out=given.out)
    bases = merge_bigwigs(given.shards, Path(given.out))
    print(f"{given.out}: {bases:,} bases", file=sys.stderr)
    return 0
