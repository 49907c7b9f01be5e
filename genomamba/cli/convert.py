"""`genomamba convert MODEL OUT`: write a model in our layout, or in that of Hugging Face's Mamba."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from genomamba.cli.parsing import Parser

__all__ = ["parser", "run"]

LAYOUTS: Final = ("genomamba", "huggingface")


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "convert",
        "MODEL OUT [--to {genomamba,huggingface}] [--revision REVISION] [--alphabet ALPHABET]",
        description="Write a model and its card, in our layout or that of Hugging Face's Mamba, and print what it is.",
    )
    made.add_argument(
        "model",
        metavar="MODEL",
        help="a run folder, a checkpoint folder, or OWNER/NAME on the Hugging Face hub; in our layout, or that of "
        "state-spaces Mamba-1, Hugging Face Mamba-1, or Caduceus",
    )
    made.add_argument("out", metavar="OUT", type=Path, help="folder to write, which is new or empty")
    made.add_argument("--to", choices=LAYOUTS, default=LAYOUTS[0], help=f"layout to write (default: {LAYOUTS[0]})")
    made.add_argument("--revision", help="branch, tag or commit of a name on the hub")
    made.add_argument(
        "--alphabet",
        help="what the token ids stand for, where no file says so: dna, bytes, tokens (ids alone), or all tokens in "
        "the order of their ids, as in [PAD],[MASK],[UNK],a,c,g,t",
    )
    return made


def run(argv: Sequence[str]) -> int:
    """Convert, print a line, and return the exit code."""
    given = parser().parse(argv)
    from genomamba.errors import RunError
    from genomamba.files import atomic_folder
    from genomamba.model import count_parameters
    from genomamba.model.checkpoint import check_huggingface, open_checkpoint, save_huggingface, save_model
    from genomamba.report.model_card import write_card
    from genomamba.report.model_facts import provenance_of

    out: Path = given.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out}: is there already; give a folder that is new or empty")
    checkpoint = open_checkpoint(given.model, revision=given.revision, alphabet=given.alphabet)
    if given.to == "huggingface":
        check_huggingface(checkpoint.config)
    model = checkpoint.load()
    config, provenance = model.config, provenance_of(checkpoint)
    with atomic_folder(out) as folder:
        if given.to == "huggingface":
            save_huggingface(folder, model)
        else:
            save_model(folder, model, provenance)
        name = out.resolve().name
        write_card(folder, config, provenance, name=name, for_transformers=given.to == "huggingface")
    print(
        f"{out}: {given.to} layout, from {given.model} ({checkpoint.layout.kind}): {config.direction}, "
        f"{config.num_layers} layers, d_model {config.d_model}, {count_parameters(model):,} parameters, "
        f"alphabet {config.alphabet}"
    )
    return 0
