"""Recipes: published settings of a pretraining, by name, as defaults of `PretrainConfig`, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["RECIPES", "Recipe", "RecipeChoice", "RecipeName", "defaults_of"]

RecipeName = Literal["caduceus-small", "caduceus-base", "mamba-dna-causal"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeChoice:
    """What the command line can be told beside `PretrainConfig`."""

    recipe: RecipeName | None = None
    """Take published settings as defaults; other options change them. --print-config shows them and their source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Published settings.

    Attributes
    ----------
    source : tuple of str
        Where they were published, what they are, and what of them stands otherwise here; paragraphs.
    settings : mapping
        Fields of `PretrainConfig`.
    """

    source: tuple[str, ...]
    settings: Mapping[str, Any]


# 32 windows are run at once, so that a step fits into a laptop's memory; its gradient is that of all 1,024.
_STEP: Final = {"context": 1_024, "batch_size": 32, "accumulate": 32, "max_steps": 10_000}
_ADAMW: Final = {"learning_rate": 8e-3, "weight_decay": 0.1, "warmup": 0.1, "clip": 1.0}
_CADUCEUS: Final = {
    "num_layers": 4, "d_state": 16, "objective": "masked", "strand": "equivariant",
    # The published schedule ends at 1e-4.
    **_STEP, **_ADAMW, "final_rate": 0.0125,
}  # fmt: skip

_CADUCEUS_SOURCE: Final = (
    'Schiff et al. 2024, "Caduceus", arXiv:2403.03234, and the configuration that its authors released, '
    "github.com/kuleshov-group/caduceus: configs/experiment/hg38/hg38.yaml, slurm_scripts/run_pretrain_caduceus.sh.",
    "Bidirectional, both directions added, their projections tied; 15 % of the bases masked; 1,024 windows of 1,024 "
    "bases a step, 2^20 tokens; 10,000 steps, 1.05 x 10^10 tokens; AdamW with betas 0.9 and 0.95, decay 0.1, gradient "
    "clipped at 1; learning rate 8e-3 after a linear warm-up of a tenth of the steps, then a half cosine down to 1e-4.",
    "As it stands this is Caduceus-PS, whose strands are equal; --strand random is Caduceus-Ph, trained on a strand "
    "drawn per window.",
    "What differs: the released code draws windows around the training segments of HyenaDNA in the human genome, and "
    "computes in 16 bits. Here windows come from the FASTA files that are given, --precision says how products are "
    "computed, and weights are initialised as genomamba does.",
)

RECIPES: Final[Mapping[RecipeName, Recipe]] = {
    "caduceus-small": Recipe(
        source=(
            *_CADUCEUS_SOURCE,
            "Size: 4 layers of width 118, as in table 1 of the paper (Genomic Benchmarks, 470 thousand parameters).",
        ),
        settings={"d_model": 118, **_CADUCEUS},
    ),
    "caduceus-base": Recipe(
        source=(*_CADUCEUS_SOURCE, "Size: 4 layers of width 256, as released for contexts of 1,024."),
        settings={"d_model": 256, **_CADUCEUS},
    ),
    "mamba-dna-causal": Recipe(
        source=(
            'Gu & Dao 2023, "Mamba", arXiv:2312.00752, section 4.3.1 and appendices E.2 and E.3.',
            "12 layers of width 128, the 1.4 million parameters of its study of contexts (appendix E.3.2: 6 blocks, of "
            "two Mamba layers each); next base; 1,024 windows of 1,024 bases a step, 2^20 tokens; 10,000 steps; AdamW "
            "with betas 0.9 and 0.95, decay 0.1, gradient clipped at 1; learning rate 8e-3, the best of four, after a "
            "linear warm-up of a tenth of the steps, then a half cosine down to 1e-5.",
            "What differs: the paper trains on the human genome as HyenaDNA parts it; here windows come from the FASTA "
            "files that are given. It does not say that strands were drawn; --strand forward reads the file's alone. "
            "Its longer contexts (section 4.3.2) take 2^24 tokens a step, in turns from 1,024 up: --context-schedule.",
        ),
        settings={
            "num_layers": 12,
            "d_model": 128,
            "d_state": 16,
            "objective": "next_token",
            **_STEP,
            **_ADAMW,
            "final_rate": 0.00125,
        },
    ),
}

# What is given in place of several settings of a recipe, and those.
_REPLACED: Final = {
    "preset": ("num_layers", "d_model", "d_state"),
    "init": ("num_layers", "d_model", "d_state"),
    "context_schedule": ("context", "batch_size", "max_steps"),
}


def defaults_of(recipe: RecipeName | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a recipe, less those that another kind of setting among the given ones stands for.

    A preset, or weights to go on from, replace its shape; turns replace its context, windows and steps.
    """
    if recipe is None:
        return {}
    replaced = {name for kind, names in _REPLACED.items() if given.get(kind) for name in names}
    return {name: value for name, value in RECIPES[recipe].settings.items() if name not in replaced}
