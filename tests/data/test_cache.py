"""A cache holds exactly the sequence, is found again, and is made anew when it no longer fits."""

import hashlib
import json
import logging
import multiprocessing
import os
import pickle
import zlib

import numpy as np
import platformdirs
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval
from genomamba.data import cache as cache_module
from genomamba.data import folders as folders_module
from genomamba.data.cache import build_cache, cache_path
from genomamba.data.genome import Genome
from genomamba.data.stream import SampleStream
from genomamba.errors import DataError

RECORDS = {"one": "ACGTNacgtn" * 20, "two first": "GATTACA"}


@pytest.fixture
def fasta(write_fasta):
    return write_fasta(RECORDS)


def open_quietly(path, folder, **options):
    return build_cache(path, get_alphabet("dna"), cache_dir=folder, progress=False, **options)


def text(cached, name="one"):
    alphabet = get_alphabet("dna")
    return alphabet.decode(alphabet.token_of_symbol[cached.read(name, 0, cached.contigs[name].length)]).decode()


def test_it_holds_the_sequence_and_says_where_it_is_from(fasta, tmp_path):
    cached = open_quietly(fasta, tmp_path / "c")
    assert text(cached) == RECORDS["one"].upper()
    assert cached.read("two", 1, 4).tolist() == get_alphabet("dna").symbols("ATT").tolist()
    assert cached.contigs["two"].description == "first"
    assert cached.source["sha256"] == hashlib.sha256(fasta.read_bytes()).hexdigest()
    assert cached.source["bytes"] == fasta.stat().st_size
    assert cached.path.read_bytes()[64:].startswith(get_alphabet("dna").symbols(RECORDS["one"]).tobytes())


def test_a_second_opening_reads_what_is_there(fasta, tmp_path, monkeypatch):
    first = open_quietly(fasta, tmp_path / "c")
    monkeypatch.setattr(cache_module, "_write", None)
    assert open_quietly(fasta, tmp_path / "c").path == first.path


def test_rebuild_and_another_alphabet_write_anew(fasta, tmp_path):
    first = open_quietly(fasta, tmp_path / "c")
    before = first.path.stat().st_ino
    assert open_quietly(fasta, tmp_path / "c", rebuild=True).path.stat().st_ino != before
    assert build_cache(fasta, get_alphabet("bytes"), cache_dir=tmp_path / "c", progress=False).path != first.path


