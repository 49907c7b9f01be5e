"""What is written is the input, byte for byte, but for our tags: by our own reading, by bcftools and by pysam."""

import gzip
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pysam
import pytest

from genomamba.data import vcf_bgzf
from genomamba.data.source import compression
from genomamba.data.vcf import VcfReader
from genomamba.data.vcf_header import Tag
from genomamba.data.vcf_output import output_kind
from genomamba.data.vcf_write import open_scored
from genomamba.errors import ConfigError, DataError, RunError

LLR = Tag(id="GM_LLR", number="A", type="Float", description='alt - ref, in nats; "below 0": rarer')
STATUS = Tag(id="GM_STATUS", number="A", type="String", description="why there is no score")
AT = Tag(id="GM_AT", number="A", type="Integer", description="where, in bases from POS")
DEPTH = Tag(id="GM_DEPTH", number="1", type="Integer", description="bases of left context")
TAGS = [LLR, STATUS]

COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
TOP = (
    b"##fileformat=VCFv4.2\n"
    b'##FILTER=<ID=PASS,Description="All filters passed">\n'
    b"##contig=<ID=1,length=900>\n"
    b"##contig=<ID=2,length=900>\n"
    b'##INFO=<ID=AC,Number=A,Type=Integer,Description="n">\n'
    b'##INFO=<ID=DB,Number=0,Type=Flag,Description="known">\n'
)
FORMAT = b'##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
HEAD = TOP + FORMAT + COLUMNS + b"\tFORMAT\tone\n"
ROWS = [
    b"1\t10\trs1\tA\tG\t.\tPASS\tAC=1;DB\tGT\t0/1\n",
    b"1\t12\t.\tA\tG,T\t50\tPASS\tAC=1,2\tGT\t1/2\n",
    b"2\t7\t.\tACG\tA\t.\tPASS\t.\tGT\t0/0\n",
]
TEXT = HEAD + b"".join(ROWS)
VALUES = {"GM_LLR": [-1.5, 0.25, np.nan, 1e-9], "GM_STATUS": ["OK", "OK", "SYMBOLIC", "OK"]}
ADDED = [
    b"AC=1;DB;GM_LLR=-1.5;GM_STATUS=OK",
    b"AC=1,2;GM_LLR=0.25,.;GM_STATUS=OK,SYMBOLIC",
    b"GM_LLR=1e-09;GM_STATUS=OK",
]

needs_bcftools = pytest.mark.skipif(shutil.which("bcftools") is None, reason="bcftools is not installed")


def score(source, out, values=None, tags=TAGS, kind=None, command="genomamba score m"):
    """Write what is given as the values of all records, by their names."""
    values = VALUES if values is None else values
    done = 0
    kind = kind or output_kind(out)
    with VcfReader(source) as reader, open_scored(out, kind, reader.header, tags, command) as scored:
        for records in reader.batches():
            count = sum(len(record.alts) for record in records)
            scored.write(records, {name: column[done : done + count] for name, column in values.items()})
            done += count


@pytest.fixture
def made(tmp_path):
    """Write a VCF and return its path."""

    def make(text=TEXT, name="in.vcf"):
        (tmp_path / name).write_bytes(text)
        return tmp_path / name

    return make


