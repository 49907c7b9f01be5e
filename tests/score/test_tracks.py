"""The same numbers in every format; what has none is absent."""

import gzip
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from Bio import bgzf

from genomamba.errors import ConfigError, DataError, RunError
from genomamba.score.records import RECORDS, Record, write_records
from genomamba.score.tracks import TRACKS, check_format, format_of, open_track

LENGTHS = {"z": 8, "a": 3, "none": 5}
PIECES = [
    ("z", 0, b"ACNGT", [-1.23456, -0.00001, math.nan, -2.0, -13.5]),
    ("z", 5, b"NTA", [math.nan, -3.25, -0.5]),
    ("a", 1, b"GT", [-4.0, -1e-3]),
]
ROWS = [
    ("z", 0, "A", -1.23456), ("z", 1, "C", -0.00001), ("z", 3, "G", -2.0), ("z", 4, "T", -13.5), ("z", 6, "T", -3.25),
    ("z", 7, "A", -0.5), ("a", 1, "G", -4.0), ("a", 2, "T", -1e-3),
]  # fmt: skip


@pytest.fixture
def written(tmp_path):
    def write(suffix):
        path = tmp_path / f"made{suffix}"
        with open_track(path, suffix, LENGTHS) as put:
            for contig, start, letters, values in PIECES:
                put(contig, start, np.frombuffer(letters, np.uint8), np.array(values, np.float32))
        return path

    return write


BEDGRAPH = """\
z	0	1	-1.2346
z	1	2	0.0000
z	3	4	-2.0000
z	4	5	-13.5000
z	6	7	-3.2500
z	7	8	-0.5000
a	1	2	-4.0000
a	2	3	-0.0010
"""


def test_bedgraph_is_a_line_a_base_with_four_decimals(written):
    assert written(".bedgraph").read_text() == BEDGRAPH


def test_gz_is_bgzf_of_the_same_text(written):
    path = written(".bedgraph.gz")
    assert gzip.decompress(path.read_bytes()).decode() == BEDGRAPH
    with path.open("rb") as file:
        assert sum(1 for _ in bgzf.BgzfBlocks(file)) == 2
    assert gzip.decompress(written(".tsv.gz").read_bytes()) == written(".tsv").read_bytes()


def test_tsv_has_a_header_and_the_bases(written):
    header, *lines = written(".tsv").read_text().splitlines()
    assert header == "contig\tstart\tbase\tlog2_likelihood"
    assert lines == [f"{contig}\t{start}\t{base}\t{value:z.4f}" for contig, start, base, value in ROWS]


def test_bytes_that_do_not_print_are_shown_by_number(tmp_path):
    with open_track(tmp_path / "made.tsv", ".tsv", {"text": 3}) as put:
        put("text", 0, np.frombuffer(b"a\n\xff", np.uint8), np.zeros(3, np.float32))
    assert [line.split("\t")[2] for line in (tmp_path / "made.tsv").read_text().splitlines()[1:]] == [
        "a",
        "\\x0a",
        "\\xff",
    ]


def test_parquet_holds_the_float32_themselves(written):
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(written(".parquet"))
    assert table.column_names == ["contig", "start", "base", "log2_likelihood"]
    columns = [table[name].to_pylist() for name in table.column_names]
    assert list(zip(*columns, strict=True)) == [(c, s, b, float(np.float32(v))) for c, s, b, v in ROWS]


def test_bigwig_holds_the_float32_themselves(written):
    reader = pytest.importorskip("pyBigWig")
    file = reader.open(str(written(".bw")))
    assert file.chroms() == LENGTHS
    for contig, length in LENGTHS.items():
        expected = np.full(length, np.nan, np.float32)
        for name, start, _, value in ROWS:
            if name == contig:
                expected[start] = value
        np.testing.assert_array_equal(np.float32(file.values(contig, 0, length)), expected)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("x.bedgraph", ".bedgraph"), ("x.y.bedgraph.gz", ".bedgraph.gz"), ("X.BW", ".bw"), ("x.tsv", ".tsv")],
)
def test_the_name_tells_the_format(name, suffix):
    assert format_of(Path("folder") / name, TRACKS) == suffix


@pytest.mark.parametrize("name", ["x", "x.gz", "x.bigwig", "bw"])
def test_another_name_is_refused(name):
    with pytest.raises(ConfigError, match=rf"--out is {name}; its name must end with \.bedgraph, "):
        format_of(Path(name), TRACKS)


def test_without_pyarrow_parquet_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RunError, match=r"x\.parquet: .* pip install 'genomamba\[tracks\]'"):
        check_format(Path("x.parquet"), ".parquet", {})
    check_format(Path("x.bw"), ".bw", {"c": 2**32 - 1})


def test_contigs_beyond_the_positions_of_bigwig_are_refused():
    with pytest.raises(DataError, match=r"c has 4,294,967,296 bases, and bigWig has room for 4,294,967,295"):
        check_format(Path("x.bw"), ".bw", {"c": 2**32})
    check_format(Path("x.bedgraph"), ".bedgraph", {"c": 2**32})


TABLE = [Record("a", 10, 8, -17.0), Record("b", 0, 0, 0.0), Record("c", 3, 3, -0.00001)]


@pytest.mark.parametrize("suffix", RECORDS)
def test_tables_hold_a_row_a_record(tmp_path, suffix):
    path = tmp_path / f"made{suffix}"
    write_records(path, suffix, TABLE)
    if suffix == ".parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        rows = pq.read_table(path).to_pylist()
        assert rows == [record._asdict() | {"bits_per_base": record.bits_per_base} for record in TABLE]
        assert [row["bits_per_base"] for row in rows][:2] == [2.125, None]
        return
    text = path.read_bytes() if suffix == ".tsv" else gzip.decompress(path.read_bytes())
    assert text.decode() == (
        "contig\tlength\tscored\tlog2_likelihood\tbits_per_base\n"
        "a\t10\t8\t-17.0000\t2.1250\n"
        "b\t0\t0\t0.0000\t\n"
        "c\t3\t3\t0.0000\t0.0000\n"
    )
