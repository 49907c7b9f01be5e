"""Where a model is: a folder, or a name on the Hugging Face hub, of which only the files that are read are fetched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from genomamba.errors import ConfigError, RunError
from genomamba.model.checkpoint.vocabulary import TOKENIZER_FILES
from genomamba.model.checkpoint.weights import find_weights

__all__ = ["find_folder", "is_hub_name"]

_HUB_NAME: Final = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
# A head over the network is in a file of its own.
_SAFETENSORS: Final = (
    "model.safetensors", "head.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors",
)  # fmt: skip
_BIN: Final = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")


def is_hub_name(model: str | Path) -> bool:
    """Tell whether MODEL is OWNER/NAME on the hub: it looks so, and no such path is there."""
    return _HUB_NAME.fullmatch(str(model)) is not None and not Path(model).exists()


def find_folder(model: str | Path, revision: str | None = None) -> Path:
    """Return the folder that holds a model's files.

    Parameters
    ----------
    model : str or Path
        A run folder, a checkpoint folder, or OWNER/NAME on the hub. Of the hub's files come the config, the
        tokenizer's and the weights, as safetensors where there are any; they are kept in the hub's cache, from which
        they are taken where the hub cannot be reached.
    revision : str, optional
        Branch, tag or commit on the hub. Default: its main branch.

    Raises
    ------
    RunError
        Where there is no such folder or name, or the hub cannot be reached and the cache does not have it.
    ConfigError
        Where a revision is given with a folder.
    """
    if is_hub_name(model):
        return _fetch(str(model), revision)
    folder = Path(model)
    if revision is not None:
        raise ConfigError(f"{revision} is of a name on the hub, and {model} is a path; leave it out", option="revision")
    if not folder.exists():
        raise RunError(f"{model}: no such folder; give a run folder, a checkpoint folder, or OWNER/NAME on the hub")
    if not folder.is_dir():
        raise RunError(f"{model}: is a file; give the folder that holds config.json and the weights")
    return folder


def _fetch(name: str, revision: str | None) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    folder = Path()
    try:
        for weights in (_SAFETENSORS, _BIN):
            wanted = ["config.json", *TOKENIZER_FILES, *weights]
            folder = Path(huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=wanted))
            if find_weights(folder) is not None:
                break
    except errors.RevisionNotFoundError:
        raise RunError(f"{name}: the hub has no revision {revision} of it; give a branch, a tag or a commit") from None
    except errors.GatedRepoError:
        raise RunError(f"{name}: its owner asks for consent; give it on the hub's page, then hf auth login") from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise RunError(
            f"{name}: there is no such folder here, and no such model on the hub (or it is private: hf auth login)"
        ) from None
    # What the connection raises is of the HTTP library that the hub's client happens to use.
    except Exception as error:
        cause = " ".join(str(error.__cause__ or error).split())[:200]
        raise RunError(
            f"{name}: there is no such folder here, and it cannot be fetched from the hub ({cause}); "
            "check the connection, or give a folder"
        ) from error
    return folder
