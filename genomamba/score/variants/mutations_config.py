"""Settings of `genomamba ism`, a frozen dataclass that its command line is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from genomamba.errors import ConfigError
from genomamba.score.variants.config import ScorerConfig

__all__ = ["NO_PICTURE", "MutagenesisConfig"]

NO_PICTURE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class MutagenesisConfig(ScorerConfig):
    """Everything that `genomamba ism` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        **ScorerConfig.SECTIONS, "region": "Data", "deletions": "Scoring", "plot": "Output",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Data
    region: str | None = None
    """Change the bases of this stretch: chr1:1,001-2,000 (1-based, inclusive, as in samtools). Needed."""
    gff: str | None = None
    """Genes to draw: GFF3 or GTF, plain, gzip or BGZF."""

    # Scoring
    deletions: tuple[int, ...] = ()
    """Bases that are deleted at once, such as 1,3; 0 for no deletions.
    Default: 1, or 0 where no score that is asked for has a number for them."""

    # Output
    out: str | None = None
    """Table to write: .tsv, .tsv.gz or .parquet; - is standard output. Needed."""
    plot: str | None = None
    """Picture to write, .svg or .png; none for none. Default: the name of --out with .svg, up to 5,000 bases."""
    plot_score: str | None = None
    """Column to draw. Default: llr_lc, or the first."""
    dry_run: bool = False
    """Say how many variants there are and about how long they take, and stop."""
    force: bool = False
    """Replace --out and --plot."""

    def __post_init__(self) -> None:
        ScorerConfig.__post_init__(self)
        if self.region is None:
            raise ConfigError("no region; name it by --region, such as chr1:1,001-1,200")
        if self.out is None and not self.dry_run:
            raise ConfigError("no file to write; name one by --out, such as ism.tsv")
