"""What token ids stand for, by the files of a tokenizer."""

import json

import pytest

from genomamba.alphabet import SPECIALS, get_alphabet
from genomamba.errors import GenomambaError
from genomamba.model.checkpoint.vocabulary import is_caduceus, read_vocabulary

DNA = [*SPECIALS, *"ACGTN"]
PLANT = ["[PAD]", "[MASK]", "[UNK]", *"acgt"]
OTHER = ["<pad>", "<unk>", "<mask>", "<s>", "</s>", *"ACGTN"]


def numbered(tokens):
    return {token: number for number, token in enumerate(tokens)}


def tokenizer_json(folder, tokens, kind="WordLevel"):
    vocabulary = [[token, 0.0] for token in tokens] if kind == "Unigram" else numbered(tokens)
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": kind, "vocab": vocabulary}}))


def vocab_json(folder, tokens):
    (folder / "vocab.json").write_text(json.dumps(numbered(tokens)))


def vocab_txt(folder, tokens):
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")


def unigram(folder, tokens):
    tokenizer_json(folder, tokens, "Unigram")


def specials_as_added(folder, tokens):
    """The form in which only the letters stand in the vocabulary, and the specials are added to it."""
    letters = {token: number for token, number in numbered(tokens).items() if len(token) == 1}
    added = [{"id": number, "content": token} for token, number in numbered(tokens).items() if len(token) > 1]
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": letters}, "added_tokens": added}))


def specials_in_the_settings(folder, tokens):
    vocab_json(folder, [token if len(token) == 1 else f"<{number}>" for number, token in enumerate(tokens)])
    decoder = {number: {"content": token} for token, number in numbered(tokens).items() if len(token) > 1}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))


@pytest.mark.parametrize(
    "write", [tokenizer_json, vocab_json, vocab_txt, unigram, specials_as_added, specials_in_the_settings]
)
@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (DNA, "dna"),
        (PLANT, "[PAD],[MASK],[UNK],a,c,g,t"),
        (OTHER, "[PAD],[UNK],[MASK],[BOS],[SEP],A,C,G,T,N"),
    ],
    ids=["dna", "plant", "other"],
)
def test_every_form_of_a_vocabulary_is_read(tmp_path, write, tokens, expected):
    write(tmp_path, tokens)
    assert read_vocabulary(tmp_path) == expected
    get_alphabet(expected)


def test_specials_are_known_by_their_part(tmp_path):
    vocab_json(tmp_path, ["!pad", "!hide", "!what", *"ACGT", "x", "-"])
    parts = {"mask_token": "!hide", "pad_token": {"content": "!pad"}, "unk_token": "!what", "bos_token": None}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(parts))
    assert read_vocabulary(tmp_path) == "[PAD],[MASK],[UNK],A,C,G,T,,"


def test_one_token_with_two_parts_has_the_first(tmp_path):
    vocab_json(tmp_path, ["<end>", "[UNK]", *"ACGT"])
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": "<end>", "pad_token": "<end>"}))
    assert read_vocabulary(tmp_path) == "[PAD],[UNK],A,C,G,T"


def test_no_file_is_no_vocabulary(tmp_path):
    assert read_vocabulary(tmp_path) is None


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (
            ["[UNK]", "A", "C", "G", "T", "ACG"],
            "'ACG' is a token, .* not single letters; --alphabet tokens",
        ),
        (["[UNK]", "M", "K"], "has no token for A, C, G, T; --alphabet tokens"),
    ],
    ids=["k-mers", "protein"],
)
def test_what_is_not_of_letters_is_refused(tmp_path, tokens, message):
    tokenizer_json(tmp_path, tokens)
    with pytest.raises(GenomambaError, match=message) as caught:
        read_vocabulary(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": {}}', '{"model": {"vocab": {"A": "x"}}}'])
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(GenomambaError, match=r"damaged|cannot be read") as caught:
        read_vocabulary(tmp_path)
    assert str(caught.value).startswith(str(path))


def test_caduceus_is_known_by_its_complements_and_its_specials(tmp_path):
    assert is_caduceus(tmp_path, True)
    assert not is_caduceus(tmp_path, False)
    assert not is_caduceus(tmp_path, None)
    path = tmp_path / "tokenizer_config.json"
    added = {str(number): {"content": token} for number, token in enumerate(SPECIALS) if token != "[RESERVED]"}
    path.write_text(json.dumps({"tokenizer_class": "CaduceusTokenizer", "added_tokens_decoder": added}))
    assert is_caduceus(tmp_path, None)
    path.write_text(json.dumps({"tokenizer_class": "CaduceusTokenizer", "added_tokens_decoder": {"1": "[EOS]"}}))
    assert not is_caduceus(tmp_path, True)
