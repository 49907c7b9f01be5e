"""Where scores stand among those of a background: the tags GM_PCT and GM_Z."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.data.vcf_header import Tag
from genomamba.errors import RunError
from genomamba.model import LanguageModel
from genomamba.model.state import fingerprint
from genomamba.score.variants.calibration import CALIBRATION, Calibration
from genomamba.score.variants.classes import Classes
from genomamba.score.variants.scorers import Scorer

__all__ = ["AUTO", "NONE", "Background", "find_background"]

AUTO: Final = "auto"
NONE: Final = "none"

_log = logging.getLogger("genomamba")


class Background:
    """The background that the first score of a command is compared with.

    Attributes
    ----------
    calibration : Calibration
        Where it comes from.
    tags : tuple of Tag
        Percentile and distance.
    """

    def __init__(self, calibration: Calibration, classes: Classes, column: str) -> None:
        self.calibration = calibration
        self._classes, self._column = classes, column
        of, which = f"GM_{column.upper()}", f"; calibration {calibration.digest}"
        # With the digest, genomamba merge tells shards that were compared with other backgrounds.
        self.tags = (
            Tag(
                id="GM_PCT",
                number="A",
                type="Float",
                description=f"Percent, 0 to 100, of the background's variants of its mutational class that have a lower"
                f" {of}{which}",
            ),
            Tag(
                id="GM_Z",
                number="A",
                type="Float",
                description=f"{of} less the median of the background's variants of its mutational class, in robust"
                f" standard deviations (1.4826 x median absolute deviation){which}",
            ),
        )

    def in_words(self) -> str:
        """Return a line that says what it is."""
        calibration = self.calibration
        return f"{calibration.path}: GM_PCT and GM_Z by a background of {calibration.variants:,} variants"

    def columns(
        self, scores: Iterable[float], variants: Iterable[tuple[str | None, Variant]]
    ) -> dict[str, list[float]]:
        """Return the values of the tags by their columns, NaN where there is no score.

        Parameters
        ----------
        scores : iterable of float
            float32, one an allele.
        variants : iterable of (str or None, Variant)
            The alleles, and the names of their contigs in the genome.
        """
        percents: list[float] = []
        distances: list[float] = []
        for score, (contig, variant) in zip(scores, variants, strict=True):
            if contig is None or not math.isfinite(score):
                percents.append(math.nan)
                distances.append(math.nan)
                continue
            table = self.calibration.table(self._classes.of(contig, variant), self._column)
            percents.append(table.percentile(score))
            distances.append(table.z(score))
        return {tag.column: values for tag, values in zip(self.tags, (percents, distances), strict=True)}


def find_background(
    asked: str, folder: Path, scorer: Scorer, model: LanguageModel, genome: Genome
) -> Background | None:
    """Return the background to compare scores with, if any.

    Parameters
    ----------
    asked : str
        `AUTO`, for the one beside the model if it is there and fits; `NONE`; or a file.
    folder : Path
        Where the model's weights lie.
    scorer : Scorer
        Whose first column is compared.
    model, genome : LanguageModel, Genome
        What it scores with, and where.

    Raises
    ------
    RunError
        Where a file that was named cannot be read or does not fit.
    """
    path = folder / CALIBRATION if asked == AUTO else Path(asked)
    if asked == NONE or (asked == AUTO and not path.exists()):
        return None
    try:
        calibration = Calibration(path)
        if misfit := calibration.misfit(fingerprint(model), scorer.settings, scorer.columns[0]):
            raise RunError(
                f"{path}: {misfit}; make one that fits by genomamba calibrate, or go without by --calibration {NONE}"
            )
    except RunError as error:
        if asked != AUTO:
            raise
        _log.warning("%s; GM_PCT and GM_Z are left out", error)
        return None
    return Background(calibration, Classes(genome, folded=calibration.folded), scorer.columns[0])
