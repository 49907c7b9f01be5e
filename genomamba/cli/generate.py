"""`genomamba generate MODEL`: sequences that a causal model draws, as FASTA."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from genomamba.cli.parsing import MODEL_HELP, Parser
from genomamba.cli.process import prepare_process
from genomamba.errors import ConfigError, RunError
from genomamba.settings import settings_of

if TYPE_CHECKING:
    from torch import Tensor

    from genomamba.alphabet import Alphabet
    from genomamba.data.genome import Genome
    from genomamba.model.generation import Generated

__all__ = ["GenerateConfig", "parser", "run"]

_LINE: Final = 60
_READ: Final = 16_384


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateConfig:
    """Everything that `genomamba generate` can be told, beside the model."""

    SECTIONS: ClassVar[Mapping[str, str]] = {
        "revision": "Model", "prompt_fasta": "Sequences", "temperature": "Drawing", "out": "Output",
        "batch_size": "Machine",
    }  # fmt: skip
    """First setting of each section, and the section's heading in the help."""

    # Model
    revision: str | None = None
    """Branch, tag or commit, where MODEL is a name on the hub."""
    alphabet: str | None = None
    """What the model's token ids stand for, where no file beside its weights says so."""

    # Sequences
    prompt_fasta: str | None = None
    """FASTA whose records are each gone on with. Default: sequences begin from nothing."""
    length: int = 1_000
    """Bases to draw, behind each prompt."""
    samples: int = 1
    """Sequences to draw, for each prompt."""

    # Drawing
    temperature: float = 1.0
    """Below 1, likely bases become likelier; 0 takes the likeliest."""
    top_k: int | None = None
    """Draw from the k likeliest bases alone."""
    top_p: float | None = None
    """Draw from the fewest likeliest bases whose probabilities add up to this share."""
    seed: int = 0
    """Seed of the draws; the same seed gives the same sequences, whatever --batch-size."""

    # Output
    out: str | None = None
    """FASTA to write. Default: standard output."""
    force: bool = False
    """Replace --out."""

    # Machine
    batch_size: int = 32
    """Sequences drawn at once."""
    cache_dir: str | None = None
    """Where the cache of the prompts is kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""
    device: str = "auto"
    """Where to compute: cpu, cuda, cuda:1, ... auto is cpu: passes on GPUs have not been timed yet."""
    threads: int | None = None
    """CPU threads. Default: the CPU set, SLURM_CPUS_PER_TASK."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"--threads is {self.threads}; it must be above 0")


SETTINGS: Final = settings_of(GenerateConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("cache_dir", "device", "threads")}


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "generate",
        "MODEL [--prompt-fasta FASTA] [--length N] [-n N] [--temperature X] [--out FASTA] [options]",
        description="Draw sequences from a causal model, base by base, and write them as FASTA.",
    )
    made.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    made.add_argument("-n", dest="samples", metavar="N", default=argparse.SUPPRESS, help="as --samples")
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Draw, write the sequences as their batches end, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = GenerateConfig(**made.given(SETTINGS, SHARED, namespace))
    prepare_process()
    from genomamba.alphabet import get_alphabet
    from genomamba.model.checkpoint import load_model
    from genomamba.model.device import choose_device
    from genomamba.model.generation import Sampling, generate
    from genomamba.model.process import set_threads
    from genomamba.score.progress import Progress

    drawn_by = ("temperature", "top_k", "top_p", "seed")
    sampling = Sampling(**{name: getattr(config, name) for name in drawn_by})
    _check_free(config)
    device = choose_device(config.device)
    set_threads(config.threads)
    model = load_model(namespace.model, revision=config.revision, alphabet=config.alphabet, device=device)
    alphabet = get_alphabet(model.config.alphabet)
    names, prompts = _prompts(config, alphabet)
    total = len(names) * max(config.samples, 0) * max(config.length, 0)
    drawn, bits = 0, 0.0
    with _output(config.out) as put, Progress("drawing", "bases", total) as progress:
        for one in generate(
            model, prompts, config.length, samples=config.samples, sampling=sampling, batch_size=config.batch_size,
            after_token=progress.add,
        ):  # fmt: skip
            put(_record(names[one.prompt], one, alphabet))
            drawn, bits = drawn + 1, bits - one.log_likelihood / math.log(2)
    if config.out is not None:
        print(f"{config.out}: {drawn:,} sequences of {config.length:,} bases, {bits / total:.4f} bits per base")
    return 0


def _check_free(config: GenerateConfig) -> None:
    if config.out is None:
        return
    if Path(config.out).is_dir():
        raise RunError(f"{config.out}: is a folder; name a file by --out")
    if Path(config.out).exists() and not config.force:
        raise RunError(f"{config.out}: exists; give --force to replace it, or another --out")


def _prompts(config: GenerateConfig, alphabet: Alphabet) -> tuple[list[str], Iterator[Iterator[Tensor]]]:
    """Return the names of the prompts, and the prompts in pieces; without a file, one that is empty."""
    if config.prompt_fasta is None:
        return ["generated"], iter([iter(())])
    from genomamba.data.genome import Genome

    # Nobody who gives prompts wants some of them left out for their names.
    genome = Genome.open([config.prompt_fasta], alphabet, cache_dir=config.cache_dir, contigs=["*"])
    return [contig.name for contig in genome.contigs], (_pieces(genome, contig.name) for contig in genome.contigs)


def _pieces(genome: Genome, contig: str) -> Iterator[Tensor]:
    import torch

    for start in range(0, genome.length(contig), _READ):
        symbols = genome.fetch(contig, start, min(start + _READ, genome.length(contig)))
        yield torch.from_numpy(genome.alphabet.token_of_symbol[symbols])[None]


@contextmanager
def _output(out: str | None) -> Iterator[Callable[[str], Any]]:
    """Give what writes text to standard output, or to a file that is whole or absent."""
    if out is None:
        yield sys.stdout.write
        return
    from genomamba.files import atomic_file

    with atomic_file(Path(out)) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file.write


def _record(name: str, one: Generated, alphabet: Alphabet) -> str:
    bits, bases = one.log_likelihood / math.log(2), len(one.tokens)
    facts = f"log2_likelihood={bits:z.4f} bits_per_base={-bits / bases:z.4f}"
    return f">{name}_{one.sample + 1} {facts}\n{_lines(one, alphabet)}\n"


def _lines(one: Generated, alphabet: Alphabet) -> str:
    text = alphabet.decode(one.tokens.numpy()).decode("latin-1")
    if alphabet.has_complement:
        return "\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))
    # Bytes that would end a line or begin a record are shown as in a Python string.
    return text.encode("unicode_escape").decode().replace(">", "\\x3e")
