"""The index command: what it prints, where it writes, and when it writes again."""

import re

import pytest

from genomamba.cli.main import main


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "two.fa"
    path.write_text(">a\nACGT\nAC\n>b\nNNN\n")
    return path


def index(capsys, *arguments):
    assert main(["index", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_line_a_file(fasta, tmp_path, capsys):
    other = tmp_path / "one.fa"
    other.write_text(">c\nA\n")
    lines = index(capsys, fasta, other, "--cache-dir", tmp_path / "cache").splitlines()
    pattern = r"(.*): (.*), \d+\.\d\d s, cache (.*)"
    (first, counts, cache), (second, other_counts, _) = (re.fullmatch(pattern, line).groups() for line in lines)
    assert (first, counts) == (str(fasta), "2 contigs, 9 bp")
    assert (second, other_counts) == (str(other), "1 contig, 1 bp")
    assert cache.startswith(str(tmp_path / "cache"))


def caches(folder):
    return {path.name: path.stat().st_ino for path in folder.iterdir() if path.is_file()}


def test_a_fresh_cache_is_kept_and_rebuild_makes_it_anew(fasta, tmp_path, capsys):
    folder = tmp_path / "cache"
    index(capsys, fasta, "--cache-dir", folder)
    made = caches(folder)
    index(capsys, fasta, "--cache-dir", folder)
    assert caches(folder) == made
    index(capsys, "--rebuild", fasta, "--cache-dir", folder)
    assert caches(folder).keys() == made.keys()
    assert caches(folder) != made


def test_environment_names_the_folder_and_the_alphabet(tmp_path, monkeypatch, capsys):
    text = tmp_path / "text.txt"
    text.write_text("any text!\n")
    monkeypatch.setenv("GENOMAMBA_CACHE_DIR", str(tmp_path / "named"))
    monkeypatch.setenv("GENOMAMBA_ALPHABET", "bytes")
    assert "1 contig" in index(capsys, text)
    assert list((tmp_path / "named").glob("*bytes*"))


def test_no_fasta_stands_for_the_three_yeasts(tmp_path, capsys):
    lines = index(capsys, "--cache-dir", tmp_path).splitlines()
    assert len(lines) == 3
    assert "scerevisiae_I.fa.gz: 1 contig, 230,218 bp" in lines[0]


def test_bad_input_is_one_line_and_exit_1(tmp_path, capsys):
    bad = tmp_path / "protein.fa"
    bad.write_text(">p\nMKVLAA\nEFILPQ\n")
    assert main(["index", str(bad), "--cache-dir", str(tmp_path / "cache")]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(rf"{re.escape(str(bad))}:\d: .+\n", shown.err)


def test_the_flag_of_other_commands_is_answered(capsys, tmp_path):
    assert main(["index", "--fasta", "a.fa"]) == 2
    assert "--fasta; the files come by themselves: genomamba index FASTA ..." in capsys.readouterr().err


def test_a_table_has_the_contigs_that_are_used(tmp_path, capsys):
    (tmp_path / "three.fa").write_text(">b\nACGT\n>a\nAC\n>chrUn_x\nA\n")
    for options, rows in (((), ["b\t4", "a\t2"]), (("--contigs", "a,chr*"), ["a\t2", "chrUn_x\t1"])):
        index(capsys, tmp_path / "three.fa", "--cache-dir", tmp_path / "cache", "--table", tmp_path / "t.tsv", *options)
        assert (tmp_path / "t.tsv").read_text().splitlines() == ["contig\tlength", *rows]