def text_of(path):
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def without_ours(text):
    """Take our fields and lines out again, by a routine of its own."""
    kept = []
    for line in text.split(b"\n"):
        if re.match(rb'##INFO=<ID=GM_.*Source="genomamba"|##genomambaCommand=', line):
            continue
        if not line.startswith(b"#") and line:
            columns = line.split(b"\t")
            columns[7] = re.sub(rb"(^|;)GM_\w+=[^;\r]*", b"", columns[7])
            if columns[7] in (b"", b"\r"):
                columns[7] = b"." + columns[7]
            line = b"\t".join(columns)
        kept.append(line)
    return b"\n".join(kept)


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_by_hand(name, made, tmp_path):
    score(made(), tmp_path / name)
    text = text_of(tmp_path / name)
    version = sys.modules["genomamba"].__version__
    ours = (
        '##INFO=<ID=GM_LLR,Number=A,Type=Float,Description="alt - ref, in nats; \\"below 0\\": rarer",'
        f'Source="genomamba",Version="{version}">\n'
        '##INFO=<ID=GM_STATUS,Number=A,Type=String,Description="why there is no score",'
        f'Source="genomamba",Version="{version}">\n'
        "##genomambaCommand=genomamba score m\n"
    ).encode()
    rows = [row.split(b"\t") for row in ROWS]
    expected = b"".join(b"\t".join([*row[:7], info, *row[8:]]) for row, info in zip(rows, ADDED, strict=True))
    assert text == TOP + ours + FORMAT + COLUMNS + b"\tFORMAT\tone\n" + expected
    assert without_ours(text) == TEXT


def test_without_fields_of_info_ours_come_before_the_columns(made, tmp_path):
    top = b"##fileformat=VCFv4.2\n##contig=<ID=1>\n"
    score(made(top + COLUMNS + b"\n"), tmp_path / "out.vcf")
    lines = (tmp_path / "out.vcf").read_bytes().splitlines()
    assert [line[:15] for line in lines] == [
        b"##fileformat=VC",
        b"##contig=<ID=1>",
        b"##INFO=<ID=GM_L",
        b"##INFO=<ID=GM_S",
        b"##genomambaComm",
        COLUMNS[:15],
    ]


ODD_INFO = {
    # name: INFO as read, as written with a tag, and as it is after taking that out
    "missing": (b".", b"GM_LLR=1", b"."),
    "empty": (b"", b"GM_LLR=1", b"."),
    "flag of one letter": (b"X", b"X;GM_LLR=1", b"X"),
    "ends in a semicolon": (b"AC=1;", b"AC=1;GM_LLR=1", b"AC=1;"),
    "twice": (b"AC=1;AC=2", b"AC=1;AC=2;GM_LLR=1", b"AC=1;AC=2"),
    "no UTF-8": (b"N=\xff\xfe", b"N=\xff\xfe;GM_LLR=1", b"N=\xff\xfe"),
    "another's GM_": (b"GM_X=5;XGM_LLR=3", b"GM_X=5;XGM_LLR=3;GM_LLR=1", b"GM_X=5;XGM_LLR=3"),
    "ours alone": (b"GM_LLR=9", b"GM_LLR=1", b"."),
    "ours in the middle": (b"A=1;GM_LLR=9;B", b"A=1;B;GM_LLR=1", b"A=1;B"),
    "ours twice": (b"GM_LLR=9;A;GM_LLR=8", b"A;GM_LLR=1", b"A"),
}


