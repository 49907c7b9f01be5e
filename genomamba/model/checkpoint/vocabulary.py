"""What the token ids of a checkpoint stand for: read from its tokenizer's files, or asked for, never guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from genomamba.alphabet import NUCLEOTIDES, SPECIALS, TOKENS, special_of
from genomamba.errors import ConfigError, RunError
from genomamba.files import read_json

__all__ = ["ALPHABET_KEY", "TOKENIZER_FILES", "ask_for_alphabet", "is_caduceus", "read_vocabulary"]

ALPHABET_KEY: Final = "genomamba_alphabet"
"""Key of the alphabet in the config of a model that was written for Hugging Face here."""

ROLES: Final = {
    "mask_token": "[MASK]", "pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[BOS]", "cls_token": "[CLS]",
    "sep_token": "[SEP]", "eos_token": "[SEP]",
}  # fmt: skip
"""Specials of `dna` by the keys under which tokenizers name theirs."""

_VOCABULARIES: Final = ("tokenizer.json", "vocab.json", "vocab.txt")
_SETTINGS: Final = ("special_tokens_map.json", "tokenizer_config.json")

TOKENIZER_FILES: Final = (*_VOCABULARIES, *_SETTINGS)
"""Files beside the weights that say what token ids stand for."""

_IDS_ALONE: Final = f"--alphabet {TOKENS} reads the model for token ids alone"


def read_vocabulary(folder: Path) -> str | None:
    """Return the alphabet that the tokenizer files of a folder describe, as `get_alphabet` takes it.

    Parameters
    ----------
    folder : Path
        Where `tokenizer.json`, `vocab.json` or `vocab.txt` may be, and beside it what names the specials.

    Returns
    -------
    str or None
        `dna` where letters and ids are those of `dna`; None where there is no file of a vocabulary.

    Raises
    ------
    ConfigError
        Where the tokens are not single letters of DNA.
    RunError
        Where a file is damaged.
    """
    path = next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)
    if path is None:
        return None
    tokens, specials = _read(path)
    settings = _settings(folder)
    for number, token in _added(settings):
        tokens[number] = token
        specials.add(token)
    names = _names_of_specials(tokens, settings)
    spelled = [""] * (max(tokens, default=-1) + 1)
    for number, token in tokens.items():
        if token in names:
            spelled[number] = names[token]
        elif len(token) == 1 and token.upper() in NUCLEOTIDES:
            spelled[number] = token
        elif len(token) > 1 and token not in specials and not _is_bracketed(token):
            raise ConfigError(f"{path}: {token!r} is a token, so its tokens are not single letters; {_IDS_ALONE}")
    if missing := [base for base in "ACGT" if base not in spelled and base.lower() not in spelled]:
        raise ConfigError(f"{path}: has no token for {', '.join(missing)}; {_IDS_ALONE}")
    return "dna" if spelled == [*SPECIALS, *"ACGTN"] else ",".join(spelled)


def is_caduceus(folder: Path, complements_agree: bool | None) -> bool:
    """Tell whether what lies beside the weights says that their vocabulary is the one that Caduceus was published with.

    That vocabulary stands in the code of its tokenizer and in no file, but the config has its complements, and
    `tokenizer_config.json` its specials: these must agree, and one of the two must say so.
    """
    settings = _settings(folder)
    own = dict(enumerate(SPECIALS))
    if any(own.get(number) != token for number, token in _added(settings)):
        return False
    if complements_agree is None:
        return settings.get("tokenizer_class") == "CaduceusTokenizer"
    return complements_agree


def ask_for_alphabet(where: str, rows: int) -> ConfigError:
    """Make the error that asks what the ids of a model stand for."""
    return ConfigError(
        f"{where}: no tokenizer file says what its {rows} token ids stand for; name them by --alphabet dna, bytes, "
        f"{TOKENS} (ids alone), or all in order, as in [PAD],[MASK],[UNK],a,c,g,t (genomamba convert keeps that)"
    )


def _read(path: Path) -> tuple[dict[int, str], set[str]]:
    """Read the tokens by id, and which of them are specials."""
    if path.suffix == ".txt":
        return dict(enumerate(path.read_text(encoding="utf-8").splitlines())), set()
    values = read_json(path)
    try:
        if path.name == "vocab.json":
            return {int(number): str(token) for token, number in values.items()}, set()
        listed = values["model"]["vocab"]
        # Unigram models list pairs of token and score in the order of ids.
        numbered = enumerate(pair[0] for pair in listed) if isinstance(listed, list) else _turned(listed)
        added = {int(one["id"]): str(one["content"]) for one in values.get("added_tokens") or ()}
        return dict(numbered) | added, set(added.values())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error!r}); it should be as a tokenizer wrote it") from error


def _turned(vocabulary: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    return ((int(number), token) for token, number in vocabulary.items())


def _settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name in _SETTINGS:
        if (folder / name).is_file():
            values = read_json(folder / name)
            if not isinstance(values, dict):
                raise RunError(f"{folder / name}: damaged; it should hold a JSON object")
            settings |= values
    return settings


def _added(settings: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Specials and their ids, as `tokenizer_config.json` lists them."""
    listed = settings.get("added_tokens_decoder") or {}
    return [(int(number), _content(token)) for number, token in listed.items()]


def _content(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token)


def _names_of_specials(tokens: Mapping[int, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """Map tokens to the specials they are in `dna`: those of the same name first, then by their part, then by habit."""
    names = {token: token for token in tokens.values() if token in SPECIALS}
    parts = [(_content(settings[role]), special) for role, special in ROLES.items() if settings.get(role)]
    habits = [(token, special) for token in tokens.values() if (special := special_of(token))]
    for token, special in parts + habits:
        if token in tokens.values() and token not in names and special not in names.values():
            names[token] = special
    return names


def _is_bracketed(token: str) -> bool:
    return token[0] + token[-1] in ("[]", "<>")
