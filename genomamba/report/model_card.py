"""The model card: README.md beside weights, filled from what is known of them and silent where nothing is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2

from genomamba.alphabet import TOKENS
from genomamba.config import ModelConfig
from genomamba.files import atomic_file
from genomamba.model.checkpoint import open_checkpoint
from genomamba.report import words
from genomamba.report.model_facts import SPLITS, damage_told, is_causal, provenance_of, rows_of, unit_of, what_it_is

__all__ = ["CARD", "render_card", "write_card", "write_run_card"]

CARD: Final = "README.md"


def render_card(
    config: ModelConfig,
    provenance: Mapping[str, Any],
    *,
    name: str,
    license: str | None = None,
    for_transformers: bool = False,
) -> str:
    """Return the card of a model, as Markdown with the hub's metadata.

    Parameters
    ----------
    config : ModelConfig
        The network.
    provenance : mapping
        How it was made, as `genomamba.report.model_facts.provenance_of` gives it.
    name : str
        What the card calls it, and what its example loads.
    license : str, optional
        Of the weights, as the hub spells it.
    for_transformers : bool
        Whether the weights lie in the layout of transformers.

    Raises
    ------
    RunError
        Where `provenance` is not as it was written.
    """
    with damage_told(name):
        return _fill_in(config, provenance, name, license, for_transformers)


def _fill_in(
    config: ModelConfig, provenance: Mapping[str, Any], name: str, license: str | None, for_transformers: bool
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("genomamba.report", "."),
        # It is Markdown, of which HTML's escapes would show.
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": _cell, "text": json.dumps, "size": words.size, "share": words.share, "bits": _bits}
    environment.filters["figure"] = words.figure
    run = {"inputs": [], "splits": {}, "held_out_contigs": {}} | (provenance.get("run") or {})
    evaluation = {"splits": {}, "markov_order": None, "context": None} | (run.get("evaluation") or {})
    return environment.get_template("model_card.md.jinja").render(
        name=name,
        license=license,
        for_transformers=for_transformers,
        what=what_it_is(config),
        rows=rows_of(config, provenance),
        tags=_tags(config),
        run=run,
        splits=SPLITS,
        evaluation=evaluation,
        masked=evaluation.get("objective") == "masked",
        worse=_worse_than_markov(evaluation),
        limits=_limits(config, provenance),
        causal=is_causal(config),
        has_letters=config.alphabet != TOKENS,
        unit=unit_of(config),
    )


def write_card(folder: Path, config: ModelConfig, provenance: Mapping[str, Any], **options: Any) -> None:
    """Write README.md into an existing folder, whole or not at all; options are those of `render_card`."""
    with atomic_file(folder / CARD) as temporary:
        temporary.write_text(render_card(config, provenance, **options), encoding="utf-8")


def write_run_card(run: Path) -> None:
    """Write the card of the model of a run folder.

    Raises
    ------
    RunError
        Where the run has no model yet, or a file of it is damaged.
    """
    checkpoint = open_checkpoint(run)
    write_card(run, checkpoint.config, provenance_of(checkpoint), name=run.resolve().name)


def _tags(config: ModelConfig) -> list[str]:
    kinds = ["causal-lm"] if is_causal(config) else ["masked-lm"]
    return sorted(["mamba", *kinds, *(["bytes"] if config.alphabet == "bytes" else ["dna", "genomics", "biology"])])


def _worse_than_markov(evaluation: Mapping[str, Any]) -> list[str]:
    """Names of the splits on which counting words does better than the model."""
    return [
        SPLITS[name]
        for name, split in evaluation.get("splits", {}).items()
        if split["markov"] is not None and split["markov"] < split["bits_per_base"]
    ]


def _limits(config: ModelConfig, provenance: Mapping[str, Any]) -> list[str]:
    limits, unit = [], unit_of(config)
    if context := provenance.get("context"):
        limits.append(
            f"It was trained on windows of {context:,} {unit}s. Longer sequences can be read, in memory that does not "
            "depend on it, but whether what lies further back helps has to be measured."
            if is_causal(config)
            else f"It was trained on windows of {context:,} {unit}s; on longer sequences its predictions are untried."
        )
    if is_causal(config):
        limits.append(
            f"It sees what lies before a {unit} and nothing after it"
            + ("; scores depend on the strand that is read." if unit == "base" else ".")
        )
    else:
        limits.append(
            f"It sees both sides of a {unit}: its predictions do not multiply to the probability of a sequence, and it "
            "draws no new ones."
        )
    if config.alphabet not in ("bytes", TOKENS):
        limits.append("It knows A, C, G and T: other IUPAC codes are read as unknown, and case is not told apart.")
    figures = "The figures are of the sequences named above; on others" if _has_figures(provenance) else "On sequences"
    limits.append(
        f"{figures}, and on variants, genes or disease, nothing was measured: it is not for decisions about patients."
    )
    return limits


def _has_figures(provenance: Mapping[str, Any]) -> bool:
    return bool(((provenance.get("run") or {}).get("evaluation") or {}).get("splits"))


def _bits(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.4f}"


def _cell(value: Any) -> str:
    """Text that does not end its cell of a table, nor its line."""
    return " ".join(str(value).replace("|", "\\|").split())