@pytest.mark.parametrize("samples", [b"", b"\tGT\t0|1"], ids=["sites", "samples"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["newline", "CRLF", "no end"])
@pytest.mark.parametrize(("info", "expected", "_"), ODD_INFO.values(), ids=ODD_INFO)
def test_every_byte_but_info_is_kept(info, expected, _, end, samples, made, tmp_path):
    head = COLUMNS + (b"\tFORMAT\tone" if samples else b"") + (end or b"\n")
    top = b"##fileformat=VCFv4.2" + (end or b"\n") + b"##note=\xff" + (end or b"\n")
    start = b"un declared\xd1".replace(b" ", b"").replace(b"\xd1", b"") + b"\t7\ti\xffd\tac\t<X>\t5.0\tq\t"
    score(made(top + head + start + info + samples + end), tmp_path / "out.vcf", {"GM_LLR": [1.0]}, [LLR])
    text = (tmp_path / "out.vcf").read_bytes()
    lines = LLR.header_line() + (end or b"\n") + b"##genomambaCommand=genomamba score m" + (end or b"\n")
    assert text == top + lines + head + start + expected + samples + end


def test_a_second_run_replaces_our_tags_and_nothing_else(made, tmp_path):
    one, two, three = (tmp_path / f"{n}.vcf" for n in (1, 2, 3))
    score(made(), one, VALUES | {"GM_AT": [1, 2, np.nan, 4]}, [AT, *TAGS])
    score(one, two, {"GM_LLR": [7, 7, 7, 7]}, [LLR], command="again")
    text = two.read_bytes()
    assert b"GM_STATUS" not in text
    assert b"GM_AT" not in text
    assert text.count(b"GM_LLR=7") == 3
    assert text.count(b"##genomambaCommand=again\n") == text.count(b"##genomambaCommand") == 1
    assert without_ours(text) == TEXT
    score(two, three, {"GM_LLR": [7, 7, 7, 7]}, [LLR], command="again")
    assert three.read_bytes() == text


def test_tags_that_others_declare_are_not_touched(made, tmp_path):
    line = b'##INFO=<ID=GM_X,Number=1,Type=Float,Description="of another tool">\n'
    text = TEXT.replace(b"##FORMAT", line + b"##FORMAT").replace(b"AC=1;", b"AC=1;GM_X=3;")
    score(made(text), tmp_path / "out.vcf")
    assert without_ours((tmp_path / "out.vcf").read_bytes().replace(b"GM_X", b"XX")) == text.replace(b"GM_X", b"XX")
    clash = made(text.replace(b"GM_X", b"GM_LLR"), "clash.vcf")
    with pytest.raises(DataError, match=r"clash.vcf:7: declares GM_LLR, .* with another Source; rename or remove it"):
        score(clash, tmp_path / "none.vcf")
    assert not (tmp_path / "none.vcf").exists()


FLOATS = [
    (0.0, b"0"), (-0.0, b"0"), (1.0, b"1"), (-1.5, b"-1.5"), (1 / 3, b"0.333333"), (-123456.789, b"-123457"),
    (1e-10, b"1e-10"), (1e20, b"1e+20"), (float("nan"), b"."),
]  # fmt: skip


def test_numbers_have_six_digits(made, tmp_path):
    rows = b"".join(b"1\t%d\t.\tA\tG\t.\t.\t.\n" % (i + 1) for i in range(len(FLOATS)))
    source = made(TOP + COLUMNS + b"\n" + rows)
    score(source, tmp_path / "out.vcf", {"GM_LLR": [value for value, _ in FLOATS]}, [LLR])
    written = re.findall(rb"\tGM_LLR=(\S+)", (tmp_path / "out.vcf").read_bytes())
    assert written == [text for _, text in FLOATS]


def test_one_value_a_record_and_missing_ones(made, tmp_path):
    values = {"GM_DEPTH": [5, None, 7], "GM_AT": [1, None, 3, -4], "GM_STATUS": [None, "A", "B", None]}
    with VcfReader(made()) as reader:
        records = list(reader)
    with open_scored(tmp_path / "o.vcf", "vcf", reader.header, [DEPTH, AT, STATUS], "c") as out:
        out.write(records, values)
    written = re.findall(rb"GM_DEPTH=\S+", (tmp_path / "o.vcf").read_bytes().partition(b"#CHROM")[2])
    assert written == [
        b"GM_DEPTH=5;GM_AT=1;GM_STATUS=.",
        b"GM_DEPTH=.;GM_AT=.,3;GM_STATUS=A,B",
        b"GM_DEPTH=7;GM_AT=-4;GM_STATUS=.",
    ]


@pytest.mark.parametrize("kind", ["vcf", "tsv"])
@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"GM_LLR": [1.0] * 3, "GM_STATUS": ["OK"] * 4}, "GM_LLR has 3 values, expected 4"),
        ({"GM_LLR": [1.0] * 4, "GM_STATUS": ["OK"] * 5}, "GM_STATUS has 5 values, expected 4"),
        ({"GM_LLR": [1.0] * 4, "GM_STATUS": ["a;b"] * 4}, "GM_STATUS is 'a;b'; it must have letters, and none of"),
        ({"GM_LLR": [1.0] * 4, "GM_STATUS": [""] * 4}, "GM_STATUS is ''"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, what, kind, made, tmp_path):
    with VcfReader(made()) as reader:
        records = list(reader)
    opened = open_scored(tmp_path / "out", kind, reader.header, TAGS, "c")
    with pytest.raises(ValueError, match=re.escape(what)), opened as out:
        out.write(records, values)
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"id": "LLR"}, "no name of a tag"), ({"number": "G"}, "is not written"), ({"description": "a\nb"}, "one line")],
)
def test_tags_are_well_formed(fields, what):
    with pytest.raises(ValueError, match=what):
        Tag(**{"id": "GM_A", "number": "A", "type": "Float", "description": "x"} | fields)


