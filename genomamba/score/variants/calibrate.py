"""`genomamba calibrate`: score background variants, and keep what scores each mutational class has beside the model."""

from __future__ import annotations

import dataclasses
import tempfile
from array import array
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

import genomamba
from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval, Variant
from genomamba.data.bed import read_bed
from genomamba.data.genome import Genome
from genomamba.data.vcf import VcfReader
from genomamba.data.vcf_output import is_stream
from genomamba.errors import ConfigError, DataError, RunError
from genomamba.model.checkpoint import is_hub_name, open_checkpoint
from genomamba.model.device import choose_device
from genomamba.model.process import keep_freed_memory, set_threads
from genomamba.model.state import fingerprint
from genomamba.score.partial import Partial, plan_of
from genomamba.score.variants.background import draw_background
from genomamba.score.variants.calibration import CALIBRATION, FEWEST, Float32Array, fit_classes, write_calibration
from genomamba.score.variants.classes import ALL, KINDS, Chain, Classes
from genomamba.score.variants.config import CalibrateConfig
from genomamba.score.variants.scorers import Scorer, choose_scorer
from genomamba.score.variants.selection import Selection
from genomamba.score.variants.steps import at_rest, plan_of_files, score_alleles, working_folder
from genomamba.score.variants.survey import take_survey

__all__ = ["DEFAULT_NUMBER", "calibrate"]

DEFAULT_NUMBER: Final = 200
"""Random variants of each class."""


