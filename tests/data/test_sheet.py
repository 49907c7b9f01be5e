"""The table of genomes: what it says, and what is refused, with its line."""

import pytest

from genomamba.data.sheet import read_sheet
from genomamba.errors import DataError


@pytest.fixture
def write(tmp_path):
    def make(*rows):
        path = tmp_path / "sheet.tsv"
        path.write_text("".join("\t".join(row) + "\n" for row in rows))
        return path

    return make


def test_a_sheet_by_hand(write, tmp_path):
    path = write(
        ("name", "fasta", "weight", "species", "softmask_weight", "exclude_bed", "valid", "test"),
        ("# a remark",),
        ("yeast", "a.fa,b.fa.gz", "2.5", ".", "0.1", "x.bed", "XVI", "IV,XII"),
        ("fly", "/data/fly.fa", "", "insect", "", "", "", ""),
    )
    yeast, fly = read_sheet(path)
    assert yeast.fasta == (str(tmp_path / "a.fa"), str(tmp_path / "b.fa.gz"))
    assert (yeast.weight, yeast.species, yeast.softmask_weight) == (2.5, "yeast", 0.1)
    assert (yeast.exclude_bed, yeast.valid, yeast.test) == (str(tmp_path / "x.bed"), ("XVI",), ("IV", "XII"))
    assert (fly.fasta, fly.weight, fly.species, fly.valid) == (("/data/fly.fa",), None, "insect", ())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("name", "fasta", "wieght")], ":1: 'wieght' is no column of a sheet; columns are name, fasta"),
        ([("name", "fasta", "name")], ":1: 'name' is there twice"),
        ([("name", "weight")], ":1: no column 'fasta'"),
        ([("name", "fasta"), ("a",)], ":2: 1 columns, expected 2: name, fasta"),
        ([("name", "fasta"), ("a", "")], ":2: the column fasta is empty"),
        ([("name", "fasta"), ("a/b", "x")], ":2: the name 'a/b' may hold"),
        ([("name", "fasta"), ("a", "x"), ("a", "y")], ":3: a genome 'a' is there already"),
        ([("name", "fasta", "weight"), ("a", "x", "0")], ":2: weight is '0'; it must be a number above 0"),
        ([("name", "fasta", "weight"), ("a", "x", "inf")], ":2: weight is 'inf'"),
        ([("name", "fasta", "weight"), ("a", "x", "much")], ":2: weight is 'much'"),
        ([("name", "fasta", "softmask_weight"), ("a", "x", "1.5")], ":2: softmask_weight is '1.5'; .* 0 and 1"),
        ([("name", "fasta", "softmask_weight"), ("a", "x", "-0.5")], ":2: softmask_weight is '-0.5'"),
        ([("name", "fasta")], "sheet.tsv: no genome in it"),
        ([], "sheet.tsv: no genome in it"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(write, rows, message):
    with pytest.raises(DataError, match=message):
        read_sheet(write(*rows))


def test_soft_masked_bases_may_weigh_nothing(write):
    (row,) = read_sheet(write(("name", "fasta", "softmask_weight"), ("a", "x", "0")))
    assert row.softmask_weight == 0
