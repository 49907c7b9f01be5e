"""The front door of the command line: finds the command, prints errors as one line, and gives the exit code.

Exit codes: 0 done; 1 bad data, or a run that cannot go on; 2 wrong usage; 130 and 143 stopped by SIGINT or
SIGTERM. A bug keeps its traceback.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Final

from genomamba import __version__
from genomamba.errors import ConfigError, GenomambaError

__all__ = ["COMMANDS", "main"]

COMMANDS: Final = {
    "pretrain": "train a model on a genome, and leave a run folder",
    "likelihood": "log-likelihood of every base of a genome, or of every sequence",
    "score": "what a model says of the variants of a VCF, written into it",
    "ism": "what a model says of every change of one base in a region: table and picture",
    "calibrate": "where scores of variants stand among those of a background, by mutational class",
    "split": "part a VCF by contig and size into shards, to be scored apart",
    "merge": "put the shards of a scored VCF or of embeddings, or the contigs of a bigWig, together",
    "evaluate": "what a held-out base costs with more and more context: table and plot",
    "generate": "write sequences that a model draws",
    "embed": "what a model makes of sequences, as numbers for each of them or for each base",
    "probe": "how well a model's embeddings tell labels, beside baselines",
    "finetune": "train a model, or a head over it, to tell labels from sequences",
    "benchmark": "a folder of labelled tasks by one protocol, beside what others report",
    "predict": "what a model with a head says of sequences, or of a genome window by window",
    "make-task": "labelled sequences from the genes of a genome: splice sites, start codons, coding sequence",
    "info": "what a model is, where it came from, and what it costs on this machine",
    "index": "read FASTA files into the cache that training reads",
    "report": "write the HTML report of a run folder, or one page that compares several",
    "convert": "write published weights in our layout, or ours for Hugging Face",
    "pipeline": "Snakemake workflows of these commands: list them, set one up, run it",
    "doctor": "check this installation: versions, devices, caches, numbers of every kernel",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; those of the process where left out.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with _plain_log(), _sigterm_raises():
        try:
            code = _exit_code(arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of our output has left; Python would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
    return code


def _exit_code(arguments: list[str]) -> int:
    try:
        return _run(arguments)
    except GenomambaError as error:
        print(_with_flag(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 0


def _with_flag(error: GenomambaError) -> str:
    """Return the message; an argument that it begins with is shown as the flag that was typed."""
    option = error.option if isinstance(error, ConfigError) else None
    return str(error) if option is None else f"--{option.replace('_', '-')}{str(error).removeprefix(option)}"


def _run(arguments: list[str]) -> int:
    if not arguments:
        print(_help(), file=sys.stderr)
        return 2
    first, *rest = arguments
    if first in ("-h", "--help"):
        print(_help())
        return 0
    if first == "--version":
        print(f"genomamba {__version__}")
        return 0
    if first not in COMMANDS:
        from genomamba.settings import did_you_mean

        kind = "option" if first.startswith("-") else "command"
        known = [*COMMANDS, "--help", "--version"]
        hint = did_you_mean(first, known) or f"; it must be one of {', '.join(COMMANDS)}"
        raise ConfigError(f"unrecognised {kind} {first}{hint}")
    code: int = importlib.import_module(f"genomamba.cli.{first.replace('-', '_')}").run(rest)
    return code


def _help() -> str:
    commands = "\n".join(f"  {name:<11} {does}" for name, does in COMMANDS.items())
    return (
        "usage: genomamba COMMAND [options]\n\n"
        "Byte- and nucleotide-level Mamba for long DNA sequences.\n\n"
        f"commands:\n{commands}\n\n"
        "options:\n"
        "  -h, --help  show this help, or that of a command: genomamba pretrain -h\n"
        "  --version   show the version"
    )


class _PlainHandler(logging.Handler):
    """Prints messages to stderr as they are, above a progress bar where one is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        message = prefix + self.format(record)
        if tqdm := sys.modules.get("tqdm"):
            tqdm.tqdm.write(message, file=sys.stderr)
        else:
            print(message, file=sys.stderr)


@contextlib.contextmanager
def _plain_log() -> Iterator[None]:
    logger, handler = logging.getLogger("genomamba"), _PlainHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Leave by an exception on SIGTERM, so that unfinished files are cleared away; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
