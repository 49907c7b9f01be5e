"""Every form of FASTA that people have reads the same, wherever blocks happen to end."""

import gzip

import pytest

from genomamba.alphabet import get_alphabet
from genomamba.data import source as source_module
from genomamba.data.parse import Header, read_sequences
from genomamba.data.source import Source

RECORDS = {"one": "ACGTACGTAC" * 3 + "acgtn", "two": "GGGG", "three": "TTTTTTTTTT" * 2}


def read(path, alphabet):
    """Records as text by name, upper case where they were."""
    records, name = {}, None
    with Source(path) as source:
        for piece in read_sequences(source, alphabet):
            if isinstance(piece, Header):
                name = piece.name
                records[name] = b""
            else:
                letters = alphabet.decode(alphabet.token_of_symbol[piece])
                soft = alphabet.softmask(piece)
                records[name] += bytes(x + 32 if low else x for x, low in zip(letters, soft, strict=True))
    return {name: text.decode() for name, text in records.items()}


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "dos"])
@pytest.mark.parametrize("name", ["made.fa", "made.fa.gz", "made.fa.bgz"])
def test_records_come_back_whatever_the_block(name, end, block, write_fasta, dna, monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK_BYTES", block)
    assert read(write_fasta(RECORDS, name, width=10, end=end), dna) == RECORDS


@pytest.mark.parametrize("block", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b">a\nACGT\nAC", {"a": "ACGTAC"}),
        (b">a\nACGT\nAC\n\n\n", {"a": "ACGTAC"}),
        (b">a\nACGT\nACGT\n\n>b\nA\n", {"a": "ACGTACGT", "b": "A"}),
        (b">a\nACGT\nAC\n\n>b\nA\n", {"a": "ACGTAC", "b": "A"}),
        (b">a some words > here\tand here\nACGT\n", {"a": "ACGT"}),
        (b">a\tdescription\nACGT\n", {"a": "ACGT"}),
        (b">a\nACGU\nRYSW\n", {"a": "ACGTNNNN"[:3] + "TNNNN"}),
        (b">" + b"n" * 5000 + b"\nACGT\n", {"n" * 5000: "ACGT"}),
    ],
    ids=["no last newline", "blank end", "blank between", "blank after short", "words", "tab", "iupac", "long name"],
)
def test_forms_that_are_accepted(text, expected, block, tmp_path, dna, monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK_BYTES", block)
    path = tmp_path / "made.fa"
    path.write_bytes(text)
    assert read(path, dna) == expected


def test_one_long_line_is_a_record(tmp_path, dna, monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK_BYTES", 1000)
    path = tmp_path / "made.fa"
    path.write_bytes(b">a\n" + b"ACGT" * 5000 + b"\n>b\n" + b"T" * 2500)
    assert read(path, dna) == {"a": "ACGT" * 5000, "b": "T" * 2500}


def test_header_keeps_its_words_and_its_line(write_fasta, dna):
    with Source(write_fasta({"a first one": "ACGT" * 40, "b": "A"})) as source:
        headers = [piece for piece in read_sequences(source, dna) if isinstance(piece, Header)]
    assert headers == [Header("a", "first one", 1), Header("b", "", 5)]


def test_bytes_take_any_file_whole_and_fasta_by_record(tmp_path):
    alphabet = get_alphabet("bytes")
    raw = bytes(range(256)) + b"\r\n>text\n\n"
    plain, packed, fasta = tmp_path / "a.txt", tmp_path / "a.gz", tmp_path / "a.fa"
    plain.write_bytes(raw)
    packed.write_bytes(gzip.compress(raw))
    fasta.write_bytes(b">p\nMKVL\nmk*\n")
    for path, expected in ((plain, {"a.txt": raw}), (packed, {"a.gz": raw}), (fasta, {"p": b"MKVLmk*"})):
        found = {}
        with Source(path) as source:
            for piece in read_sequences(source, alphabet):
                if isinstance(piece, Header):
                    name = piece.name
                else:
                    found[name] = found.get(name, b"") + piece.tobytes()
        assert found == expected