def bcftools(*arguments):
    return subprocess.run(["bcftools", *map(str, arguments)], capture_output=True, check=True)


@needs_bcftools
@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz", "out.bcf"])
def test_bcftools_reads_it_without_a_word_and_gives_it_back(name, made, tmp_path):
    score(made(), tmp_path / name)
    shown = bcftools("view", "--no-version", tmp_path / name)
    assert shown.stderr == b""
    assert shown.stdout == text_of(tmp_path / "in.vcf").replace(TEXT, shown.stdout)
    body = shown.stdout.partition(b"#CHROM")[2]
    assert [line.split(b"\t")[7] for line in body.splitlines()[1:]] == ADDED
    assert without_ours(body) == TEXT.partition(b"#CHROM")[2]
    asked = bcftools("query", "-f", r"%POS %GM_LLR %INFO/GM_STATUS\n", tmp_path / name)
    assert asked.stdout == b"10 -1.5 OK\n12 0.25,. OK,SYMBOLIC\n7 1e-09 OK\n"
    # Values of Number=A follow their alleles where records are split, and come together again.
    split = bcftools("norm", "--no-version", "-m-", tmp_path / name).stdout
    assert b"GM_LLR=0.25;GM_STATUS=OK\t" in split
    assert b"GM_LLR=.;GM_STATUS=SYMBOLIC\t" in split


@needs_bcftools
def test_bcf_and_text_hold_the_same(made, tmp_path):
    for name in ("out.vcf", "out.vcf.gz", "out.bcf"):
        score(made(), tmp_path / name)
    texts = {bcftools("view", "--no-version", tmp_path / f"out.{end}").stdout for end in ("vcf", "vcf.gz", "bcf")}
    assert len(texts) == 1
    score(tmp_path / "out.bcf", tmp_path / "again.vcf")
    assert without_ours((tmp_path / "again.vcf").read_bytes()) == TEXT


def many(contigs=3, records=4000, length=900_000_000, step=100, start=1):
    generator = np.random.default_rng(1)
    top = b"##fileformat=VCFv4.2\n" + b"".join(b"##contig=<ID=%d,length=%d>\n" % (i, length) for i in range(contigs))
    rows = [
        b"%d\t%d\t%d\tACGT\tA\t.\t.\tX=%d\n" % (contig, start + step * i, i, generator.integers(1 << 60))
        for contig in range(contigs)
        for i in range(records)
    ]
    return top + COLUMNS + b"\n" + b"".join(rows)


@pytest.mark.parametrize(
    ("length", "start", "index"),
    [
        (1 << 29, 1, ".tbi"),
        ((1 << 29) + 1, 1, ".csi"),
        (900, (1 << 29) - 3 - 399_900, ".tbi"),
        (900, (1 << 29) - 2 - 399_900, ".csi"),
        (900, 3_000_000_000, ".csi"),
    ],
    ids=["contig that fits", "contig past 2^29", "base that fits", "base past 2^29", "base of 3e9"],
)
def test_the_index_finds_every_record(length, start, index, made, tmp_path):
    out = tmp_path / "out.vcf.gz"
    for end in (".tbi", ".csi"):
        (tmp_path / f"out.vcf.gz{end}").write_bytes(b"old")
    score(made(many(length=length, start=start)), out, {"GM_LLR": np.zeros(12_000)}, [LLR])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.vcf", "out.vcf.gz", f"out.vcf.gz{index}"]
    assert compression(out) == "bgzf"
    with pysam.TabixFile(str(out), index=f"{out}{index}") as file:
        for contig, at in (("0", 0), ("1", 3999), ("2", 2000)):
            pos = start + 100 * at
            (row,) = file.fetch(contig, pos - 1, pos)
            assert row.split("\t")[:3] == [contig, str(pos), str(at)]


