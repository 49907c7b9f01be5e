"""`genomamba evaluate`: which bases are held out, what they cost with each context, and what is written of it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import genomamba
from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.config import PretrainConfig
from genomamba.coordinates import Interval
from genomamba.data.bed import read_bed
from genomamba.data.card import check_card
from genomamba.data.classes import RegionClasses, read_classes
from genomamba.data.examples import example_paths
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, RunError
from genomamba.files import atomic_file, read_json
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import open_checkpoint
from genomamba.model.device import prepare_passes
from genomamba.model.state import fingerprint
from genomamba.score.config import EvaluateConfig
from genomamba.score.context_classes import CLASSES_FILE, describe_classes, files_of_classes
from genomamba.score.context_curve import FILES, describe, files_of_curve, points_of, verdict
from genomamba.score.contexts import Costs, Targets, Window, draw_targets, parts_of, score_contexts
from genomamba.score.likelihood import check_predicts, default_chunk
from genomamba.score.partial import Partial, plan_of
from genomamba.score.progress import Progress
from genomamba.settings import from_yaml
from genomamba.train.corpus import open_corpus

__all__ = ["evaluate"]

_log = logging.getLogger("genomamba")

_NAMES: Final = {"test": "test", "valid": "validation"}


def evaluate(name: str, config: EvaluateConfig, *, emit: Callable[[str], None]) -> None:
    """Score the same bases with each of the contexts, print a table, and write what `config.out` asks for.

    Parameters
    ----------
    name : str
        The model: a run folder, a checkpoint folder, or a name on the hub.
    config : EvaluateConfig
        As the user gave it.
    emit : callable
        Takes each line of the result.

    Raises
    ------
    GenomambaError
        For anything the user can mend.
    """
    out = None if config.out is None else _prepare(Path(config.out), config.force)
    device = prepare_passes(config.device, config.threads)
    checkpoint = open_checkpoint(name, revision=config.revision, alphabet=config.alphabet)
    model = checkpoint.load(device).eval()
    check_predicts(model, name)
    causal = model.config.direction == "causal" and not model.config.equivariant
    if causal and config.spill is not None:
        raise ConfigError("--spill is for masked models; a causal one keeps nothing of a window but its state")
    trained_context = checkpoint.training.get("context")
    if type(trained_context) not in (int, type(None)):
        raise RunError(f"{name}: its training context is {trained_context!r} in config.json; it must be a whole number")
    held_out = _held_out(name, config, get_alphabet(model.config.alphabet))
    windows = [Window(context, config.block_size, causal) for context in sorted(set(config.contexts))]
    targets = draw_targets(held_out.genome, held_out.stretches, windows[-1], config.blocks, config.seed)
    unit = "base" if held_out.genome.alphabet.has_complement else "byte"
    emit(_in_words(targets, held_out, windows[-1], unit))
    config = dataclasses.replace(config, chunk=config.chunk or default_chunk(model.config))
    plan = _plan(model, held_out, targets, windows, config)
    partial = None if out is None else Partial(out / "contexts.partial", plan, 0, force=config.force)
    with partial or contextlib.nullcontext():
        costs = _score(model, held_out, targets, windows, config, partial, f"{unit}s")
    points = points_of(costs, seed=config.seed)
    emit(describe(points, unit, not causal))
    if costs.by_class:
        emit(describe_classes(costs))
    emit(verdict(points, unit))
    if trained_context is not None:
        emit(f"{name} was trained with {trained_context:,} {unit}s of context")
    if out is None or partial is None:
        return
    facts = _facts(name, model, config, held_out, targets, trained_context)
    files = files_of_classes(costs, facts, seed=config.seed) | files_of_curve(
        costs, points, targets.blocks, facts, trained_context=trained_context, unit=unit, masked=not causal
    )
    for file, content in files.items():
        with atomic_file(out / file) as temporary:
            temporary.write_bytes(content)
    if CLASSES_FILE not in files:
        # Of a result that this one replaces.
        (out / CLASSES_FILE).unlink(missing_ok=True)
    partial.remove()
    emit(f"{out}: {', '.join(files)}")


def _plan(
    model: LanguageModel, held_out: _HeldOut, targets: Targets, windows: Sequence[Window], config: EvaluateConfig
) -> dict[str, Any]:
    """Return what the numbers depend on, as an interrupted command's folder keeps it."""
    settings: dict[str, Any] = {"contexts": [window.context for window in windows], "chunk": config.chunk}
    settings |= {"seed": config.seed, "classes": None}
    if (classes := held_out.classes) is not None:
        of_blocks = hashlib.sha256("\t".join(classes.names).encode())
        for block in targets.blocks:
            of_blocks.update(b"-" if (found := classes.of(block)) is None else found.tobytes())
        settings["classes"] = of_blocks.hexdigest()[:12]
    return settings | plan_of(model, held_out.genome, targets.blocks)