def test_a_changed_source_is_read_anew_and_said_once(fasta, tmp_path, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    old = open_quietly(fasta, tmp_path / "c")
    changed = fasta.read_bytes().replace(b"GATTACA", b"GATTTTA")
    fasta.write_bytes(changed)
    os.utime(fasta, ns=(1, 1))
    assert text(open_quietly(fasta, tmp_path / "c"), "two") == "GATTTTA"
    assert [r.message for r in caplog.records] == [
        f"{fasta}: has changed since its cache was made; the cache is made anew"
    ]
    # Whoever has the old one open goes on reading the old one.
    assert text(old, "two") == "GATTACA"
    with pytest.raises(DataError, match="was made anew from another file while in use"):
        text(pickle.loads(pickle.dumps(old)), "two")


def test_a_touched_source_with_the_same_bytes_is_not_read_anew(fasta, tmp_path, monkeypatch):
    first = open_quietly(fasta, tmp_path / "c")
    os.utime(fasta, ns=(1, 1))
    monkeypatch.setattr(cache_module, "_write", None)
    assert open_quietly(fasta, tmp_path / "c").path == first.path


def spoil(data, how):
    return {
        "empty": b"",
        "other file": b"something else" * 100,
        "cut at the end": data[:-1],
        "cut in the symbols": data[:100],
        "longer": data + b"\0",
        "index": data[:-20] + b"\0" + data[-19:],
        "version": data[:16] + b"\x63" + data[17:],
    }[how]


@pytest.mark.parametrize(
    "how", ["empty", "other file", "cut at the end", "cut in the symbols", "longer", "index", "version"]
)
def test_a_damaged_cache_is_noticed_and_made_anew(how, fasta, tmp_path, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    path = open_quietly(fasta, tmp_path / "c").path
    path.write_bytes(spoil(path.read_bytes(), how))
    assert text(open_quietly(fasta, tmp_path / "c")) == RECORDS["one"].upper()
    assert [r.message for r in caplog.records if "it is made anew" in r.message and str(path) in r.message]


def test_a_cache_cut_short_while_open_is_an_error_and_not_zeros(fasta, tmp_path):
    cached = open_quietly(fasta, tmp_path / "c")
    os.truncate(cached.path, 100)
    with pytest.raises(DataError, match="cut short while in use"):
        text(cached)


def test_a_failed_build_leaves_nothing(tmp_path):
    path = tmp_path / "x.fa"
    path.write_bytes(b">a\nACGT\nACGT\n>a\nACGT\n")
    with pytest.raises(DataError, match="used already"):
        open_quietly(path, tmp_path / "c")
    assert list((tmp_path / "c").iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(fasta, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module.os, "fsync", full)
    with pytest.raises(DataError, match=r"the cache cannot be written \(No space left on device\); free some space"):
        open_quietly(fasta, tmp_path / "c")
    assert list((tmp_path / "c").iterdir()) == []


def test_where_caches_go(fasta, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    dna = get_alphabet("dna")
    monkeypatch.setenv("GENOMAMBA_CACHE_DIR", str(tmp_path / "by variable"))
    assert build_cache(fasta, dna, progress=False).path.parent == tmp_path / "by variable"
    assert build_cache(fasta, dna, cache_dir=tmp_path / "c", progress=False).path.parent == tmp_path / "c"
    monkeypatch.delenv("GENOMAMBA_CACHE_DIR")
    (tmp_path / "file").touch()
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "file" / name)
    monkeypatch.setattr(folders_module.tempfile, "gettempdir", lambda: str(tmp_path))
    assert build_cache(fasta, dna, progress=False).path.parent == tmp_path / f"genomamba-{os.getuid()}"
    assert [r.message for r in caplog.records if "caches go to" in r.message]


def test_a_folder_that_cannot_be_written_is_told(fasta, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written there \(.*\); name another folder by --cache-dir"):
        open_quietly(fasta, tmp_path / "file" / "c")


def test_a_temporary_folder_of_someone_else_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.delenv("GENOMAMBA_CACHE_DIR")
    monkeypatch.setattr(folders_module.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / f"genomamba-{os.getuid()}").mkdir()
    assert len(folders_module.cache_folders()) == 2
    monkeypatch.setattr(folders_module.os, "getuid", lambda: 4321)
    (tmp_path / "genomamba-4321").mkdir()
    assert len(folders_module.cache_folders()) == 1


def test_processes_that_build_at_once_all_get_a_whole_cache(fasta, tmp_path):
    with multiprocessing.get_context("forkserver").Pool(3) as pool:
        made = pool.starmap(build_cache, [(fasta, get_alphabet("dna"))] * 6, chunksize=1)
    assert {text(cached) for cached in made} == {RECORDS["one"].upper()}
    assert len({cached.path for cached in made}) == 1
    assert not list(made[0].path.parent.glob(f".{made[0].path.name}*"))


@pytest.fixture
def sparse_genome(tmp_path, dna):
    """A contig of five billion bases, of which a few around 2^31 and 2^32 are there; the file takes no room."""
    fasta = tmp_path / "big.fa"
    fasta.write_text(">big\nN\n")
    length, stat = 5_000_000_000, fasta.stat()
    source = {"path": str(fasta), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": "0", "alphabet": "dna"}
    index = json.dumps({"source": source, "contigs": [["big", "", length, 64], ["last", "", 7, 64 + length]]}).encode()
    path = cache_path(fasta, dna, tmp_path)
    with path.open("wb") as file:
        start = 64 + length + 7
        file.write(cache_module._PREAMBLE.pack(cache_module._MAGIC, 1, zlib.crc32(index), start, len(index)))
        for at in (2**31 - 4, 2**32 - 4, length):
            file.seek(64 + at)
            file.write(dna.symbols("ACGTACG").tobytes())
        file.seek(start)
        file.write(index)
    return Genome.open([fasta], dna, cache_dir=tmp_path)


def test_positions_past_32_bits(sparse_genome, dna):
    for at in (2**31, 2**32):
        symbols = sparse_genome.fetch("big", at - 6, at + 6)
        assert symbols.tolist() == [0, 0, *dna.symbols("ACGTACG").tolist(), 0, 0, 0]
    assert dna.decode(sparse_genome.fetch("last", 0, 7).astype(np.int64)) == b"ACGTACG"
    assert sparse_genome.fetch("big", 4_999_999_999, 5_000_000_001, pad=True).tolist() == [0, 11]


def test_samples_past_32_bits(sparse_genome, dna):
    region = Interval("big", 2**32 - 4, 2**32 + 3)
    sample = SampleStream(sparse_genome, [region], context=7, seed=0, strand="forward")[2**40]
    assert sample.interval == region
    assert dna.decode(sample.tokens) == b"ACGTACG"
    far = SampleStream(sparse_genome, [Interval("big", 0, 5_000_000_000)], context=1000, seed=0, strand="forward")
    assert far.windows_per_epoch == 5_000_000
    assert max(far.interval(i).start for i in range(50)) > 2**31


@pytest.mark.slow
def test_a_fasta_longer_than_32_bits_from_end_to_end(tmp_path, dna):
    path = tmp_path / "big.fa"
    line = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), 1_000_000).tobytes()
    with path.open("wb") as file:
        file.write(b">big\n")
        for _ in range(2**31 // len(line) + 1):
            file.write(line + b"\n")
        file.write(b"GATTACA\n>two\nCCC\n")
    genome = Genome.open([path], dna, cache_dir=tmp_path, progress=False)
    length = genome.length("big")
    assert length > 2**31
    assert dna.decode(genome.fetch("big", length - 7, length).astype(np.int64)) == b"GATTACA"
    assert (
        dna.decode(genome.fetch("big", 2**31 - 5, 2**31 + 5).astype(np.int64)) == (line * 2)[2**31 % 10**6 - 5 :][:10]
    )
    assert dna.decode(genome.fetch("two", 0, 3).astype(np.int64)) == b"CCC"
