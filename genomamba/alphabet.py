"""Token alphabets: `dna` (A C G T N) and `bytes` (any byte), each a set of look-up tables over uint8.

Three forms of one sequence occur. *Text* is what a file holds. *Symbols* are uint8, one per base, and are
what the cache stores: for `dna` the token id with the soft-mask bit (0x80) set where the letter was lower
case; for `bytes` the byte itself. *Tokens* are what a model reads.

The ids of `dna` and of its specials are those of Caduceus (Schiff et al. 2024, arXiv:2403.03234).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.errors import ConfigError, DataError

__all__ = ["ALPHABETS", "Alphabet", "get_alphabet"]

UInt8Array = npt.NDArray[np.uint8]
TokenArray = npt.NDArray[np.int64]

SPECIALS: Final = ("[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]")
SOFTMASK_BIT: Final = 0x80
ALPHABETS: Final = ("dna", "bytes")

_INVALID = 0xFF
_IUPAC = b"RYSWKMBDHVN"


@dataclass(frozen=True, eq=False, slots=True)
class Alphabet:
    """Ids of one alphabet, and the tables between text, symbols and tokens.

    Attributes
    ----------
    name : str
        `dna` or `bytes`.
    vocab_size : int
        Number of token ids, padded up (16 for `dna`, 264 for `bytes`).
    symbol_of_text : (256,), uint8
        Symbol of each byte of text; 0xFF where `dna` has no such letter.
    token_of_symbol : (256,), int64
        Token of each symbol; the soft-mask bit is dropped.
    text_of_token : (vocab_size,), uint8
        A letter for each token; `?` for specials.
    complement_of_token : (vocab_size,), int64, or None
        Token of the complementary base; None where complement has no meaning.
    is_target_token : (vocab_size,), bool
        Tokens that a model may be asked to predict: A C G T, or every byte.
    """

    name: str
    vocab_size: int
    symbol_of_text: UInt8Array
    token_of_symbol: TokenArray
    text_of_token: UInt8Array
    complement_of_token: TokenArray | None
    is_target_token: npt.NDArray[np.bool_]

    bos: int = SPECIALS.index("[BOS]")
    mask: int = SPECIALS.index("[MASK]")
    pad: int = SPECIALS.index("[PAD]")

    def __reduce__(self) -> tuple[Callable[[str], Alphabet], tuple[str]]:
        # One object a name in each process, also where it comes out of a pickle.
        return get_alphabet, (self.name,)

    @property
    def has_complement(self) -> bool:
        """Whether the second strand has a meaning."""
        return self.complement_of_token is not None

    @property
    def unknown(self) -> int:
        """Token that stands for bases outside a contig, and never a target: N, or [PAD] for `bytes`."""
        return int(self.token_of_symbol[self.symbol_of_text[ord("N")]]) if self.has_complement else self.pad

    @property
    def targets(self) -> TokenArray:
        """Ids of the tokens that may be predicted, ascending: (4,) for `dna`, (256,) for `bytes`."""
        return np.flatnonzero(self.is_target_token)

    def symbols(self, text: str | bytes | bytearray | memoryview | UInt8Array) -> UInt8Array:
        """Turn text into symbols, uint8, one a letter. Raises `DataError` on any other letter."""
        raw = _as_bytes(text)
        symbols = self.symbol_of_text[raw]
        if self.has_complement and (bad := np.flatnonzero(symbols == _INVALID)).size:
            letter = chr(int(raw[bad[0]]))
            raise DataError(f"position {bad[0] + 1} holds {letter!r}; the dna alphabet has A C G T N and IUPAC codes")
        return symbols

    def encode(self, text: str | bytes | bytearray | memoryview | UInt8Array) -> TokenArray:
        """Turn text into tokens, int64. Raises `DataError` on a letter outside the alphabet."""
        return self.token_of_symbol[self.symbols(text)]

    def decode(self, tokens: npt.ArrayLike) -> bytes:
        """Turn tokens back into text; specials become `?`, soft-masked letters come back in upper case."""
        return bytes(self.text_of_token[np.asarray(tokens)].tobytes())

    def softmask(self, symbols: UInt8Array) -> npt.NDArray[np.bool_]:
        """Tell which symbols were lower case, bool; always False for `bytes`."""
        if not self.has_complement:
            return np.zeros(symbols.shape, dtype=np.bool_)
        return (symbols & SOFTMASK_BIT).astype(np.bool_)

    def reverse_complement(self, tokens: TokenArray) -> TokenArray:
        """Reverse the last axis and complement each token. Raises `ConfigError` for `bytes`."""
        if self.complement_of_token is None:
            raise ConfigError(f"the {self.name} alphabet has no complement; use --strand forward")
        return self.complement_of_token[tokens[..., ::-1]]


def get_alphabet(name: str) -> Alphabet:
    """Return the alphabet of that name. Raises `ConfigError` for any name but those in `ALPHABETS`."""
    if name not in ALPHABETS:
        raise ConfigError(f"--alphabet is {name!r}; it must be one of {', '.join(ALPHABETS)}")
    return _build(name)


@lru_cache
def _build(name: str) -> Alphabet:
    return _dna() if name == "dna" else _bytes()


def _dna() -> Alphabet:
    vocab_size = 16
    ids = {base: len(SPECIALS) + i for i, base in enumerate("ACGTN")}
    symbol_of_text = np.full(256, _INVALID, np.uint8)
    letters = {**ids, **{chr(code): ids["N"] for code in _IUPAC}, "U": ids["T"]}
    for letter, token in letters.items():
        symbol_of_text[ord(letter)] = token
        symbol_of_text[ord(letter.lower())] = token | SOFTMASK_BIT
    token_of_symbol = np.arange(256, dtype=np.int64) & ~SOFTMASK_BIT
    text_of_token = np.full(vocab_size, ord("?"), np.uint8)
    complement = np.arange(vocab_size, dtype=np.int64)
    for base, other in zip("ACGTN", "TGCAN", strict=True):
        text_of_token[ids[base]] = ord(base)
        complement[ids[base]] = ids[other]
    is_target = np.isin(np.arange(vocab_size), [ids[base] for base in "ACGT"])
    return Alphabet("dna", vocab_size, symbol_of_text, token_of_symbol, text_of_token, complement, is_target)


def _bytes() -> Alphabet:
    offset, vocab_size = len(SPECIALS), 264
    symbol_of_text = np.arange(256, dtype=np.uint8)
    token_of_symbol = np.arange(256, dtype=np.int64) + offset
    text_of_token = np.full(vocab_size, ord("?"), np.uint8)
    text_of_token[offset : offset + 256] = symbol_of_text
    ids = np.arange(vocab_size)
    is_target = (ids >= offset) & (ids < offset + 256)
    return Alphabet("bytes", vocab_size, symbol_of_text, token_of_symbol, text_of_token, None, is_target)


def _as_bytes(text: str | bytes | bytearray | memoryview | UInt8Array) -> UInt8Array:
    if isinstance(text, np.ndarray):
        return text
    return np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)
