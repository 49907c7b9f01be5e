"""Random access by index gives what the file holds, plain and BGZF, and keeps its index current."""

import logging
import os
import pickle
import random

import pytest

from genomamba.data import fasta as fasta_module
from genomamba.data.fasta import Fasta, read_headers
from genomamba.errors import DataError


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "dos"])
@pytest.mark.parametrize("name", ["made.fa", "made.fa.bgz"])
def test_every_stretch_comes_back(name, end, write_fasta, random_records):
    records = random_records({"a": 150_000, "b": 61, "c": 60, "d": 1})
    fasta = Fasta(write_fasta({f"{key} text": text for key, text in records.items()}, name, end=end))
    assert fasta.lengths == {key: len(text) for key, text in records.items()}
    for key, text in records.items():
        assert fasta.fetch(key, 0, len(text)) == text
    drawn = random.Random(0)
    for _ in range(500):
        start = drawn.randrange(150_000)
        end = min(150_000, start + drawn.randrange(300))
        assert fasta.fetch("a", start, end) == records["a"][start:end]
    for start in range(62):
        assert fasta.fetch("b", min(start, 61), 61) == records["b"][start:]


def test_past_the_end(write_fasta):
    fasta = Fasta(write_fasta({"chr1": "acgt"}))
    assert fasta.fetch("1", 2, 7, pad=True) == "gtNNN"
    assert fasta.fetch("1", 5, 7, pad=True) == "NN"
    with pytest.raises(DataError, match=r"chr1 has 4 bases, and 0-based \[2, 7\) was asked"):
        fasta.fetch("chr1", 2, 7)
    with pytest.raises(ValueError, match="is not 0 <= start <= end"):
        fasta.fetch("chr1", 3, 2)
    with pytest.raises(DataError, match="no sequence 'chr2'; it has 'chr1'; name them"):
        fasta.fetch("chr2", 0, 1)


@pytest.mark.parametrize("name", ["made.fa", "made.fa.bgz"])
def test_the_index_lies_beside_and_is_used_again(name, write_fasta, monkeypatch):
    path = write_fasta({"a": "ACGT" * 50}, name)
    Fasta(path)
    assert path.with_name(f"{name}.fai").read_text().startswith("a\t200\t3\t60\t61\n")
    assert path.with_name(f"{name}.gzi").exists() == name.endswith("bgz")
    assert len(list(path.parent.iterdir())) == (3 if name.endswith("bgz") else 2)
    monkeypatch.setattr(Fasta, "_make_index", None)
    assert Fasta(path).fetch("a", 59, 62) == "TAC"


@pytest.mark.parametrize("name", ["made.fa", "made.fa.bgz"])
def test_the_index_of_a_folder_that_cannot_be_written_lies_in_the_cache(name, write_fasta, tmp_path, monkeypatch):
    path = write_fasta({"a": "ACGT" * 50}, name)
    monkeypatch.setattr(fasta_module.os, "access", lambda folder, mode: False)
    assert Fasta(path, cache_dir=tmp_path / "c").fetch("a", 59, 62) == "TAC"
    assert not path.with_name(f"{name}.fai").exists()
    monkeypatch.setattr(Fasta, "_make_index", None)
    assert Fasta(path, cache_dir=tmp_path / "c").fetch("a", 59, 62) == "TAC"


@pytest.mark.parametrize("name", ["made.fa", "made.fa.bgz"])
def test_an_index_older_than_its_fasta_is_made_anew_and_said(name, write_fasta, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    path = write_fasta({"a": "ACGT" * 50}, name)
    Fasta(path)
    write_fasta({"b": "GG", "a": "TTTTT" * 50}, name)
    for suffix in (".fai", ".gzi"):
        if (index := path.with_name(name + suffix)).exists():
            os.utime(index, (1, 1))
    assert Fasta(path).fetch("a", 248, 250) == "TT"
    assert [r.message for r in caplog.records] == [f"{path}.fai: older than {name}; it is made anew"]


def test_what_has_no_random_access_is_told(write_fasta, tmp_path):
    with pytest.raises(DataError, match="plain gzip has no random access; recompress it with bgzip"):
        Fasta(write_fasta({"a": "ACGT"}, "x.fa.gz"))
    with pytest.raises(DataError, match=r"not compressed, against its name; rename it y.fa"):
        Fasta(write_fasta({"a": "ACGT"}).rename(tmp_path / "y.fa.gz"))
    with pytest.raises(DataError, match=r"BGZF, against its name; rename it y.fa.gz"):
        Fasta(write_fasta({"a": "ACGT"}, "x.bgz").rename(tmp_path / "y.fa"))


def test_mixed_line_ends_have_no_index(tmp_path):
    path = tmp_path / "x.fa"
    path.write_bytes(b">a\nACGT\nACGT\r\nACGT\n")
    with pytest.raises(DataError, match=r"x.fa: cannot be indexed: Line length of fasta file is not consistent"):
        Fasta(path)


def test_a_file_cut_after_it_was_opened_is_told(write_fasta):
    path = write_fasta({"a": "ACGT" * 50_000})
    fasta = Fasta(path)
    os.truncate(path, 100)
    with pytest.raises(DataError, match="ends before a:199,000; it has changed"):
        fasta.fetch("a", 198_000, 199_000)
    with pytest.raises(DataError, match="has changed since it was opened; start the command again"):
        pickle.loads(pickle.dumps(fasta)).fetch("a", 18_000, 19_000)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "dos"])
@pytest.mark.parametrize("name", ["made.fa", "made.fa.gz", "made.fa.bgz"])
def test_headers_are_read_with_an_index_and_without(name, end, write_fasta):
    headers = {f"c{i}": f"chromosome {i}, > 1" if i % 2 else "" for i in range(300)}
    path = write_fasta({f"{key} {rest}".strip(): "ACGT" * 2000 for key, rest in headers.items()}, name, end=end)
    most, none = dict.fromkeys(("none", "gzip", "bgzf"), 10**7), dict.fromkeys(("none", "gzip", "bgzf"), 0)
    assert read_headers(path, most) == headers
    assert read_headers(path, none) is None
    if name == "made.fa.gz":
        return
    Fasta(path)
    assert read_headers(path, none) == headers
    index = path.with_name(f"{name}.fai")
    index.write_text(index.read_text().replace("c7\t", "d7\t"))
    assert read_headers(path, none) is None
    assert read_headers(path, most) == headers
