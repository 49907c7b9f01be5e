"""Tokenizer files that transformers reads, written for an alphabet of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from genomamba.alphabet import NUCLEOTIDES, SPECIALS, get_alphabet
from genomamba.files import atomic_file, write_json
from genomamba.model.checkpoint.vocabulary import ROLES

__all__ = ["write_tokenizer"]

_EVERY_LETTER: Final = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
_BYTES_AS_LETTERS: Final = {
    "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False,
}  # fmt: skip


def write_tokenizer(folder: Path, name: str) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` into an existing folder.

    A letter is a token, and [BOS], where there is one, stands first. Case is folded and IUPAC codes read as N, as the
    alphabet has it.

    Parameters
    ----------
    folder : Path
        Where to write.
    name : str
        The alphabet; any but `tokens`.
    """
    alphabet = get_alphabet(name)
    in_bytes = alphabet.letters == "bytes"
    vocabulary = _vocabulary(name)
    token_of = {number: token for token, number in vocabulary.items()}
    specials = {special: token_of[number] for special, number in alphabet.special_ids.items()}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(token, vocabulary[token]) for token in specials.values()],
        "normalizer": None if in_bytes else {"type": "Sequence", "normalizers": _fold(name)},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [_BYTES_AS_LETTERS, _EVERY_LETTER] if in_bytes else [_EVERY_LETTER],
        },
        "post_processor": _begin_with(specials["[BOS]"], alphabet.bos) if "[BOS]" in specials else None,
        "decoder": {**_BYTES_AS_LETTERS} if in_bytes else {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": specials.get("[UNK]", "[UNK]")},
    }
    with atomic_file(folder / "tokenizer.json") as temporary:
        temporary.write_text(json.dumps(tokenizer, indent=1) + "\n")
    roles = {role: specials[special] for role, special in ROLES.items() if special in specials}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | roles)


def _vocabulary(name: str) -> dict[str, int]:
    if name == "dna":
        tokens = [*SPECIALS, *"ACGTN"]
    elif name == "bytes":
        tokens = [*SPECIALS, *_letters_of_bytes()]
    else:
        tokens = name.split(",")
    return {token: number for number, token in enumerate(tokens) if token}


def _letters_of_bytes() -> list[str]:
    """Return the letter by which tokenizers' `ByteLevel` shows each byte: its own where it prints, else from 256 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte if byte in shown else 256 + hidden.index(byte)) for byte in range(256)]


def _fold(name: str) -> list[dict[str, Any]]:
    """Write each letter as the token it has: of either case, U as T, and what is left of the IUPAC codes as N."""
    alphabet, vocabulary = get_alphabet(name), _vocabulary(name)
    token_of = {number: token for token, number in vocabulary.items()}
    read_as: dict[str, str] = {}
    for letter in (*NUCLEOTIDES, "U"):
        token = token_of[int(alphabet.encode(letter)[0])]
        if len(token) == 1:
            read_as[token] = read_as.get(token, "") + letter + letter.lower()
    return [{"type": "Replace", "pattern": {"Regex": f"[{letters}]"}, "content": token}
            for token, letters in read_as.items()]  # fmt: skip


def _special(token: str, number: int) -> dict[str, Any]:
    return {
        "id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
        "special": True,
    }  # fmt: skip


def _begin_with(token: str, number: int) -> dict[str, Any]:
    first = {"SpecialToken": {"id": token, "type_id": 0}}
    one, two = ({"Sequence": {"id": letter, "type_id": 0}} for letter in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [first, one],
        "pair": [first, one, two],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }
