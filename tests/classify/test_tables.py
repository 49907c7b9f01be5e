"""Labelled sequences in tables: what is read, and how a bad row is named."""

import gzip

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.classify.labels import kind_of
from genomamba.classify.tables import Columns, read_table
from genomamba.errors import DataError

DNA = get_alphabet("dna")


def table(folder, text, name="data.tsv", **options):
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return read_table(path, DNA, **options)


def texts(data):
    return [data.sequences.text(row) for row in range(len(data))]


TSV = """\
sequence\tlabel\tsplit\tgroup\tweight\tname
ACGT\tb\ttrain\tg1\t1\tone
ggn\ta\ttest\tg2\t0.5\ttwo
U\tb\tval\tg1\t2\t3
"""


@pytest.mark.parametrize("name", ["data.tsv", "data.csv", "data.tsv.gz", "data.csv.gz", "data.txt"])
def test_a_table_by_hand(tmp_path, name):
    data = table(tmp_path, TSV.replace("\t", ",") if ".csv" in name else TSV, name)
    assert texts(data) == ["ACGT", "GGN", "T"]
    assert data.sequences.symbols.dtype == np.uint8
    assert data.sequences.borders.tolist() == [0, 4, 7, 8]
    assert data.labels.kind == "single"
    assert data.labels.classes == ("a", "b")
    assert data.labels.values.tolist() == [1, 0, 1]
    assert data.splits.tolist() == [0, 2, 1]
    assert (data.groups.names, data.groups.codes.tolist()) == (("g1", "g2"), [0, 1, 0])
    assert data.weights.tolist() == [1, 0.5, 2]
    assert data.names == ("one", "two", "3")
    assert data.where(1) == f"{tmp_path / name}:3"


