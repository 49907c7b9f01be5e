"""Alphabets: ids as published, tables by hand, and strands that come back."""

import pickle

import numpy as np
import pytest

from genomamba.alphabet import ALPHABETS, get_alphabet
from genomamba.errors import ConfigError, DataError

DNA, BYTES = get_alphabet("dna"), get_alphabet("bytes")


def test_dna_ids_are_those_of_caduceus():
    ids = {"[CLS]": 0, "[SEP]": 1, "[BOS]": 2, "[MASK]": 3, "[PAD]": 4, "[RESERVED]": 5, "[UNK]": 6}
    assert (DNA.bos, DNA.mask, DNA.pad) == (ids["[BOS]"], ids["[MASK]"], ids["[PAD]"])
    assert DNA.encode("ACGTN").tolist() == [7, 8, 9, 10, 11]
    assert DNA.vocab_size == 16
    assert DNA.unknown == 11


def test_iupac_codes_are_n_and_u_is_t():
    assert set(DNA.encode("RYSWKMBDHVNryswkmbdhvn").tolist()) == {11}
    assert DNA.encode("Uu").tolist() == [10, 10]


def test_case_is_a_bit_of_the_symbol_and_not_a_token():
    symbols = DNA.symbols("ACgtNn")
    assert symbols.dtype == np.uint8
    assert DNA.softmask(symbols).tolist() == [False, False, True, True, False, True]
    assert DNA.encode("acgtn").tolist() == DNA.encode("ACGTN").tolist()


def test_reverse_complement_by_hand():
    assert DNA.decode(DNA.reverse_complement(DNA.encode("AACGTN"))) == b"NACGTT"
    specials = np.array([DNA.bos, DNA.mask, 7])
    assert DNA.reverse_complement(specials).tolist() == [10, DNA.mask, DNA.bos]


def test_reverse_complement_of_a_batch_turns_its_last_axis_and_comes_back():
    tokens = np.random.default_rng(0).integers(7, 12, (3, 101))
    turned = DNA.reverse_complement(tokens)
    assert turned.dtype == np.int64
    assert DNA.decode(turned[1]) == DNA.decode(DNA.reverse_complement(tokens[1]))
    np.testing.assert_array_equal(DNA.reverse_complement(turned), tokens)


def test_every_byte_survives_the_bytes_alphabet():
    raw = bytes(range(256))
    tokens = BYTES.encode(raw)
    assert tokens.min() == 7
    assert tokens.max() < BYTES.vocab_size == 264
    assert BYTES.decode(tokens) == raw
    assert BYTES.decode(BYTES.encode("naïve")) == "naïve".encode()


@pytest.mark.parametrize("name", ALPHABETS)
def test_no_special_is_a_target(name):
    alphabet = get_alphabet(name)
    assert not alphabet.is_target_token[[alphabet.bos, alphabet.mask, alphabet.pad, alphabet.unknown]].any()
    assert alphabet.targets.size == {"dna": 4, "bytes": 256}[name]
    assert alphabet.is_target_token.shape == (alphabet.vocab_size,)


def test_strands_of_bytes_are_refused():
    assert not BYTES.has_complement
    with pytest.raises(ConfigError, match="bytes alphabet has no complement"):
        BYTES.reverse_complement(BYTES.encode("AC"))


@pytest.mark.parametrize("text", ["ACE", b"AC\0", "AC-", np.frombuffer(b"AC>", np.uint8)], ids=repr)
def test_a_letter_that_is_no_nucleotide_is_named_with_its_place(text):
    with pytest.raises(DataError, match="position 3 holds"):
        DNA.encode(text)


def test_an_unknown_alphabet_is_refused():
    with pytest.raises(ConfigError, match="must be dna, bytes, tokens, or all tokens in the order of their ids"):
        get_alphabet("rna")


def test_a_vocabulary_of_its_own_by_hand():
    plant = get_alphabet("[PAD],[MASK],[UNK],a,c,g,t")
    assert (plant.pad, plant.mask, plant.unknown, plant.vocab_size) == (0, 1, 2, 7)
    assert plant.encode("ACGTacgtUNR").tolist() == [3, 4, 5, 6, 3, 4, 5, 6, 6, 2, 2]
    assert plant.reverse_complement(plant.encode("AACGTN")).tolist() == [2, 3, 4, 5, 6, 6]
    assert plant.decode([3, 4, 5, 6, 2]) == b"ACGT?"
    assert plant.targets.tolist() == [3, 4, 5, 6]
    assert plant.complements(9).tolist() == [0, 1, 2, 6, 5, 4, 3, 7, 8]
    with pytest.raises(ConfigError, match=r"the vocabulary .PAD.,.* has no .BOS."):
        _ = plant.bos


def test_a_vocabulary_may_have_n_gaps_iupac_codes_and_both_cases():
    mixed = get_alphabet("N,,T,G,C,A,R,Y,a,c,g,t,<mask>")
    assert mixed.encode("ACGTNacgtnRY").tolist() == [5, 4, 3, 2, 0, 5, 4, 3, 2, 0, 0, 0]
    assert mixed.complement_of_token.tolist() == [0, 1, 5, 4, 3, 2, 7, 6, 11, 10, 9, 8, 12]
    assert mixed.mask == 12


def test_a_vocabulary_reads_the_symbols_of_dna():
    """So that one cache of a FASTA serves every vocabulary of DNA."""
    other = get_alphabet("[UNK],G,A,T,C")
    symbols = DNA.symbols("ACGTNacgtnRYU")
    assert other.letters == DNA.letters == "dna"
    np.testing.assert_array_equal(other.symbols("ACGTNacgtnRYU"), symbols)
    assert other.token_of_symbol[symbols].tolist() == [2, 4, 1, 3, 0, 2, 4, 1, 3, 0, 0, 0, 3]
    with pytest.raises(DataError, match="position 2 holds"):
        other.encode("A?")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("[UNK],A,C,G", "lacks T; it must have A, C, G, T, and N or .UNK."),
        ("A,C,G,T", "lacks both N and .UNK."),
        ("[UNK],A,C,G,T,A", "holds 'A' twice, as ids 1 and 5"),
        ("[UNK],<unk>,A,C,G,T", "holds '<unk>' twice, as ids 0 and 1"),
        ("[UNK],A,C,G,T,AC", "holds 'AC', which is neither a letter of DNA nor a special"),
    ],
)
def test_a_vocabulary_that_cannot_read_dna_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        get_alphabet(name)


def test_token_ids_alone_take_no_text():
    tokens = get_alphabet("tokens")
    assert not tokens.has_complement
    for use in (lambda: tokens.encode("A"), lambda: tokens.letters):
        with pytest.raises(ConfigError, match="takes token ids, not sequences"):
            use()


@pytest.mark.parametrize("name", [*ALPHABETS, "tokens", "[UNK],A,C,G,T"])
def test_a_pickle_gives_the_same_object(name):
    assert pickle.loads(pickle.dumps(get_alphabet(name))) is get_alphabet(name)