def test_a_record_that_reaches_far_by_its_end_gets_the_larger_index(made, tmp_path):
    text = TOP + COLUMNS + b"\n1\t10\t.\tA\t<DEL>\t.\t.\tEND=600000000\n"
    score(made(text), tmp_path / "out.vcf.gz", {"GM_LLR": [1]}, [LLR])
    assert (tmp_path / "out.vcf.gz.csi").exists()
    assert not (tmp_path / "out.vcf.gz.tbi").exists()


def test_positions_that_no_index_holds_are_written_with_a_warning(made, tmp_path, caplog):
    text = TOP + COLUMNS + b"\n1\t%d\t.\tA\tG\t.\t.\t.\n" % 10**17
    score(made(text), tmp_path / "out.vcf.gz", {"GM_LLR": [1]}, [LLR])
    assert without_ours(text_of(tmp_path / "out.vcf.gz")) == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.vcf", "out.vcf.gz"]
    assert "written without an index" in caplog.text


def test_positions_that_bcf_does_not_hold_are_refused(made, tmp_path, capfd):
    text = TOP + COLUMNS + b"\n1\t3000000000\t.\tA\tG\t.\t.\t.\n"
    with pytest.raises(DataError, match=r"out.bcf: a position is 3,000,000,000, and BCF ends at .*; write .vcf.gz"):
        score(made(text), tmp_path / "out.bcf", {"GM_LLR": [1]}, [LLR])
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]
    assert capfd.readouterr() == ("", "")


UNDECLARED = {
    "contig": b"undeclared\t6\t.\tA\tG\t.\t.\t.\n",
    "filter": b"1\t6\t.\tA\tG\t.\tq10\t.\n",
    "field": b"1\t6\t.\tA\tG\t.\t.\tX=1\n",
}


@pytest.mark.parametrize("line", UNDECLARED.values(), ids=UNDECLARED)
def test_what_bcf_needs_declared_is_told(line, made, tmp_path, capfd):
    text = TOP + COLUMNS + b"\n1\t5\t.\tA\tG\t.\t.\t.\n" + line
    with pytest.raises(DataError, match=r"out.bcf: record 2, at \w+:6, does not go into BCF, which needs every contig"):
        score(made(text), tmp_path / "out.bcf", {"GM_LLR": [1, 1]}, [LLR])
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]
    assert capfd.readouterr() == ("", "")


