"""`genomamba ism`: change every base of a region, score the changes, and write the table and its picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from genomamba.alphabet import get_alphabet
from genomamba.data.genome import Genome
from genomamba.data.vcf_output import is_stream, open_bytes
from genomamba.data.vcf_tables import open_parquet_table
from genomamba.errors import ConfigError, RunError
from genomamba.files import atomic_file
from genomamba.model.checkpoint import open_checkpoint
from genomamba.model.device import choose_device
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.report.genes import GeneModel, read_genes
from genomamba.report.mutagenesis import Mutagenesis, PictureFormat, draw_mutagenesis
from genomamba.report.words import duration
from genomamba.score.progress import Progress
from genomamba.score.variants.mutations import BASES, Mutations, mutations_of, scored_mutations
from genomamba.score.variants.mutations_config import NO_PICTURE, MutagenesisConfig
from genomamba.score.variants.mutations_cost import seconds_for
from genomamba.score.variants.scorers import Scorer, choose_scorer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["mutagenesis"]

MOST_DRAWN: Final = 5_000
"""Bases of a region that is drawn without being asked to."""

_KINDS: Final = ("tsv", "tsv.gz", "parquet")
_PICTURES: Final[dict[str, PictureFormat]] = {".svg": "svg", ".png": "png"}
_RATIOS: Final = frozenset({"llr", "llr_lc", "wt_marginal", "masked_marginal", "pseudo_llr"})
_DIVERGENCES: Final = frozenset({"js_divergence", "influence"})
_CORRECTED: Final = "llr_lc"
_PLACE: Final = "influence_at"


def mutagenesis(name: str, config: MutagenesisConfig, *, emit: Callable[[str], None]) -> None:
    """Score every substitution and the deletions of a region, and write what `config.out` and `config.plot` name.

    Parameters
    ----------
    name : str
        The model: a run folder, a checkpoint folder, or a name on the hub.
    config : MutagenesisConfig
        As the user gave it.
    emit : callable
        Takes the lines that say what is done.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    _check_outputs(config)
    device = choose_device(config.device)
    set_threads(config.threads)
    keep_freed_memory()
    checkpoint = open_checkpoint(name, revision=config.revision, alphabet=config.alphabet)
    model = checkpoint.load(device).eval()
    alphabet = get_alphabet(model.config.alphabet)
    genome = Genome.open(
        list(config.fasta), alphabet, cache_dir=config.cache_dir, contigs=("*",), chrom_map=config.chrom_map
    )
    trained = checkpoint.training.get("context")
    scorer = choose_scorer(model, name, genome, config.scoring, trained)
    assert config.region is not None
    mutations = mutations_of(config.region, genome, config.deletions, scorer)
    score, plot = _score_drawn(config.plot_score, scorer), _plot_of(config, mutations)
    genes = read_genes(config.gff, genome, mutations.region) if config.gff is not None else []
    emit(_in_words(mutations))
    if plot is None and _named_plot(config) is not None:
        emit(f"no picture of more than {MOST_DRAWN:,} bases is made without --plot FILE.svg")
    if config.dry_run:
        seconds = seconds_for(model, name, mutations, config.scoring, trained)
        emit(f"about {duration(seconds)} on this machine")
        return
    with Progress("scoring", "variants", len(mutations)) as progress:
        table = scored_mutations(scorer, mutations, progress.add)
    picture = None
    if plot is not None:
        scan = _scan(table, mutations, genes, score, Path(name).name)
        picture = draw_mutagenesis(scan, _PICTURES[plot.suffix.lower()])
    assert config.out is not None
    _write_table(config.out, table, scorer.columns)
    if plot is not None and picture is not None:
        with atomic_file(plot) as temporary:
            temporary.write_bytes(picture)
    written = " and ".join([*([] if is_stream(config.out) else [config.out]), *([] if plot is None else [str(plot)])])
    if written:
        emit(f"{written}: {int((table['status'] == 'OK').sum()):,} of {len(table):,} variants scored")


