"""Tables have a row an allele, of fixed types; shards put together are the whole, byte for byte."""

import gzip
import re
import sys
from itertools import pairwise

import numpy as np
import pytest

from genomamba.data import vcf_tables
from genomamba.data.vcf import VcfReader
from genomamba.data.vcf_header import Tag
from genomamba.data.vcf_merge import merge_scored
from genomamba.data.vcf_output import KINDS, output_kind
from genomamba.data.vcf_write import open_scored
from genomamba.errors import DataError, RunError

TAGS = [
    Tag(id="GM_LLR", number="A", type="Float", description="a"),
    Tag(id="GM_AT", number="A", type="Integer", description="b"),
    Tag(id="GM_DEPTH", number="1", type="Integer", description="c"),
    Tag(id="GM_STATUS", number="A", type="String", description="d"),
]
HEAD = (
    b"##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=2>\n"
    b'##INFO=<ID=X,Number=.,Type=String,Description="x">\n'
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
TEXT = HEAD + b"1\t10\trs\xff\tA\tG\t.\t.\t.\n1\t12\t.\tA\tG,<X>\t.\t.\t.\n2\t3000000000\tb\tacg\t.\t.\t.\tX\n"
VALUES = {
    "GM_LLR": np.array([-1.5, 1 / 3, np.nan, 2e-9]),
    "GM_AT": [1, None, -3, 4],
    "GM_DEPTH": [7, None, 9],
    "GM_STATUS": ["OK", "OK", "SYMBOLIC", None],
}
TSV = (
    b"chrom\tpos\tid\tref\talt\tllr\tat\tdepth\tstatus\n"
    b"1\t10\trs\xff\tA\tG\t-1.5\t1\t7\tOK\n"
    b"1\t12\t.\tA\tG\t0.333333\tNA\tNA\tOK\n"
    b"1\t12\t.\tA\t<X>\tNA\t-3\tNA\tSYMBOLIC\n"
    b"2\t3000000000\tb\tacg\t.\t2e-09\t4\t9\tNA\n"
)


def read(path):
    with VcfReader(path) as reader:
        return reader.header, list(reader)


def write(out, header, records, values, kind=None):
    """Write record by record."""
    allele = 0
    with open_scored(out, kind or output_kind(out), header, TAGS, "c") as scored:
        for number, record in enumerate(records):
            end = allele + len(record.alts)
            one = {tag.id: values[tag.id][allele:end] for tag in TAGS if tag.number == "A"}
            scored.write([record], one | {"GM_DEPTH": values["GM_DEPTH"][number : number + 1]})
            allele = end


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in.vcf").write_bytes(TEXT)
    return tmp_path / "in.vcf"


@pytest.mark.parametrize("name", ["out.tsv", "out.tsv.gz"])
def test_text_by_hand(name, source, tmp_path):
    write(tmp_path / name, *read(source), VALUES)
    data = (tmp_path / name).read_bytes()
    assert (gzip.decompress(data) if name.endswith("gz") else data) == TSV


@pytest.mark.parametrize("rows", [1, 3, 1 << 16])
def test_parquet_by_hand(rows, source, tmp_path, monkeypatch):
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(vcf_tables, "_GROUP_ROWS", rows)
    write(tmp_path / "out.parquet", *read(source), VALUES)
    table = pq.read_table(tmp_path / "out.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "chrom": "string", "pos": "int64", "id": "string", "ref": "string", "alt": "string",
        "llr": "double", "at": "int64", "depth": "int64", "status": "string",
    }  # fmt: skip
    assert table.to_pydict() == {
        "chrom": ["1", "1", "1", "2"],
        "pos": [10, 12, 12, 3_000_000_000],
        "id": ["rs\\xff", ".", ".", "b"],
        "ref": ["A", "A", "A", "acg"],
        "alt": ["G", "G", "<X>", "."],
        "llr": [-1.5, 1 / 3, None, 2e-9],
        "at": [1, None, -3, 4],
        "depth": [7, None, None, 9],
        "status": ["OK", "OK", "SYMBOLIC", None],
    }
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == {1: 3, 3: 2, 1 << 16: 1}[rows]


@pytest.mark.parametrize("name", ["out.tsv", "out.parquet"])
def test_types_do_not_depend_on_the_records(name, source, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    write(tmp_path / name, read(source)[0], [], {})
    if name.endswith("tsv"):
        assert (tmp_path / name).read_bytes() == TSV[: TSV.index(b"\n") + 1]
    else:
        write(tmp_path / "full.parquet", *read(source), VALUES)
        assert pq.read_schema(tmp_path / name) == pq.read_schema(tmp_path / "full.parquet")


def test_without_pyarrow_parquet_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RunError, match=r"Parquet is written by pyarrow, which is not installed; pip install"):
        write(tmp_path / "out.parquet", *read(source), VALUES)
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


# Merging

LARGE = HEAD + b"".join(b"%d\t%d\t.\tA\tG,T\t.\t.\tX=%d\n" % (c, i // 2 + 1, i) for c in (1, 2) for i in range(300))
LARGE_VALUES = {
    "GM_LLR": np.random.default_rng(0).normal(size=1200),
    "GM_AT": np.arange(1200),
    "GM_DEPTH": np.arange(600),
    "GM_STATUS": ["OK", "EDGE", None] * 400,
}
CUTS = [0, 1, 1, 299, 301, 600]
"""Where shards begin and end: one of a record, one of none, across contigs, and between two records of a POS."""


def write_shards(folder, end, tag_values=LARGE_VALUES):
    source = folder / "large.vcf"
    source.write_bytes(LARGE)
    header, records = read(source)
    write(folder / f"whole.{end}", header, records, tag_values)
    paths = []
    for number, (first, last) in enumerate(pairwise(CUTS)):
        values = {name: column[2 * first : 2 * last] for name, column in tag_values.items()}
        values["GM_DEPTH"] = tag_values["GM_DEPTH"][first:last]
        paths.append(folder / f"{number}.{end}")
        write(paths[-1], header, records[first:last], values)
    return paths


def contents(path):
    if path.name.endswith("parquet"):
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pydict()
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" and not path.name.endswith("bcf") else data


@pytest.mark.parametrize("end", KINDS)
def test_shards_make_the_whole(end, tmp_path):
    if end == "parquet":
        pytest.importorskip("pyarrow")
    paths = write_shards(tmp_path, end)
    rows = merge_scored(paths, tmp_path / f"merged.{end}", end, "c")
    assert rows == (600 if end in ("vcf", "vcf.gz", "bcf") else 1200)
    assert contents(tmp_path / f"merged.{end}") == contents(tmp_path / f"whole.{end}")
    if end == "vcf.gz":
        assert (tmp_path / "merged.vcf.gz.tbi").exists()


def test_the_command_is_that_of_the_merging(tmp_path):
    merge_scored(write_shards(tmp_path, "vcf"), tmp_path / "merged.vcf", "vcf", "genomamba merge")
    lines = [line for line in (tmp_path / "merged.vcf").read_bytes().splitlines() if b"genomambaCommand" in line]
    assert lines == [b"##genomambaCommand=genomamba merge"]


def test_shards_may_lie_in_other_containers_than_the_whole(tmp_path):
    paths = write_shards(tmp_path, "vcf.gz")
    merge_scored(paths, tmp_path / "merged.vcf", "vcf", "c")
    assert (tmp_path / "merged.vcf").read_bytes() == contents(tmp_path / "whole.vcf.gz")


def test_a_shard_without_a_last_end_of_line_is_not_run_into_the_next(tmp_path):
    paths = write_shards(tmp_path, "vcf")
    for path in paths:
        path.write_bytes(path.read_bytes().removesuffix(b"\n") if path.stat().st_size > 900 else path.read_bytes())
    merge_scored(paths, tmp_path / "merged.vcf", "vcf", "c")
    assert (tmp_path / "merged.vcf").read_bytes() == contents(tmp_path / "whole.vcf").removesuffix(b"\n")


@pytest.mark.parametrize("end", ["vcf.gz", "tsv.gz", "parquet"])
@pytest.mark.parametrize(
    "order", [(1, 0, 2, 3, 4), (0, 1, 2, 2, 4), (0, 1, 4, 3)], ids=["turned", "twice", "last first"]
)
def test_shards_out_of_order_are_refused(order, end, tmp_path):
    if end == "parquet":
        pytest.importorskip("pyarrow")
    paths = write_shards(tmp_path, end)
    # The shard of no record may stand anywhere, and the first two records have one POS.
    chosen = [paths[i] for i in order if i or order[0] == 0] + ([paths[0]] if order[0] == 1 else [])
    message = rf"\.{end}:?\d*: \d:[\d,]+ comes after \d:[\d,]+; give the files in their order, each once"
    with pytest.raises(DataError, match=message):
        merge_scored(chosen, tmp_path / f"merged.{end}", end, "c")
    assert not (tmp_path / f"merged.{end}").exists()


def test_shards_of_another_run_are_refused(tmp_path):
    pytest.importorskip("pyarrow")
    for end in ("vcf", "tsv", "parquet"):
        paths = write_shards(tmp_path, end)
        header, records = read(tmp_path / "large.vcf")
        values = {"GM_LLR": LARGE_VALUES["GM_LLR"][-2:]}
        with open_scored(paths[-1], end, header, TAGS[:1], "c") as scored:
            scored.write(records[-1:], values)
        with pytest.raises(
            DataError, match=rf"4.{end}(:1)?: its (header is|columns are) not th.* of .*0.{end}; give the sha"
        ):
            merge_scored(paths, tmp_path / f"merged.{end}", end, "c")


BAD_TABLES = {
    "empty": (b"", ": empty; a table of scores starts with the names of its columns"),
    "another table": (b"gene\tscore\n", ":1: no table of scores, whose columns are chrom, pos, id, ref, alt"),
    "cut": (TSV[:-3], ":5: the last line has no end, so the file is cut short"),
    "no number": (TSV.replace(b"\t12\t", b"\tx\t"), ":3: '1\\tx\\t"),
    "a word": (TSV + b"word\n", ":6: 'word' is no row of a table of scores"),
}


@pytest.mark.parametrize(("data", "what"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_bad_tables_are_told_by_line(data, what, tmp_path):
    path = tmp_path / "x.tsv"
    path.write_bytes(data)
    with pytest.raises(DataError, match=re.escape(f"{path}{what}")):
        merge_scored([path], tmp_path / "out.tsv", "tsv", "c")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tsv"]


def test_bad_parquet_is_told(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pa.table({"gene": ["a"]}), tmp_path / "other.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    for name, what in [
        ("gone", "no such file"),
        ("bad", "cannot be read as Parquet"),
        ("other", "no table of scores, whose columns are"),
    ]:
        with pytest.raises(DataError, match=rf"{name}.parquet: {what}"):
            merge_scored([tmp_path / f"{name}.parquet"], tmp_path / "out.parquet", "parquet", "c")
    assert not (tmp_path / "out.parquet").exists()