def test_parquet_holds_the_same(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "data.parquet"
    frame = pandas.DataFrame({"seq": ["ACGT", "GG", "T"], "class": [1, 0, 1], "split": ["train", "test", "train"]})
    frame.to_parquet(path)
    data = read_table(path, DNA)
    assert texts(data) == ["ACGT", "GG", "T"]
    assert data.labels.values.tolist() == [1, 0, 1]
    assert data.where(2) == f"{path}: row 3"
    frame.loc[1, "seq"] = "GJ"
    frame.to_parquet(path)
    with pytest.raises(DataError, match=r"data\.parquet: row 2: position 2 holds 'J'"):
        read_table(path, DNA)


def test_other_names_of_columns(tmp_path):
    text = "id\tdna\ty\tchrom\nr1\tAC\tu\t1\nr2\tGT\tv\t2\n"
    data = table(tmp_path, text, columns=Columns(sequence="dna", label=("y",)))
    assert texts(data) == ["AC", "GT"]
    assert data.contigs.names == ("1", "2")
    assert data.names == ("r1", "r2")


def test_lines_are_counted_over_blank_ones_and_quoted_breaks(tmp_path):
    text = 'sequence,label,note\n\nAC,a,"two\nlines"\nAG,b,x\nA!,b,x\n'
    with pytest.raises(DataError, match=r"data\.csv:6: position 2 holds '!'"):
        table(tmp_path, text, "data.csv")
    assert table(tmp_path, text.replace("A!", "AT"), "data.csv").lines.tolist() == [3, 5, 6]


REFUSALS = {
    "letter": ("ACJT\ta", r":3: position 3 holds 'J'; the dna alphabet has"),
    "wide letter": ("ACé\ta", r":3: position 3 holds 'é'"),
    "empty sequence": ("\ta", r":3: the sequence is empty"),
    "empty label": ("AC\t ", r":3: the label is empty"),
    "few fields": ("AC", r":3: 1 fields, expected 2"),
    "many fields": ("AC\ta\tb", r":3: 3 fields, expected 2"),
    "quote": ('"AC\ta', r":3: .*quotation mark"),
}


@pytest.mark.parametrize(("row", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_bad_row_is_named_by_its_line(tmp_path, row, message):
    with pytest.raises(DataError, match=message) as caught:
        table(tmp_path, f"sequence\tlabel\nACGT\ta\n{row}\n")
    assert str(caught.value).startswith(str(tmp_path / "data.tsv:3: "))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; the first line names the columns"),
        ("sequence\tlabel\n", "no sequence in it"),
        ("dna\tlabel\nAC\ta\n", "no column 'sequence'; it has 'dna', 'label'; name it by --sequence-column"),
        ("sequence\nAC\n", "no column 'label'"),
        ("sequence;label\nAC;a\n", r":1: its columns seem to be separated by ';'; a \.csv has commas there"),
        ("sequence,label\nAC,a\n", r":1: its columns seem to be separated by ','; .* or rename it"),
        ("sequence\tlabel\tlabel\nAC\ta\ta\n", "the columns label are there twice"),
        ("sequence\tlabel\tsplit\nAC\ta\tmiddle\n", ":2: the split is 'middle'; it must be train, valid or test"),
        ("sequence\tlabel\tweight\nAC\ta\t-1\n", ":2: the weight is '-1'"),
    ],
    ids=["empty", "header alone", "no sequence", "no label", "semicolons", "commas", "twice", "split", "weight"],
)
def test_a_bad_table_is_told(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        table(tmp_path, text)


def test_damaged_gzip_is_told_by_line(tmp_path):
    path = tmp_path / "data.tsv.gz"
    path.write_bytes(gzip.compress(TSV.encode())[:-12])
    with pytest.raises(DataError, match=r"data\.tsv\.gz:\d+: .*copy or download it again"):
        read_table(path, DNA)


def test_labels_may_be_absent_where_none_are_needed(tmp_path):
    data = table(tmp_path, "sequence\nAC\n", labels_needed=False)
    assert data.labels is None


KINDS = {
    "names": (["a", "b"], "single"),
    "digits": (["0", "1", "2"], "single"),
    "wholes as decimals": (["0.0", "1.0"], "single"),
    "many wholes": ([str(i) for i in range(21)], "regression"),
    "twenty wholes": ([str(i) for i in range(20)], "single"),
    "decimals": (["0", "1", "0.5"], "regression"),
    "one name": (["0.5", "1.5", "x"], "single"),
    "joint": (["a;b", "c"], "multi"),
    "not finite": (["nan", "0.5"], "single"),
}


@pytest.mark.parametrize(("labels", "kind"), KINDS.values(), ids=KINDS.keys())
def test_the_kind_is_told_by_the_values(labels, kind):
    assert kind_of(labels) == kind


def test_several_classes_a_sequence(tmp_path):
    data = table(tmp_path, "sequence\tlabel\nAC\tx;y\nAG\t\nAT\t y \n")
    assert data.labels.kind == "multi"
    assert data.labels.classes == ("x", "y")
    assert data.labels.values.tolist() == [[1, 1], [0, 0], [0, 1]]
    flags = table(tmp_path, "sequence\ty\tx\nAC\t1\t1\nAG\t0\t0\nAT\t1\t0\n", columns=Columns(label=("y", "x")))
    assert flags.labels.classes == ("y", "x")
    assert flags.labels.values.tolist() == [[1, 1], [0, 0], [1, 0]]
    with pytest.raises(DataError, match=":2: x is '2'; several label columns hold 0 or 1 each"):
        table(tmp_path, "sequence\ty\tx\nAC\t1\t2\n", columns=Columns(label=("y", "x")))


def test_numbers(tmp_path):
    data = table(tmp_path, "sequence\tlabel\nAC\t-1.5\nAG\t2\n")
    assert data.labels.kind == "regression"
    assert data.labels.values.tolist() == [-1.5, 2]
    with pytest.raises(DataError, match=":3: the label is 'x', expected a number"):
        table(tmp_path, "sequence\tlabel\nAC\t-1.5\nAG\tx\n", kind="regression")


def test_a_slip_among_numbers_makes_no_classes_of_them(tmp_path):
    rows = [f"AC\t{number / 4}" for number in range(30)]
    rows[7] = "AC\tnan"
    text = "\n".join(["sequence\tlabel", *rows]) + "\n"
    with pytest.raises(DataError, match=":9: the label is 'nan', and 29 others are numbers; mend it, or give --kind"):
        table(tmp_path, text)
    assert len(table(tmp_path, text, kind="single").labels.classes) == 30


def test_rows_that_are_chosen_keep_what_is_known_of_them(tmp_path):
    data = table(tmp_path, TSV).select(np.array([2, 0]))
    assert texts(data) == ["T", "ACGT"]
    assert data.names == ("3", "one")
    assert data.where(0).endswith(":4")
    assert data.labels.values.tolist() == [1, 1]
    assert data.splits.tolist() == [1, 0]


def test_bytes_are_kept_as_they_are(tmp_path):
    path = tmp_path / "data.tsv"
    path.write_text("sequence\tlabel\nMK!\ta\nok\tb\n")
    data = read_table(path, get_alphabet("bytes"))
    assert bytes(data.sequences[0]) == b"MK!"


def test_a_million_bases_take_a_byte_each(tmp_path):
    data = table(tmp_path, "sequence\tlabel\n" + f"{'ACGT' * 250}\ta\n" * 1000)
    assert data.sequences.symbols.nbytes == 1_000_000
