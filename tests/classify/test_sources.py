"""Labelled sequences in folders of classes, and on stretches of a genome."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.classify.folders import read_folder
from genomamba.classify.labelled import SPLITS
from genomamba.classify.stretches import cut_contigs, read_base_labels, read_bed_table, read_stretches
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError

DNA = get_alphabet("dna")


def texts(data):
    return [data.sequences.text(row) for row in range(len(data))]


def rows(data):
    splits = ["-"] * len(data) if data.splits is None else [SPLITS[code] for code in data.splits]
    return [(data.name(row), splits[row], data.labels.text(row), data.sequences.text(row)) for row in range(len(data))]


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder


def test_folders_of_train_and_test_with_a_file_a_sequence(tmp_path):
    files = {"train/neg/0.txt": "ACGT\n", "train/pos/1.txt": "gg\ncc", "test/pos/2.txt": "TT", ".hidden/x": ""}
    data = read_folder(write(tmp_path / "set", files), DNA)
    assert rows(data) == [
        ("2", "test", "pos", "TT"), ("0", "train", "neg", "ACGT"), ("1", "train", "pos", "GGCC"),
    ]  # fmt: skip
    assert data.where(0) == f"{tmp_path}/set/test/pos/2.txt:1"


def test_class_folders_of_fasta_files(tmp_path):
    files = {"neg/a.fa": ">r1 x\nAC\nGT\n>r2\nTT\n", "pos/b.fa.gz": ">r3\nGG\n"}
    data = read_folder(write(tmp_path / "set", files), DNA)
    assert rows(data) == [("r1", "-", "neg", "ACGT"), ("r2", "-", "neg", "TT"), ("r3", "-", "pos", "GG")]
    assert data.where(1) == f"{tmp_path}/set/neg/a.fa:4"


def test_a_fasta_file_a_class(tmp_path):
    files = {"train/neg.fa": ">r1\nAC\n", "train/pos.fasta.gz": ">r2\nGG\n", "valid/pos.fa": ">r1\nCC\n"}
    data = read_folder(write(tmp_path / "set", files), DNA)
    assert rows(data) == [("r1", "train", "neg", "AC"), ("r2", "train", "pos", "GG"), ("r1", "valid", "pos", "CC")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train/neg/0.txt": "AC", "other/x.txt": "A"}, "'other' lies beside 'train'"),
        ({"train/readme.md": "AC"}, "no sequence in it; it should hold a folder, or a FASTA file, for each class"),
        ({"neg/0.txt": "AC", "pos/1.txt": " \n"}, r"1\.txt:1: the sequence is empty"),
        ({"neg/0.txt": "A?C"}, r"0\.txt:1: position 2 holds '\?'"),
        ({"neg/a.fa": ">r1\nAC\n>r2\nA1\n"}, r"a\.fa:4: '1' in column 2 is no nucleotide"),
    ],
    ids=["beside", "nothing", "empty", "letter", "letter of fasta"],
)
def test_a_bad_folder_is_told(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        read_folder(write(tmp_path / "set", files), DNA)


@pytest.fixture
def genome(tmp_path):
    (tmp_path / "g.fa").write_text(">one\nAACCGGTTAC\n>two\nGATTACA\n")
    return Genome.open([tmp_path / "g.fa"], DNA, progress=False)


def bed(folder, text, name="x.bed"):
    (folder / name).write_text(text)
    return folder / name


def test_stretches_with_labels_by_hand(tmp_path, genome):
    path = bed(tmp_path, "one\t0\t4\tp\t0\t+\none\t0\t4\tn\t0\t-\n\ntwo\t1\t3\tp\t0\t.\n")
    data = read_bed_table(path, genome)
    assert texts(data) == ["AACC", "GGTT", "AT"]
    assert [data.labels.text(row) for row in range(3)] == ["p", "n", "p"]
    assert data.names == ("one:1-4", "one:1-4(-)", "two:2-3")
    assert data.contigs.names == ("one", "two")
    assert data.where(2) == f"{path}:4"


def test_the_column_of_the_label_is_named_or_numbered(tmp_path, genome):
    path = bed(
        tmp_path, "#chrom\tstart\tend\tid\tscore\tstrand\tsignal\none\t0\t4\ta\t9\t+\t0.5\ntwo\t0\t4\tb\t8\t+\t2\n"
    )
    assert read_bed_table(path, genome, label="signal").labels.values.tolist() == [0.5, 2]
    assert read_bed_table(path, genome, label="7").labels.values.tolist() == [0.5, 2]
    assert read_bed_table(path, genome, label="score", kind="regression").labels.values.tolist() == [9, 8]
    with pytest.raises(DataError, match="no column 'y'; BED has chrom, start, end, id, score, strand, signal"):
        read_bed_table(path, genome, label="y")


def test_a_bad_line_of_stretches_is_told(tmp_path, genome):
    with pytest.raises(DataError, match=r"x\.bed:2: 3 columns, and the label is in column 4"):
        read_bed_table(bed(tmp_path, "one\t0\t4\ta\none\t0\t4\n"), genome)
    with pytest.raises(DataError, match=r"x\.bed:1: the strand is 'x'"):
        read_bed_table(bed(tmp_path, "one\t0\t4\ta\t0\tx\n"), genome)
    with pytest.raises(DataError, match=r"x\.bed:1: \[0, 40\) is not a stretch within one"):
        read_bed_table(bed(tmp_path, "one\t0\t40\ta\n"), genome)


def test_labels_of_bases_follow_the_strand(tmp_path, genome):
    classes = bed(tmp_path, "one\t1\t3\texon\none\t3\t5\tintron\none\t4\t5\tintron\n", "classes.bed")
    windows = bed(tmp_path, "one\t0\t5\ta\t0\t+\none\t0\t5\tb\t0\t-\ntwo\t0\t2\tc\t0\t+\n")
    data = read_base_labels(classes, genome, read_stretches(windows, genome))
    assert data.labels.kind == "per-base"
    assert data.labels.classes == ("none", "exon", "intron")
    assert texts(data) == ["AACCG", "CGGTT", "GA"]
    assert data.labels.values.tolist() == [0, 1, 1, 2, 2, 2, 2, 1, 1, 0, 0, 0]
    assert data.select(np.array([1])).labels.values.tolist() == [2, 2, 1, 1, 0]


def test_contigs_are_cut_into_windows(tmp_path, genome):
    classes = bed(tmp_path, "two\t4\t6\tx\n", "classes.bed")
    data = read_base_labels(classes, genome, cut_contigs(genome, 4))
    assert data.names == ("one:1-4", "one:5-8", "two:1-4")
    assert data.labels.values.tolist() == [0] * 12
    with pytest.raises(ConfigError, match="no stretch of the genome is left"):
        read_base_labels(classes, genome, cut_contigs(genome, 40))


def test_a_base_has_one_class(tmp_path, genome):
    classes = bed(tmp_path, "one\t0\t4\tx\none\t3\t5\ty\n", "classes.bed")
    with pytest.raises(DataError, match=r"classes\.bed:2: bases of one:4-5 are 'x' in another line, and 'y' here"):
        read_base_labels(classes, genome, cut_contigs(genome, 4))


def test_the_layout_of_genomic_benchmarks_reads_as_its_table(tmp_path, data_dir):
    table = Path(data_dir) / "genomic_benchmarks" / "human_nontata_promoters.chr20X_subset.tsv.gz"
    if not table.exists():
        pytest.skip("no genomic_benchmarks in the folder of real data")
    from genomamba.classify.tables import read_table

    whole = read_table(table, DNA)
    for row in range(len(whole)):
        split, label = SPLITS[whole.splits[row]], whole.labels.text(row)
        path = tmp_path / split / label / f"{row:06}.txt"
        os.makedirs(path.parent, exist_ok=True)
        path.write_text(whole.sequences.text(row))
    data = read_folder(tmp_path, DNA)
    assert sorted(texts(data)) == sorted(texts(whole))
    assert np.bincount(data.splits).tolist() == np.bincount(whole.splits).tolist()