def _score(
    model: LanguageModel,
    held_out: _HeldOut,
    targets: Targets,
    windows: Sequence[Window],
    config: EvaluateConfig,
    partial: Partial | None,
    units: str,
) -> Costs:
    """Score what is not done yet, and tell how far that is."""
    assert config.chunk is not None
    sizes = [(some.stop - some.start) * len(windows[row])
             for row, some in parts_of(len(targets.blocks), windows, config.chunk)]  # fmt: skip

    def kept() -> int:
        return 0 if partial is None else sum(sizes[part] for part in partial.done)

    if partial is not None and partial.done:
        _log.info("%s: going on, %s of %s %s are read", partial.folder, f"{kept():,}", f"{sum(sizes):,}", units)
    try:
        with Progress("scoring", units, sum(sizes), kept()) as progress:
            return score_contexts(
                model,
                held_out.genome,
                targets.blocks,
                windows,
                chunk=config.chunk,
                seed=config.seed,
                spill=None if config.spill is None else Path(config.spill),
                classes=held_out.classes,
                partial=partial,
                after_part=progress.add,
            )
    except (KeyboardInterrupt, SystemExit):
        if partial is not None:
            told = f"{kept():,} of {sum(sizes):,} {units} are read; the same command goes on from there"
            _log.info("%s: %s", partial.folder, told)
        raise


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Bases that may be scored, what they are called, and the classes of bases, where they are known."""

    genome: Genome
    stretches: Sequence[Interval]
    name: str
    classes: RegionClasses | None = None


def _held_out(name: str, config: EvaluateConfig, alphabet: Alphabet) -> _HeldOut:
    run = _run_of(name)
    given: Sequence[str | Path] = config.fasta
    if run is None:
        if config.split is not None:
            raise ConfigError(f"--split is a part that a run held out, and {name} is no run; give --region or --bed")
        given = given or [files["fasta"] for files in example_paths().values()]
    elif not given and (config.region is not None or config.bed is not None):
        given = _settings_of(run).fasta or [files["fasta"] for files in example_paths().values()]
    if not given:
        assert run is not None
        return _part_of_run(run, _settings_of(run), config, alphabet)
    # Nobody who names stretches wants them left out for their contigs.
    contigs = config.contigs or (() if config.region is None and config.bed is None else ("*",))
    genome = Genome.open(given, alphabet, cache_dir=config.cache_dir, contigs=contigs, chrom_map=config.chrom_map)
    if config.region is not None:
        return _HeldOut(genome, [genome.interval(config.region)], config.region, _classes(config, genome))
    if config.bed is not None:
        return _HeldOut(genome, read_bed(config.bed, genome), config.bed, _classes(config, genome))
    if run is not None and (known := _read_by(run) & {one["sha256"] for one in genome.inputs}):
        if known != _read_by(run) or len(known) < len(genome.inputs):
            raise ConfigError(
                f"--fasta holds some of the files that {run} was trained on, not just these; give none of them or all,"
                " or name bases by --region or --bed"
            )
        return _part_of_run(run, dataclasses.replace(_settings_of(run), fasta=config.fasta), config, alphabet)
    if config.split is not None:
        raise ConfigError(f"--split is a part that {run} held out, and --fasta is none of its files; leave it out")
    whole = [Interval(one.name, 0, one.length) for one in genome.contigs]
    return _HeldOut(genome, whole, "all contigs", _classes(config, genome))


def _classes(config: EvaluateConfig, genome: Genome) -> RegionClasses | None:
    return None if config.classes is None else read_classes(config.classes, genome)


def _part_of_run(run: Path, settings: PretrainConfig, config: EvaluateConfig, alphabet: Alphabet) -> _HeldOut:
    """Return the part of its own genome that a run held out, after a look that the genome is what it was."""
    if config.contigs or config.chrom_map is not None:
        raise ConfigError(f"--contigs and --chrom-map are those of {run}; leave them out, or give --region or --bed")
    if config.cache_dir is not None:
        settings = dataclasses.replace(settings, cache_dir=config.cache_dir)
    if config.classes is not None:
        if settings.genomes is not None:
            raise ConfigError(f"--classes are those of the table of genomes of {run}; leave it out")
        settings = dataclasses.replace(settings, classes=config.classes)
    elif settings.classes is not None and not Path(settings.classes).exists():
        _log.warning("%s: is not there, so nothing is told by class; give it anew by --classes FILE", settings.classes)
        settings = dataclasses.replace(settings, classes=None)
    corpus = open_corpus(settings, alphabet)
    genome, split = corpus.genome, corpus.split
    for one in genome.inputs:
        if one["sha256"] not in _read_by(run):
            raise RunError(
                f"{one['path']}: its content is not what {run} was trained on; bring that back, or give --fasta with"
                " --region or --bed"
            )
    check_card(run / "dataset.json", split)
    part = config.split or "test"
    stretches = split.test if part == "test" else split.valid
    if not stretches:
        raise ConfigError(
            f"{run} held nothing out for {_NAMES[part]}; name bases by --region or --bed, or another --split"
        )
    return _HeldOut(genome, stretches, f"the {_NAMES[part]} part of {run}", corpus.classes)


def _run_of(name: str) -> Path | None:
    """Return the run folder that a model is, or is a checkpoint of."""
    path = Path(name)
    return next((one for one in (path, path.parent.parent) if (one / "run.json").is_file()), None)


def _settings_of(run: Path) -> PretrainConfig:
    path = run / "config.yaml"
    try:
        return from_yaml(PretrainConfig, path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); give --fasta with --region or --bed") from error


def _read_by(run: Path) -> set[str]:
    """Return the checksums of the files that a run was trained on."""
    values = read_json(run / "run.json")
    try:
        return {one["sha256"] for one in values["inputs"]}
    except (KeyError, TypeError) as error:
        raise RunError(f"{run / 'run.json'}: does not say what the run was trained on; restore the file") from error


def _prepare(out: Path, force: bool) -> Path:
    """Make the folder, or refuse it while nothing is computed yet."""
    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: is a file; give a folder by --out")
    if not force and (there := [name for name in (*FILES, CLASSES_FILE) if (out / name).exists()]):
        raise RunError(f"{out}: holds {there[0]} already; give --force to replace it, or another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out}: cannot be made ({error.strerror}); give another folder by --out") from error
    return out


def _in_words(targets: Targets, held_out: _HeldOut, window: Window, unit: str) -> str:
    where = "before" if window.causal else "around"
    count = len(targets.blocks)
    text = (
        f"{count:,} block{'' if count == 1 else 's'} of {window.size:,} {unit}s, out of {targets.usable:,} {unit}s in "
        f"{held_out.name} that have {window.context:,} {unit}s of context"
    )
    if left_out := targets.bases - targets.usable:
        text += f"; {left_out:,} have fewer {unit}s {where} them on their contig"
    return text


def _facts(
    name: str,
    model: LanguageModel,
    config: EvaluateConfig,
    held_out: _HeldOut,
    targets: Targets,
    trained_context: int | None,
) -> dict[str, Any]:
    """Return what the figures depend on."""
    causal = model.config.direction == "causal" and not model.config.equivariant
    return {
        "genomamba": genomamba.__version__,
        "model": name,
        "fingerprint": fingerprint(model),
        "objective": "next_token" if causal else "masked",
        "trained_context": trained_context,
        "fasta": held_out.genome.inputs,
        "scored": held_out.name,
        "bases": targets.bases,
        "usable_bases": targets.usable,
        "blocks": len(targets.blocks),
        "block_size": config.block_size,
        "seed": config.seed,
    }
