"""Token alphabets, each a set of look-up tables over uint8, named by a text that a config can hold.

`dna` has A C G T N, `bytes` any byte. A vocabulary of DNA letters with ids of its own is named by its tokens in the
order of their ids, with commas between: `[PAD],[MASK],[UNK],a,c,g,t`; an id without a token of use is left empty.
`tokens` stands for a vocabulary that is not of letters: the model takes ids, and no text.

Three forms of one sequence occur. *Text* is what a file holds. *Symbols* are uint8, one per base, and are
what the cache stores: for DNA the token id in `dna` with the soft-mask bit (0x80) set where the letter was lower
case; for `bytes` the byte itself. *Tokens* are what a model reads.

The ids of `dna` and of its specials are those of Caduceus (Schiff et al. 2024, arXiv:2403.03234).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from genomamba.errors import ConfigError, DataError

__all__ = ["ALPHABETS", "NUCLEOTIDES", "TOKENS", "Alphabet", "get_alphabet", "special_of"]

UInt8Array = npt.NDArray[np.uint8]
TokenArray = npt.NDArray[np.int64]

SPECIALS: Final = ("[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]")
SOFTMASK_BIT: Final = 0x80
ALPHABETS: Final = ("dna", "bytes")
TOKENS: Final = "tokens"
NUCLEOTIDES: Final = "ACGTNRYSWKMBDHV"
"""Letters that a vocabulary of DNA may have: the bases, N and the IUPAC codes."""

_INVALID = 0xFF
_COMPLEMENTS: Final = dict(zip(NUCLEOTIDES, "TGCANYRSWMKVHDB", strict=True))
# What other tokenizers call the specials that have a part to play here.
_SPECIALS_ELSEWHERE: Final = {
    "<mask>": "[MASK]", "<pad>": "[PAD]", "<unk>": "[UNK]", "<s>": "[BOS]", "<bos>": "[BOS]", "<cls>": "[CLS]",
    "</s>": "[SEP]", "<eos>": "[SEP]", "[EOS]": "[SEP]", "<sep>": "[SEP]",
}  # fmt: skip
_OWN_SPECIALS: Final = MappingProxyType({name: number for number, name in enumerate(SPECIALS)})


@dataclass(frozen=True, eq=False, slots=True)
class Alphabet:
    """Ids of one alphabet, and the tables between text, symbols and tokens.

    Attributes
    ----------
    name : str
        What `get_alphabet` takes: `dna`, `bytes`, `tokens`, or the tokens in the order of their ids.
    vocab_size : int
        Number of token ids, padded up (16 for `dna`, 264 for `bytes`, 0 for `tokens`).
    used_ids : int
        Ids from this one on stand for nothing (12 for `dna`, 263 for `bytes`).
    symbol_of_text : (256,), uint8
        Symbol of each byte of text; 0xFF where DNA has no such letter.
    token_of_symbol : (256,), int64
        Token of each symbol; the soft-mask bit is dropped.
    text_of_token : (vocab_size,), uint8
        A letter for each token; `?` for specials.
    complement_of_token : (vocab_size,), int64, or None
        Token of the complementary base; None where complement has no meaning.
    is_target_token : (vocab_size,), bool
        Tokens that a model may be asked to predict: A C G T, or every byte.
    special_ids : mapping from str to int
        Ids of the specials that there are, by their name in `dna`.
    """

    name: str
    vocab_size: int
    used_ids: int
    symbol_of_text: UInt8Array
    token_of_symbol: TokenArray
    text_of_token: UInt8Array
    complement_of_token: TokenArray | None
    is_target_token: npt.NDArray[np.bool_]

    special_ids: Mapping[str, int] = field(default_factory=lambda: _OWN_SPECIALS)

    def __reduce__(self) -> tuple[Callable[[str], Alphabet], tuple[str]]:
        # One object a name in each process, also where it comes out of a pickle.
        return get_alphabet, (self.name,)

    @property
    def bos(self) -> int:
        """Token that stands before the first base. Raises `ConfigError` where there is none, like `mask` and `pad`."""
        return self._special("[BOS]")

    @property
    def mask(self) -> int:
        """Token that hides a base from the model."""
        return self._special("[MASK]")

    @property
    def pad(self) -> int:
        """Token that fills up a batch."""
        return self._special("[PAD]")

    @property
    def letters(self) -> str:
        """What text and symbols are: `dna` or `bytes`. Raises `ConfigError` for `tokens`, which has no letters."""
        if self.name == TOKENS:
            raise ConfigError(
                "the model takes token ids, not sequences, since its vocabulary is not known to be one of letters; "
                "where it is, name it by genomamba convert --alphabet"
            )
        return "bytes" if self.name == "bytes" else "dna"

    @property
    def has_complement(self) -> bool:
        """Whether the second strand has a meaning."""
        return self.complement_of_token is not None

    @property
    def unknown(self) -> int:
        """Token of bases outside a contig, never a target: N, [UNK] where there is no N, [PAD] for `bytes`."""
        return int(self.token_of_symbol[self.symbol_of_text[ord("N")]]) if self.has_complement else self.pad

    @property
    def targets(self) -> TokenArray:
        """Ids of the tokens that may be predicted, ascending: (4,) for `dna`, (256,) for `bytes`."""
        return np.flatnonzero(self.is_target_token)

    def symbols(self, text: str | bytes | bytearray | memoryview | UInt8Array) -> UInt8Array:
        """Turn text into symbols, uint8, one a letter. Raises `DataError` on any other letter."""
        raw = _as_bytes(text)
        symbols = self.symbol_of_text[raw]
        if self.letters == "dna" and (bad := np.flatnonzero(symbols == _INVALID)).size:
            # All before it are letters of one byte, so that bytes and characters have the same numbers.
            letter = text[bad[0]] if isinstance(text, str) else chr(int(raw[bad[0]]))
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
            raise ConfigError(f"the {self.name} alphabet has no complement; read the given strand alone")
        return self.complement_of_token[tokens[..., ::-1]]

    def complements(self, rows: int) -> TokenArray:
        """Return the complement of every id of a model with `rows` ids, (rows,) int64; padding is its own."""
        if self.complement_of_token is None:
            raise ConfigError(f"the {self.name} alphabet has no complement; read the given strand alone")
        complements = np.arange(rows)
        known = self.complement_of_token[:rows]
        complements[: known.size] = known
        return complements

    def _special(self, name: str) -> int:
        if name not in self.special_ids:
            raise ConfigError(f"the vocabulary {self.name} has no {name}, which this use of the model needs")
        return self.special_ids[name]


def get_alphabet(name: str) -> Alphabet:
    """Return the alphabet of that name.

    Parameters
    ----------
    name : str
        `dna`, `bytes`, `tokens`, or the tokens of a vocabulary of DNA letters in the order of their ids, with commas
        between. Letters may be of either case; where a vocabulary has both, text is read as upper case.

    Raises
    ------
    ConfigError
        For any other name, and for a vocabulary that lacks a base, or has neither N nor [UNK].
    """
    if name not in (*ALPHABETS, TOKENS) and "," not in name:
        raise ConfigError(
            f"is {name!r}; it must be {', '.join(ALPHABETS)}, {TOKENS}, "
            "or all tokens in the order of their ids, as in [PAD],[MASK],[UNK],a,c,g,t",
            option="alphabet",
        )
    return _build(name)


def special_of(token: str) -> str | None:
    """Return what `dna` calls a special, which may be `<mask>`, `<pad>`, ... elsewhere; None for other tokens."""
    return token if token in SPECIALS else _SPECIALS_ELSEWHERE.get(token)


@lru_cache
def _build(name: str) -> Alphabet:
    match name:
        case "dna":
            return _dna()
        case "bytes":
            return _bytes()
        case "tokens":
            return _ids_alone()
    return _of_tokens(name)


def _dna() -> Alphabet:
    vocab_size = 16
    ids = {base: len(SPECIALS) + i for i, base in enumerate("ACGTN")}
    symbol_of_text = np.full(256, _INVALID, np.uint8)
    letters = {**dict.fromkeys(NUCLEOTIDES, ids["N"]), "U": ids["T"], **ids}
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
    used = len(SPECIALS) + len(ids)
    return Alphabet("dna", vocab_size, used, symbol_of_text, token_of_symbol, text_of_token, complement, is_target)


def _bytes() -> Alphabet:
    offset, vocab_size = len(SPECIALS), 264
    symbol_of_text = np.arange(256, dtype=np.uint8)
    token_of_symbol = np.arange(256, dtype=np.int64) + offset
    text_of_token = np.full(vocab_size, ord("?"), np.uint8)
    text_of_token[offset : offset + 256] = symbol_of_text
    ids = np.arange(vocab_size)
    is_target = (ids >= offset) & (ids < offset + 256)
    used = offset + 256
    return Alphabet("bytes", vocab_size, used, symbol_of_text, token_of_symbol, text_of_token, None, is_target)


def _ids_alone() -> Alphabet:
    no_text, no_tokens = np.full(256, _INVALID, np.uint8), np.zeros(0, np.int64)
    return Alphabet(
        TOKENS, 0, 0, no_text, np.zeros(256, np.int64), no_tokens.astype(np.uint8), None, no_tokens.astype(np.bool_),
        special_ids=MappingProxyType({}),
    )  # fmt: skip


def _of_tokens(name: str) -> Alphabet:
    tokens = name.split(",")
    ids, specials = _ids_of(name, tokens)
    read_as = {token.upper(): number for token, number in ids.items()}
    read_as |= {token: number for token, number in ids.items() if token.isupper()}
    unknown = read_as.get("N", specials.get("[UNK]"))
    missing = [base for base in "ACGT" if base not in read_as]
    if missing or unknown is None:
        lacks = ", ".join(missing) or "both N and [UNK]"
        raise ConfigError(f"the vocabulary {name} lacks {lacks}; it must have A, C, G, T, and N or [UNK]")
    dna = _build("dna")
    token_of_symbol = np.full(256, unknown, np.int64)
    for base in "ACGTN":
        symbol = int(dna.symbol_of_text[ord(base)])
        token_of_symbol[[symbol, symbol | SOFTMASK_BIT]] = read_as.get(base, unknown)
    text_of_token = np.full(len(tokens), ord("?"), np.uint8)
    complement = np.arange(len(tokens), dtype=np.int64)
    for token, number in ids.items():
        text_of_token[number] = ord(token.upper())
        other = _COMPLEMENTS[token.upper()]
        complement[number] = ids.get(other if token.isupper() else other.lower(), number)
    is_target = np.isin(np.arange(len(tokens)), [number for token, number in ids.items() if token in "ACGTacgt"])
    return Alphabet(
        name, len(tokens), len(tokens), dna.symbol_of_text, token_of_symbol, text_of_token, complement, is_target,
        special_ids=MappingProxyType(specials),
    )  # fmt: skip


def _ids_of(name: str, tokens: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Ids of the letters, and of the specials by their name in `dna`."""
    letters: dict[str, int] = {}
    specials: dict[str, int] = {}
    for number, token in enumerate(tokens):
        special = special_of(token)
        if len(token) == 1 and token.upper() in NUCLEOTIDES:
            found, key = letters, token
        elif special is not None:
            found, key = specials, special
        elif not token:
            continue
        else:
            raise ConfigError(f"the vocabulary {name} holds {token!r}, which is neither a letter of DNA nor a special")
        if key in found:
            raise ConfigError(f"the vocabulary {name} holds {token!r} twice, as ids {found[key]} and {number}")
        found[key] = number
    return letters, specials


def _as_bytes(text: str | bytes | bytearray | memoryview | UInt8Array) -> UInt8Array:
    if isinstance(text, np.ndarray):
        return text
    return np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)
