"""Labels as files have them: classes, numbers, flags, columns, values of an allele or a record; what is refused."""

import math

import numpy as np
import pytest

from genomamba.errors import DataError
from genomamba.score.variants.labels import LabelledRecords, read_labels

HEADER = """\
##fileformat=VCFv4.2
##INFO=<ID=FC,Number=1,Type=String,Description="Class">
##INFO=<ID=FS,Number=1,Type=Float,Description="Score">
##INFO=<ID=AC,Number=A,Type=Integer,Description="An allele's">
##INFO=<ID=CLN,Number=A,Type=String,Description="An allele's class">
##INFO=<ID=AD,Number=R,Type=Integer,Description="With the reference">
##INFO=<ID=PL,Number=G,Type=Integer,Description="A genotype's">
##INFO=<ID=BAD,Number=0,Type=Flag,Description="Flag">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""


@pytest.fixture
def read(tmp_path):
    """Read labels of records, each as (ID, ALT, QUAL, FILTER, INFO)."""

    def run(rows, tag, positive=(), compare=()):
        path = tmp_path / "calls.vcf"
        lines = [
            f"one\t{i}\t{name}\tA\t{alt}\t{qual}\t{passed}\t{info}\n"
            for i, (name, alt, qual, passed, info) in enumerate(rows, 1)
        ]
        path.write_text(HEADER + "".join(lines))
        return read_labels(path, None, tag, positive, compare)

    return run


def rows_of(*infos, alts=None):
    return [(".", alt, ".", ".", info) for info, alt in zip(infos, alts or ["C"] * len(infos), strict=True)]


def test_a_class_belongs_to_all_alleles_of_its_record(read):
    rows = rows_of("FS=1;FC=LOF", "FC=INT", ".", "XFC=LOF;FC=FUNC", "FC=.", alts=["C,G", "C", "T", "G,T", "C"])
    labels = read(rows, "FC", ("LOF", "INT"), ("FS",))
    np.testing.assert_array_equal(labels.values, [1, 1, 1, math.nan, 0, 0, math.nan])
    np.testing.assert_array_equal(labels.compared["FS"], [1, 1, *[math.nan] * 5])
    assert labels.classes == {"LOF": 2, "FUNC": 2, "INT": 1}
    assert (labels.is_class, labels.count) == (True, 5)
    assert labels.in_words() == "5 of 7 alleles have FC: LOF (2), FUNC (2), INT (1); positive: LOF, INT"


@pytest.mark.parametrize(
    ("tag", "info", "values"),
    [
        ("AC", "AC=3,4", [3, 4]),
        ("AC", "AC=.,4", [math.nan, 4]),
        ("AD", "AD=9,3,4", [3, 4]),
        ("FS", "FS=-.5", [-0.5] * 2),
    ],
)
def test_a_value_an_allele_is_read_by_allele(read, tag, info, values):
    np.testing.assert_array_equal(read(rows_of(info, alts=["C,G"]), tag).values, values)
    assert not read(rows_of(info, alts=["C,G"]), tag).is_class


def test_classes_by_allele(read):
    labels = read(rows_of("CLN=P,B", "CLN=B,P", alts=["C,G", "T,G"]), "CLN", ("P",))
    assert labels.values.tolist() == [1, 0, 0, 1]


def test_columns_and_a_field_of_the_same_name(read):
    rows = [("rs1", "C", "9.5", "PASS", "ID=7"), ("rs2", "G", ".", "low", "ID=8"), (".", "T", "3", ".", "ID=9")]
    np.testing.assert_array_equal(read(rows, "QUAL").values, [9.5, math.nan, 3])
    np.testing.assert_array_equal(read(rows, "FILTER", ("low",)).values, [0, 1, math.nan])
    np.testing.assert_array_equal(read(rows, "ID", ("rs2",)).values, [0, 1, math.nan])
    np.testing.assert_array_equal(read(rows, "INFO/ID").values, [7, 8, 9])


def test_a_flag_is_positive_where_it_is_present(read):
    labels = read(rows_of("BAD", "FS=1", "FS=2;BAD;FC=x"), "BAD")
    assert labels.values.tolist() == [1, 0, 1]
    assert labels.positive == ("present",)


def test_two_numbers_that_are_not_declared_are_classes_and_three_are_numbers(read):
    assert read(rows_of("X=1", "X=2", "X=3.5"), "X").values.tolist() == [1, 2, 3.5]
    assert read(rows_of("FS=0", "FS=1"), "FS").is_class is False
    assert read(rows_of("X=0", "X=1", "X=1"), "X", ("1",)).values.tolist() == [0, 1, 1]
    with pytest.raises(
        DataError, match=r"X is a class: 1 \(2\), 0 \(1\); name those that are positive, such as --pos.* 0"
    ):
        read(rows_of("X=0", "X=1", "X=1"), "X")


@pytest.mark.parametrize(
    ("rows", "asked", "message"),
    [
        (rows_of("FC=LOF", "FC=INT", "FC=INT"), ("FC",), r"FC is a class: INT \(2\), LOF \(1\); name .*--positive LOF"),
        (rows_of("FC=LOF", "FC=INT"), ("FC", ("LOFF",)), "--positive has 'LOFF', which no FC is; did you mean LOF"),
        (rows_of("FC=A", "FC=B"), ("FC", ("QQQ",)), r"has 'QQQ', which no FC is; it has A \(1\), B \(1\)"),
        (rows_of("FC=LOF"), ("FC", ("LOF",)), r"every label is positive; .* apart: FC is LOF \(1\)"),
        (rows_of("FC=LOF"), ("FCX", ("LOF",)), "--labels is FCX, which no record that is taken has; did you mean FC"),
        (rows_of("FC=a"), ("QQQQ",), "which no record .*; the header declares FC, FS, .*, and ID, QUAL and FILTER are"),
        (rows_of("FS=1", "FS=2"), ("FS", (), ("CADD",)), "--compare is CADD, which no record that is taken has"),
        (rows_of("FS=1", "FS=2;FC=x"), ("FS", (), ("FC",)), r"calls.vcf:11: FC is 'x'; a field to compare with"),
        (rows_of("FS=1", "FS=x"), ("FS",), r"calls.vcf:11: FS is 'x', and is declared as a number"),
        (rows_of("AC=1", "AC=1,2"), ("AC",), r"calls.vcf:11: AC is '1,2', with 2 values for 1 alternative alleles"),
        (rows_of("PL=1"), ("PL",), "PL has a value a genotype"),
    ],
    ids=lambda case: case[0] if isinstance(case, tuple) else None,
)  # fmt: skip
def test_what_cannot_be_is_told_in_one_line(read, rows, asked, message):
    with pytest.raises(DataError, match=message) as told:
        read(rows, *asked)
    assert "\n" not in str(told.value)


def test_a_number_that_is_not_finite_is_missing(read):
    np.testing.assert_array_equal(read(rows_of("FS=nan", "FS=inf", "FS=2"), "FS").values, [math.nan, math.nan, 2])


def test_no_record_has_no_label(read):
    labels = read([], "FC", ("LOF",))
    assert (labels.values.size, labels.count) == (0, 0)


def test_records_of_which_any_allele_is_labelled(tmp_path, read):
    rows = rows_of("CLN=P,.", ".", "CLN=.,.", "CLN=B", alts=["C,G", "C", "C,G", "T"])
    labels = read(rows, "CLN", ("P",))

    class All:
        contig = staticmethod(lambda record: record.chrom)
        batches = staticmethod(lambda reader: reader.batches())

    from genomamba.data.vcf import VcfReader

    with VcfReader(tmp_path / "calls.vcf") as reader:
        kept = LabelledRecords(All, labels)
        assert [record.pos for batch in kept.batches(reader) for record in batch] == [1, 4]
        assert kept.num_alleles == 3