def calibrate(name: str, config: CalibrateConfig, *, emit: Callable[[str], None]) -> None:
    """Score background variants with a model, and write what scores each class has.

    Parameters
    ----------
    name : str
        The model: a run folder, a checkpoint folder, or a name on the hub.
    config : CalibrateConfig
        As the user gave it.
    emit : callable
        Takes the lines that say what is done.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    if config.out is None and is_hub_name(name):
        raise ConfigError(f"{name} is on the hub, where nothing is written; name a file by --out")
    checkpoint = open_checkpoint(name, revision=config.revision, alphabet=config.alphabet)
    out = Path(config.out) if config.out is not None else checkpoint.weights.parent / CALIBRATION
    _check_output(out, config)
    config = dataclasses.replace(config, out=str(out))
    device = choose_device(config.device)
    set_threads(config.threads)
    keep_freed_memory()
    model = checkpoint.load(device).eval()
    genome = _open_genome(config, model.config.alphabet)
    scorer = choose_scorer(model, name, genome, config.scoring, checkpoint.training.get("context"))
    with ExitStack() as stack:
        folder = stack.enter_context(working_folder(config))
        source = config.vcf or ", ".join(config.fasta)
        vcf = _drawn(genome, scorer, config, stack) if config.vcf is None else at_rest(config.vcf, stack)
        selection = Selection(genome, config)
        survey = take_survey(vcf, selection, scorer, config, name=source)
        emit(survey.in_words())
        if survey.scored < FEWEST:
            raise DataError(
                f"{source}: {survey.scored} variants can be scored, and a background has {FEWEST} or more; give more"
                " sequence, a larger --number, or others by --vcf"
            )
        if config.dry_run:
            return
        files = plan_of_files(config, vcf, scorer)
        plan = _draw_of(config) | files | plan_of(model, genome, ())
        rows = survey.alleles * (len(scorer.columns) + 1)
        partial = stack.enter_context(Partial(folder, plan, rows, force=config.force))
        score_alleles(vcf, selection, scorer, partial, survey.alleles)
        scores = _collect(vcf, selection, scorer, genome, partial)
        classes = fit_classes(scores, scorer.columns)
        if ALL not in classes or "uses" in classes[ALL]["scores"][scorer.columns[0]]:
            raise DataError(f"{source}: fewer than {FEWEST} variants have a {scorer.columns[0]}; give others")
        provenance = _provenance(config, scorer, genome, fingerprint(model), files, classes[ALL]["count"])
        write_calibration(out, provenance, classes)
        partial.remove()
    for line in _in_words(out, classes, scorer.columns[0]):
        emit(line)


def _check_output(out: Path, config: CalibrateConfig) -> None:
    if is_stream(out):
        raise ConfigError(f"--out is {out}; name a file")
    if out.is_dir():
        raise RunError(f"{out}: is a folder; name a file by --out")
    if out.exists() and not config.force:
        raise RunError(f"{out}: exists; give --force to replace it, or another --out")
    if not out.parent.is_dir():
        raise RunError(f"{out}: there is no folder {out.parent}; make it, or give another --out")


def _open_genome(config: CalibrateConfig, alphabet: str) -> Genome:
    # Where the user says which places count, none is left out for its name.
    told = config.vcf is not None or config.region is not None or config.regions_bed is not None
    return Genome.open(
        list(config.fasta),
        get_alphabet(alphabet),
        cache_dir=config.cache_dir,
        contigs=("*",) if told else (),
        chrom_map=config.chrom_map,
    )


def _drawn(genome: Genome, scorer: Scorer, config: CalibrateConfig, stack: ExitStack) -> Path:
    """Write random variants as a VCF that is gone at the end."""
    if config.region is not None:
        stretches = [genome.interval(config.region)]
    elif config.regions_bed is not None:
        order = {contig.name: i for i, contig in enumerate(genome.contigs)}
        stretches = sorted(read_bed(config.regions_bed, genome), key=lambda one: (order[one.contig], one.start))
    else:
        stretches = [Interval(contig.name, 0, contig.length) for contig in genome.contigs]
    variants = draw_background(
        genome,
        stretches,
        **_draw_of(config),
        folded=scorer.folded,
        longest=scorer.longest,
    )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="genomamba-calibrate-")))
    return _write_vcf(folder / "background.vcf", variants)


def _draw_of(config: CalibrateConfig) -> dict[str, Any]:
    """Return what a draw depends on; None where variants are given."""
    if config.vcf is not None:
        return {"number": None, "seed": None}
    return {"number": config.number or DEFAULT_NUMBER, "seed": config.seed or 0}


def _write_vcf(path: Path, variants: Iterable[Variant]) -> Path:
    with path.open("w") as file:
        file.write("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for one in variants:
            file.write(f"{one.contig}\t{one.start + 1}\t.\t{one.ref}\t{one.alt}\t.\t.\t.\n")
    return path


def _collect(
    vcf: Path, selection: Selection, scorer: Scorer, genome: Genome, partial: Partial
) -> dict[Chain, Float32Array]:
    """Return the scores of each class, (variants, columns); 4 bytes a number."""
    classes, at, width = Classes(genome, folded=scorer.folded), 0, len(scorer.columns) + 1
    found: dict[Chain, array[float]] = {}
    with VcfReader(vcf) as reader:
        for batch in selection.batches(reader):
            count = sum(len(record.alts) for record in batch)
            values = partial.read(at * width, count * width).reshape(count, width)
            for row, (contig, variant) in zip(values, selection.alleles(batch), strict=True):
                if contig is not None and np.isfinite(row[:-1]).any():
                    found.setdefault(classes.of(contig, variant), array("f")).frombytes(row[:-1].tobytes())
            at += count
    return {chain: np.frombuffer(numbers, np.float32).reshape(-1, width - 1) for chain, numbers in found.items()}


def _provenance(
    config: CalibrateConfig, scorer: Scorer, genome: Genome, model: str, files: Mapping[str, Any], variants: int
) -> dict[str, Any]:
    """Return what the file says of how it came to be."""
    return {
        "genomamba": genomamba.__version__,
        "model": model,
        "settings": scorer.settings,
        "folded": scorer.folded,
        "fasta": [source["sha256"] for source in genome.inputs],
        **_draw_of(config),
        "vcf": None if config.vcf is None else files["vcf"],
        **{key: files[key] for key in ("region", "regions_bed", "ref_mismatch")},
        "variants": variants,
    }


def _in_words(out: Path, classes: Mapping[str, Any], column: str) -> list[str]:
    """Return what was written, and a table of the kinds."""
    narrowest = set(classes) - {one["parent"] for one in classes.values()}
    wider = sum("uses" in classes[name]["scores"][column] for name in narrowest)
    lines = [
        f"{out}: {classes[ALL]['count']:,} variants in {len(narrowest):,} classes"
        + (f", {wider:,} of which have fewer than {FEWEST} and use a wider one" if wider else ""),
        f"{f'GM_{column.upper()} of':<18}{'variants':>10}{'mean':>10}{'sd':>10}{'median':>10}",
    ]
    for name in (*KINDS, ALL):
        found = classes.get(name, {"scores": {column: {"uses": None}}})["scores"][column]
        if "uses" not in found:
            numbers = "".join(f"{found[key]:>10.3f}" for key in ("mean", "sd", "median"))
            lines.append(f"{name:<18}{found['count']:>10,}{numbers}")
    return lines