def _check_outputs(config: MutagenesisConfig) -> None:
    """Refuse names that cannot be written, while nothing is computed yet."""
    if config.out is not None and not is_stream(config.out):
        _kind_of(config.out)
    plot = _named_plot(config)
    if config.plot is not None and plot is not None and plot.suffix.lower() not in _PICTURES:
        raise ConfigError(f"is {config.plot}; its name must end with {' or '.join(_PICTURES)}", option="plot")
    for path in (config.out, plot):
        if path is None or is_stream(path) or config.dry_run:
            continue
        if Path(path).exists() and not config.force:
            raise RunError(f"{path}: exists; give --force to replace it, or another name")
        if not Path(path).parent.is_dir():
            raise RunError(f"{path}: there is no folder {Path(path).parent}; make it, or give another name")


def _named_plot(config: MutagenesisConfig) -> Path | None:
    """Return the picture that is named, or else the one beside the table; None where there is none."""
    if config.plot is not None:
        return None if config.plot == NO_PICTURE else Path(config.plot)
    if config.out is None or is_stream(config.out):
        return None
    return Path(config.out.removesuffix(f".{_kind_of(config.out)}") + ".svg")


def _plot_of(config: MutagenesisConfig, mutations: Mutations) -> Path | None:
    is_drawn = config.plot is not None or len(mutations.region) <= MOST_DRAWN
    return _named_plot(config) if is_drawn else None


def _kind_of(out: str) -> str:
    kind = next((kind for kind in sorted(_KINDS, key=len, reverse=True) if out.lower().endswith(f".{kind}")), None)
    if kind is None:
        raise ConfigError(f"is {out}; its name must end with .{', .'.join(_KINDS)}", option="out")
    return kind


def _score_drawn(asked: str | None, scorer: Scorer) -> str:
    drawable = [name for name in scorer.columns if name != _PLACE]
    if asked is not None and asked not in drawable:
        raise ConfigError(f"is {asked!r}; it must be one of {', '.join(drawable)}", option="plot_score")
    # Of substitutions it says the same as llr; of deletions it does not hang on the base that happens to be the last.
    return asked or (_CORRECTED if _CORRECTED in drawable else drawable[0])


def _in_words(mutations: Mutations) -> str:
    region, count = mutations.region, mutations.substitutions
    deletions = len(mutations) - count
    lengths = ", ".join(map(str, mutations.deletions))
    told = f"{region}: {len(region):,} bases, {count:,} substitutions, {deletions:,} deletions"
    return told + (f" (of {lengths} base{'s' * (lengths != '1')})" if deletions else "")


def _write_table(out: str, table: pd.DataFrame, numbers: tuple[str, ...]) -> None:
    """Write the rows as `genomamba score` does: numbers of float32, in text with six digits and `NA` for none."""
    rounded = table.assign(**{name: table[name].astype(np.float32).astype(np.float64) + 0.0 for name in numbers})
    kind = "tsv" if is_stream(out) else _kind_of(out)
    if kind == "parquet":
        import pyarrow as pa

        types = {str(name): str(dtype) for name, dtype in table.dtypes.items()}
        with open_parquet_table(out, types) as writer:
            writer.write_table(pa.Table.from_pandas(rounded, schema=writer.schema, preserve_index=False))
        return
    text = rounded.to_csv(sep="\t", index=False, na_rep="NA", float_format="%.6g", lineterminator="\n")
    with open_bytes(out, blocked=kind == "tsv.gz") as sink:
        sink.write(text.encode())


def _scan(table: pd.DataFrame, mutations: Mutations, genes: list[GeneModel], score: str, model: str) -> Mutagenesis:
    """Lay the numbers of one column out along the region."""
    count = len(mutations.region)
    at = table["site"].to_numpy() - 1 - mutations.region.start
    values = table[score].to_numpy()
    is_substitution = (table["kind"] == "snv").to_numpy(bool)
    letters = np.array([BASES.find(alt) for alt in table["alt"]], np.int64)
    removed = (table["ref"].str.len() - table["alt"].str.len()).to_numpy(np.int64)
    substitutions = np.full((count, len(BASES)), np.nan)
    substitutions[at[is_substitution], letters[is_substitution]] = values[is_substitution]
    deletions = {}
    for length in mutations.deletions:
        chosen = ~is_substitution & (removed == length)
        deletions[length] = np.full(count, np.nan)
        deletions[length][at[chosen]] = values[chosen]
    return Mutagenesis(
        region=mutations.region,
        sequence=mutations.sequence,
        substitutions=substitutions,
        deletions=deletions,
        genes=genes,
        score=score,
        unit="nats" if score in _RATIOS else "bits" if score in _DIVERGENCES else "",
        is_ratio=score in _RATIOS,
        model=model,
    )