def test_what_htslib_does_not_read_is_told_for_bcf(made, tmp_path, capfd):
    text = HEAD + ROWS[0] + ROWS[1].replace(b"1/2", b"1/2:x:y")
    with pytest.raises(DataError, match=r"out.bcf: htslib does not read record 2; write .vcf.gz"):
        score(made(text), tmp_path / "out.bcf")
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz", "out.bcf", "out.tsv", "out.tsv.gz", "out.parquet"])
def test_nothing_half_written_stays_under_the_name(name, made, tmp_path):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    out = tmp_path / name
    out.write_bytes(b"of an earlier run")
    (tmp_path / f"{name}.tbi").write_bytes(b"its index")
    source = made(many(contigs=1) + b"0\t1\t.\tA\tG\t.\t.\t.\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match=r"in.vcf:4004: 0:1 comes after 0:399,901, so the file is not sorted"):
        score(source, out, {"GM_LLR": np.zeros(4001)}, [LLR])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz", "out.bcf", "out.tsv", "out.parquet"])
def test_a_folder_that_is_not_there_is_told(name, made, tmp_path):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(RunError, match=rf"gone/{name}: cannot be written \(No such file"):
        score(made(), tmp_path / "gone" / name)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full here")
@pytest.mark.parametrize("kind", ["vcf", "vcf.gz"])
def test_devices_are_written_to_and_not_replaced(kind, made):
    score(made(many(contigs=1)), "/dev/null", {"GM_LLR": np.zeros(4000)}, [LLR], kind=kind)
    assert not os.path.isfile("/dev/null")
    with pytest.raises(RunError, match="/dev/full: cannot be written"):
        score(made(many(contigs=1)), "/dev/full", {"GM_LLR": np.zeros(4000)}, [LLR], kind=kind)


def test_the_input_may_be_written_over(made):
    source = made()
    score(source, source)
    assert without_ours(source.read_bytes()) == TEXT


@pytest.mark.parametrize("out", ["-", "/dev/stdout"])
@pytest.mark.parametrize("kind", ["vcf", "vcf.gz", "bcf"])
def test_standard_output(kind, out, made, tmp_path, capfdbinary):
    if not os.path.exists(out) and out != "-":
        pytest.skip("there is no such device here")
    score(made(), out, kind=kind)
    assert out == "-" or os.path.islink(out)
    (tmp_path / "piped").write_bytes(capfdbinary.readouterr().out)
    with VcfReader(tmp_path / "piped") as reader:
        assert [record.info for record in reader] == ADDED
    assert compression(tmp_path / "piped") == ("none" if kind == "vcf" else "bgzf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.vcf", "piped"]


KINDS = {
    ("a.vcf", None): "vcf", ("a.VCF.GZ", None): "vcf.gz", ("a.bcf", None): "bcf", ("a.tsv", None): "tsv",
    ("a.tsv.gz", None): "tsv.gz", ("a.parquet", None): "parquet", ("-", None): "vcf", ("-", "z"): "vcf.gz",
    ("-", "b"): "bcf", ("a.out", "v"): "vcf", ("a.vcf.gz", "z"): "vcf.gz", ("/dev/null", None): "vcf",
}  # fmt: skip


@pytest.mark.parametrize(("given", "kind"), KINDS.items())
def test_the_kind_is_told_by_name_and_option(given, kind):
    assert output_kind(*given) == kind


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("a.txt", None), "its name must end with .vcf, .vcf.gz, .bcf, .tsv, .tsv.gz, .parquet, or give -O v, z or b"),
        (("a.vcf", "u"), "-O is 'u'; it must be v"),
        (("a.vcf", "z"), "-O z writes .vcf.gz, but --out is a.vcf"),
        (("a.tsv", "v"), "-O v writes .vcf, but --out is a.tsv"),
    ],
)
def test_kinds_that_are_not_written_are_refused(given, what):
    with pytest.raises(ConfigError, match=re.escape(what)):
        output_kind(*given)


@pytest.mark.parametrize("size", [0, 1, 0xFF00 - 1, 0xFF00, 0xFF00 + 1, 10 * 0xFF00 + 7])
@pytest.mark.parametrize("is_random", [False, True], ids=["text", "random"])
def test_bgzf_holds_what_was_written(size, is_random, tmp_path):
    generator = np.random.default_rng(size)
    data = generator.bytes(size) if is_random else (b"ACGT\t17\n" * (size // 8 + 1))[:size]
    path = tmp_path / "x.gz"
    with path.open("wb") as file:
        writer = vcf_bgzf.BgzfWriter(file)
        for at in range(0, size, 10_007):
            writer.write(data[at : at + 10_007])
        writer.close()
    assert gzip.decompress(path.read_bytes()) == data
    assert compression(path) == "bgzf"
    with pysam.BGZFile(str(path)) as blocks:
        assert blocks.read(size + 1) == data
    assert path.read_bytes().endswith(bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000"))
