"""What a VCF says comes out as written, from every container; and every kind of bad VCF ends in one line."""

import gc
import gzip
import io
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pysam
import pytest
from Bio import bgzf

from genomamba.data import source as source_module
from genomamba.data import vcf as vcf_module
from genomamba.data import vcf_input
from genomamba.data.vcf import VcfReader
from genomamba.errors import DataError

COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
TOP = b'##fileformat=VCFv4.2\n##contig=<ID=1,length=900>\n##INFO=<ID=AC,Number=A,Type=Integer,Description="n">\n'
HEAD = TOP + COLUMNS + b"\n"
ROW = b"1\t10\trs1\tA\tG\t.\tPASS\tAC=1\n"
SAMPLES = TOP + COLUMNS + b"\tFORMAT\tone\ttwo\n"
SAMPLE_ROW = b"1\t10\trs1\tA\tG\t.\tPASS\tAC=1\tGT\t0/1\t1/1\n"


def row(pos=b"10", ref=b"A", alt=b"G", chrom=b"1", info=b"AC=1"):
    return b"\t".join([chrom, pos, b".", ref, alt, b".", b".", info]) + b"\n"


def as_bgzf(data):
    raw = io.BytesIO()
    writer = bgzf.BgzfWriter(fileobj=raw, mode="wb")
    for at in range(0, len(data), 20):
        writer.write(data[at : at + 20])
        writer.flush()
    ended = raw.tell()
    writer._handle = io.BytesIO()
    return raw.getvalue()[:ended] + source_module._BGZF_END, ended


PACKED, PACKED_END = as_bgzf(HEAD + ROW)
CUT_GZIP = gzip.compress(HEAD + b"".join(row(b"%d" % (i * i)) for i in range(999)))[:-20]

# name of the file, its bytes, the line that the message names (None: no line), what the message says
BAD = {
    "empty": ("x.vcf", b"", None, "empty; a VCF starts with a line such as"),
    "empty in gzip": ("x.vcf.gz", gzip.compress(b""), None, "empty"),
    "binary": ("x.vcf", bytes(range(256)), 1, "binary data, no VCF"),
    "zip": ("x.vcf", b"PK\3\4\0\0", 1, "a zip archive; unpack it"),
    "bzip2": ("x.vcf.bz2", b"BZh91AY&SY", 1, "compressed with bzip2; recompress it with bgzip"),
    "FASTA": ("x.vcf", b">1\nACGT\n", 1, "no VCF but FASTA"),
    "GFF": ("x.vcf", b"##gff-version 3\n", 1, "no VCF but GFF"),
    "byte-order mark": ("x.vcf", b"\xef\xbb\xbf" + HEAD, 1, "byte-order mark"),
    "UTF-16": ("x.vcf", HEAD.decode().encode("utf-16"), 1, "UTF-16; save the file as UTF-8"),
    "no header": ("x.vcf", ROW, 1, "no header: it starts with '1\\t10\\trs1"),
    "no fileformat": ("x.vcf", COLUMNS + b"\n" + ROW, 1, "expected '##fileformat=VCFv4.2', then #CHROM"),
    "old Mac line ends": ("x.vcf", (HEAD + ROW).replace(b"\n", b"\r"), 1, "a carriage return inside the line"),
    "no #CHROM": ("x.vcf", TOP + ROW, 4, "a record, '1\\t10\\trs1"),
    "header cut": ("x.vcf", TOP, 3, "the file ends before the line #CHROM"),
    "blank line in the header": ("x.vcf", TOP + b"\n" + HEAD, 4, "a blank line in the header"),
    "comment in the header": ("x.vcf", TOP + b"# made by hand\n" + HEAD, 4, "expected ## or #CHROM; remove it"),
    "#CHROM with spaces": ("x.vcf", TOP + COLUMNS.replace(b"\t", b" ") + b"\n" + ROW, 4, "divided by spaces"),
    "#CHROM short": ("x.vcf", TOP + COLUMNS[:-5] + b"\n" + ROW, 4, "the columns are #CHROM, POS, ID, REF, ALT, QUAL"),
    "#CHROM without FORMAT": ("x.vcf", TOP + COLUMNS + b"\tone\n", 4, "column 9 is 'one'; expected FORMAT"),
    "spaces for tabs": ("x.vcf", HEAD + ROW.replace(b"\t", b" "), 5, "divided by spaces; VCF divides them by tabs"),
    "one word": ("x.vcf", HEAD + b"word\n", 5, "1 columns, expected 8"),
    "short row": ("x.vcf", HEAD + b"1\t10\t.\tA\n", 5, "4 columns, expected 8 as in the line #CHROM"),
    "short last row without end": ("x.vcf", HEAD + ROW + b"1\t11\t.\tA", 6, "expected 8 as in the line #CHROM; the"),
    "long row": ("x.vcf", HEAD + ROW[:-1] + b"\tGT\n", 5, "9 columns, expected 8"),
    "long row by a tab": ("x.vcf", HEAD + ROW[:-1] + b"\t\n", 5, "9 columns, expected 8"),
    "a sample short": ("x.vcf", SAMPLES + SAMPLE_ROW[:-5] + b"\n", 5, "10 columns, expected 11"),
    "a sample more": ("x.vcf", SAMPLES + SAMPLE_ROW[:-1] + b"\t0/0\n", 5, "12 columns, expected 11"),
    "blank line": ("x.vcf", HEAD + ROW + b"\n" + ROW, 6, "a blank line; remove it"),
    "blank line at the end": ("x.vcf", HEAD + ROW + b"\n", 6, "a blank line; remove it"),
    "blank line of CRLF": ("x.vcf", HEAD + ROW + b"\r\n", 6, "a blank line; remove it"),
    "second header": ("x.vcf", HEAD + ROW + HEAD, 6, "join files by bcftools concat"),
    "POS negative": ("x.vcf", HEAD + row(b"-5"), 5, "POS is '-5'; expected a whole number"),
    "POS text": ("x.vcf", HEAD + row(b"ten"), 5, "POS is 'ten'; expected a whole number"),
    "POS empty": ("x.vcf", HEAD + row(b""), 5, "POS is ''; expected a whole number"),
    "POS missing": ("x.vcf", HEAD + row(b"."), 5, "POS is '.'; expected a whole number"),
    "POS 3e9": ("x.vcf", HEAD + row(b"3e9"), 5, "POS is '3e9'; expected a whole number"),
    "POS with commas": ("x.vcf", HEAD + row(b"1,000"), 5, "POS is '1,000'; expected a whole number"),
    "POS with a point": ("x.vcf", HEAD + row(b"10.0"), 5, "POS is '10.0'; expected a whole number"),
    "POS with a space": ("x.vcf", HEAD + row(b" 10"), 5, "POS is ' 10'; expected a whole number"),
    "POS of 20 digits": ("x.vcf", HEAD + row(b"9" * 20), 5, "POS is '99999999999999999999'; expected"),
    "POS of 5000 digits": ("x.vcf", HEAD + row(b"9" * 5000), 5, "(5,000 bytes); expected a whole number"),
    "CHROM empty": ("x.vcf", HEAD + row(chrom=b""), 5, "CHROM is ''; expected the name of a contig"),
    "CHROM with a space": ("x.vcf", HEAD + row(chrom=b"chr 1"), 5, "CHROM is 'chr 1'; expected"),
    "CHROM no UTF-8": ("x.vcf", HEAD + row(chrom=b"chr\xff"), 5, "CHROM is 'chr\\\\xff', which is no UTF-8"),
    "REF empty": ("x.vcf", HEAD + row(ref=b""), 5, "REF is ''; expected the bases at POS"),
    "REF -": ("x.vcf", HEAD + row(ref=b"-"), 5, "REF is '-'; expected the bases at POS, such as 'A' or 'ACGT'; VCF wr"),
    "REF symbolic": ("x.vcf", HEAD + row(ref=b"<DEL>"), 5, "REF is '<DEL>'"),
    "REF two": ("x.vcf", HEAD + row(ref=b"A,C"), 5, "REF is 'A,C'"),
    "REF no UTF-8": ("x.vcf", HEAD + row(ref=b"A\xff"), 5, "REF is 'A\\\\xff'"),
    "REF a number": ("x.vcf", HEAD + row(ref=b"12"), 5, "REF is '12'"),
    "ALT empty": ("x.vcf", HEAD + row(alt=b""), 5, "ALT is ''; expected bases, '*', '.', <NAME> or a breakend; it is"),
    "ALT with an empty one": ("x.vcf", HEAD + row(alt=b"G,"), 5, "ALT is '' in 'G,'; expected bases"),
    "ALT -": ("x.vcf", HEAD + row(alt=b"-"), 5, "VCF writes a deletion or insertion with the base before it"),
    "ALT of a slash": ("x.vcf", HEAD + row(alt=b"A/G"), 5, "ALT is 'A/G'; expected bases"),
    "ALT with a space": ("x.vcf", HEAD + row(alt=b"G, T"), 5, "ALT is ' T' in 'G, T'"),
    "ALT not closed": ("x.vcf", HEAD + row(alt=b"<DEL"), 5, "ALT is '<DEL'"),
    "NUL": ("x.vcf", HEAD + ROW + row(info=b"AC=\0"), 6, "a NUL byte; the file is damaged or binary"),
    "NUL in the header": ("x.vcf", TOP + b"##x=\0\n" + COLUMNS + b"\n", 4, "a NUL byte"),
    "POS goes back": (
        "x.vcf",
        HEAD + row(b"2000") + row(b"1500"),
        6,
        "1:1,500 comes after 1:2,000, so the file is not sorted; sort it: bcftools sort -O z -o sorted.vcf.gz ",
    ),
    "contig comes back": (
        "x.vcf",
        HEAD + row(b"5") + row(b"7", chrom=b"2") + row(b"6"),
        7,
        "1:6 comes after 2:7, so the file is not sorted",
    ),
    "gzip cut": ("x.vcf.gz", CUT_GZIP, None, "ends inside a block, after this line; the file is cut short"),
    "gzip damaged": ("x.vcf.gz", gzip.compress(HEAD + ROW)[:-8] + b"12345678", 1, "gzip data is damaged"),
    "BGZF cut at a block": ("x.vcf.gz", PACKED[:PACKED_END], None, "BGZF without its closing block"),
    "BGZF cut in a block": ("x.vcf.gz", PACKED[: PACKED_END - 9], None, "BGZF without its closing block"),
    "BCF of nothing": ("x.bcf", b"BCF\x02\x02\0\0", None, "not a readable BCF"),
}  # fmt: skip


def records_of(name):
    with VcfReader(name) as reader:
        return reader.header, list(reader)


@pytest.mark.parametrize(("name", "data", "line", "what"), BAD.values(), ids=BAD)
def test_bad_input_is_told_by_file_and_line(name, data, line, what, tmp_path, capfd):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        records_of(path)
    message = str(error.value)
    assert message.startswith(f"{path}:{line}: " if line else f"{path}:")
    assert what in message
    assert "\n" not in message
    assert len(message) < 400 + len(str(path)) * 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "data", "line", "what"), BAD.values(), ids=BAD)
def test_bad_input_is_told_the_same_over_many_blocks(name, data, line, what, tmp_path, monkeypatch):
    """Some cases are recognised by what a block holds; most name the same line however the text is cut."""
    monkeypatch.setattr(source_module, "BLOCK_BYTES", 24)
    monkeypatch.setattr(vcf_module, "_BATCH_BYTES", 7)
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        records_of(path)
    if "damaged" not in what and "cut short" not in what:
        assert str(error.value).startswith(f"{path}:{line}: " if line else f"{path}:")
    assert what.partition("; ")[0] in str(error.value)


def test_more_than_forty_kinds_of_bad_input():
    assert len(BAD) > 60


def test_the_line_of_a_cut_gzip_is_the_last_that_was_read(tmp_path):
    path = tmp_path / "x.vcf.gz"
    whole = gzip.compress(HEAD + b"".join(row(b"%d" % (i + 1)) for i in range(9000)), 0)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError) as error:
        records_of(path)
    line = int(str(error.value).removeprefix(f"{path}:").partition(":")[0])
    # Lines are handed on in pieces of 32 KiB, so that the last read may lie some thousands before the cut.
    text = len(HEAD) + sum(len(row(b"%d" % (i + 1))) for i in range(line - 4))
    assert len(whole) // 2 - (1 << 18) < text <= len(whole) // 2


# What other people's files have, and is kept: the row, then chrom, pos, id, ref, alts, info
GOOD_ROWS = {
    "plain": (ROW, ("1", 10, b"rs1", "A", ("G",), b"AC=1")),
    "multi-allelic": (row(alt=b"G,T,AC"), ("1", 10, b".", "A", ("G", "T", "AC"), b"AC=1")),
    "CRLF": (row()[:-1] + b"\r\n", ("1", 10, b".", "A", ("G",), b"AC=1")),
    "no final newline": (row()[:-1], ("1", 10, b".", "A", ("G",), b"AC=1")),
    "POS 0": (row(b"0"), ("1", 0, b".", "A", ("G",), b"AC=1")),
    "POS 3000000000": (row(b"3000000000"), ("1", 3_000_000_000, b".", "A", ("G",), b"AC=1")),
    "POS 10000000000000": (row(b"10000000000000"), ("1", 10**13, b".", "A", ("G",), b"AC=1")),
    "POS past the contig": (row(b"901"), ("1", 901, b".", "A", ("G",), b"AC=1")),
    "POS with zeros": (row(b"0010"), ("1", 10, b".", "A", ("G",), b"AC=1")),
    "undeclared contig": (row(chrom=b"HLA-A*01:01"), ("HLA-A*01:01", 10, b".", "A", ("G",), b"AC=1")),
    "contig of UTF-8": (row(chrom="чр".encode()), ("чр", 10, b".", "A", ("G",), b"AC=1")),
    "lower case": (row(ref=b"acg", alt=b"a"), ("1", 10, b".", "acg", ("a",), b"AC=1")),
    "IUPAC": (row(ref=b"R", alt=b"N"), ("1", 10, b".", "R", ("N",), b"AC=1")),
    "REF missing": (row(ref=b"."), ("1", 10, b".", ".", ("G",), b"AC=1")),
    "ALT missing": (row(alt=b"."), ("1", 10, b".", "A", (".",), b"AC=1")),
    "ALT as REF": (row(alt=b"A"), ("1", 10, b".", "A", ("A",), b"AC=1")),
    "ALT twice": (row(alt=b"G,G"), ("1", 10, b".", "A", ("G", "G"), b"AC=1")),
    "ALT missing among others": (row(alt=b"G,."), ("1", 10, b".", "A", ("G", "."), b"AC=1")),
    "star": (row(alt=b"G,*"), ("1", 10, b".", "A", ("G", "*"), b"AC=1")),
    "symbolic": (row(alt=b"<DUP:TANDEM>,<*>"), ("1", 10, b".", "A", ("<DUP:TANDEM>", "<*>"), b"AC=1")),
    "breakends": (
        row(alt=b"G]17:198982],]13:123456]T,C[<c>:1[,[1:5[A"),
        ("1", 10, b".", "A", ("G]17:198982]", "]13:123456]T", "C[<c>:1[", "[1:5[A"), b"AC=1"),
    ),
    "single breakends": (row(alt=b".A,G."), ("1", 10, b".", "A", (".A", "G."), b"AC=1")),
    "allele of 2 MB": (row(alt=b"A" * 2_000_000), ("1", 10, b".", "A", ("A" * 2_000_000,), b"AC=1")),
    "INFO missing": (row(info=b"."), ("1", 10, b".", "A", ("G",), b".")),
    "INFO empty": (row(info=b""), ("1", 10, b".", "A", ("G",), b"")),
    "INFO of wrong Number": (row(info=b"AC=1,2,3"), ("1", 10, b".", "A", ("G",), b"AC=1,2,3")),
    "INFO of wrong Type": (row(info=b"AC=many"), ("1", 10, b".", "A", ("G",), b"AC=many")),
    "INFO twice": (row(info=b"AC=1;AC=2"), ("1", 10, b".", "A", ("G",), b"AC=1;AC=2")),
    "INFO undeclared": (row(info=b"X;Y=2;"), ("1", 10, b".", "A", ("G",), b"X;Y=2;")),
    "INFO with spaces": (row(info=b"AC=1; DP = 2"), ("1", 10, b".", "A", ("G",), b"AC=1; DP = 2")),
    "INFO no UTF-8": (row(info=b"N=\xff\xfe"), ("1", 10, b".", "A", ("G",), b"N=\xff\xfe")),
}


@pytest.mark.parametrize("batch", [7, 1 << 17], ids=["small batches", "one batch"])
@pytest.mark.parametrize(("line", "expected"), GOOD_ROWS.values(), ids=GOOD_ROWS)
def test_a_record_is_what_its_line_says(line, expected, batch, tmp_path, monkeypatch):
    monkeypatch.setattr(vcf_module, "_BATCH_BYTES", batch)
    path = tmp_path / "x.vcf"
    path.write_bytes(HEAD + line)
    header, (record,) = records_of(path)
    assert header.to_bytes() == HEAD
    assert record.line == line
    assert record.number == 5
    assert record.start == expected[1] - 1
    assert (record.chrom, record.pos, record.id, record.ref, record.alts, record.info) == expected
    assert record.line[record.info_start :].startswith(record.info)
    assert record.line[: record.info_start].count(b"\t") == 7


def test_info_lies_before_the_samples(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_bytes(SAMPLES + SAMPLE_ROW + SAMPLE_ROW[:-1] + b"\r\n")
    header, records = records_of(path)
    assert header.samples == ("one", "two")
    assert [record.info for record in records] == [b"AC=1"] * 2
    assert [record.line[record.info_start :] for record in records] == [
        b"AC=1\tGT\t0/1\t1/1\n",
        b"AC=1\tGT\t0/1\t1/1\r\n",
    ]


def test_the_header_tells_contigs_and_fields(tmp_path):
    path = tmp_path / "x.vcf"
    lines = [
        b"##contig=<length=5,ID=b>\n",
        b"##contig=<ID=c>\n",
        b"##contig=<ID=d,length=?>\n",
        b'##INFO=<ID=X,Number=.,Type=String,Description="a, \\"b\\", ID=Y",Source="s">\n',
    ]
    path.write_bytes(TOP + b"".join(lines) + COLUMNS + b"\n")
    header, records = records_of(path)
    assert records == []
    assert header.contigs == {"1": 900, "b": 5, "c": None, "d": None}
    assert header.longest_contig() == 900
    assert {name: (field.number, field.type, field.source) for name, field in header.info.items()} == {
        "AC": ("A", "Integer", ""),
        "X": (".", "String", "s"),
    }


BODY = row() + row(b"11", alt=b"C,T") + row(b"1", ref=b"ACG", chrom=b"2")


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzf", "gzip of two members"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["file", "standard input"])
def test_containers_are_told_by_their_bytes(kind, is_stream, tmp_path, monkeypatch):
    text = HEAD + BODY
    data = {
        "plain": text,
        "gzip": gzip.compress(text),
        "bgzf": as_bgzf(text)[0],
        "gzip of two members": gzip.compress(text[:99]) + gzip.compress(text[99:]),
    }[kind]
    path = tmp_path / "any-name"
    path.write_bytes(data)
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        header, records = records_of("-" if is_stream else path)
        gc.collect()
        assert not file.closed
    assert header.to_bytes() + b"".join(record.line for record in records) == text


@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_is_told_or_kept(seed, tmp_path):
    """A byte changed, put in or taken out, or a line moved: either one line that says why, or the bytes as they are."""
    generator = np.random.default_rng(seed)
    path = tmp_path / "x.vcf"
    told = []
    for _ in range(250):
        text = bytearray((SAMPLES + SAMPLE_ROW * 3) if generator.integers(2) else HEAD + BODY)
        for _ in range(generator.integers(1, 4)):
            at, byte = int(generator.integers(len(text))), int(generator.choice([*b"\t\n\r\0 #.,;<-0A\xff"]))
            match generator.integers(4):
                case 0:
                    text[at] = byte
                case 1:
                    text.insert(at, byte)
                case 2:
                    del text[at : at + int(generator.integers(1, 9))]
                case _:
                    lines = text.splitlines(keepends=True)
                    generator.shuffle(lines)
                    text = bytearray(b"".join(lines))
        path.write_bytes(text)
        try:
            header, records = records_of(path)
        except DataError as error:
            told.append(str(error))
        else:
            assert header.to_bytes() + b"".join(record.line for record in records) == text
    assert 50 < len(told) < 225
    assert all(re.fullmatch(rf"{re.escape(str(path))}:(\d+:)? [^\n]+", message) for message in told)


def bcf_of(text, folder):
    (folder / "t.vcf").write_bytes(text)
    source = pysam.VariantFile(str(folder / "t.vcf"))
    with source, pysam.VariantFile(str(folder / "t.bcf"), "wb", header=source.header) as target:
        for record in source:
            target.write(record)
    return folder / "t.bcf"


@pytest.mark.parametrize("batch", [1, 1 << 18], ids=["line by line", "one batch"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["file", "standard input"])
def test_bcf_is_read_as_its_text(is_stream, batch, tmp_path, monkeypatch):
    monkeypatch.setattr(vcf_input, "_TEXT_BYTES", batch)
    path = bcf_of(HEAD.replace(b"##INFO", b"##contig=<ID=2>\n##INFO") + BODY, tmp_path)
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        header, records = records_of("-" if is_stream else path)
    assert header.contigs == {"1": 900, "2": None}
    assert b"".join(record.line for record in records) == BODY
    assert [record.number for record in records] == [len(header.lines) + i for i in (1, 2, 3)]


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_bcf_cut_short_is_refused(kept, tmp_path):
    path = bcf_of(HEAD + b"".join(row(b"%d" % (i + 1)) for i in range(5000)), tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(DataError, match="BGZF without its closing block"):
        records_of(path)


def test_a_damaged_record_of_bcf_is_told_by_line(tmp_path, capfd):
    whole = gzip.decompress(bcf_of(HEAD + b"".join(row(b"%d" % (i + 1)) for i in range(9)), tmp_path).read_bytes())
    bare = len(gzip.decompress(bcf_of(HEAD, tmp_path).read_bytes()))
    size = (len(whole) - bare) // 9
    # The contig of the fifth record, which has 4 bytes after two lengths of 4.
    at = bare + 4 * size + 8
    path = tmp_path / "x.bcf"
    path.write_bytes(whole[:at] + b"\x63" + whole[at + 1 :])
    # htslib declares PASS, so that the header has a line more.
    with pytest.raises(DataError, match=r"x.bcf:9: the BCF is damaged after this line \(.*\); copy or"):
        records_of(path)
    path.write_bytes(whole.replace(b'="n"', b'="\xff"', 1))
    with pytest.raises(DataError, match=r"x.bcf: not a readable BCF \(.*\); make it again"):
        records_of(path)
    assert capfd.readouterr() == ("", "")


def test_bcf_that_is_no_utf_8_is_told(tmp_path):
    text = (
        HEAD.replace(b"ID=AC", b"ID=N").replace(b"Type=Integer", b"Type=String")
        + row(info=b"N=1")
        + row(b"11", info=b"N=\xff")
    )
    path = bcf_of(text, tmp_path)
    with pytest.raises(
        DataError, match=r"t.bcf:7: no UTF-8, which is kept in VCF but not read from BCF; convert it: bcf"
    ):
        records_of(path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (PACKED[:PACKED_END], "BGZF without its closing block; the data is cut short after this line"),
        (CUT_GZIP, "ends inside a block"),
        (b"", "-: empty"),
        (
            HEAD + row(b"9") + row(b"8"),
            "-:6: 1:8 comes after 1:9, so the file is not sorted; sort it: bcftools sort -O z",
        ),
    ],
    ids=["BGZF cut", "gzip cut", "empty", "unsorted"],
)
def test_faults_of_standard_input(data, what, tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(data)
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        with pytest.raises(DataError) as error:
            records_of("-")
    assert what in str(error.value)
    assert str(error.value).startswith("-:")


def test_a_pipe_may_give_its_bytes_one_by_one():
    script = "from genomamba.data.vcf import VcfReader; print(sum(len(r.line) for r in VcfReader('-')))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        for at in range(len(PACKED)):
            process.stdin.write(PACKED[at : at + 1])
            process.stdin.flush()
        assert process.communicate()[0] == b"%d\n" % len(ROW)


@pytest.mark.parametrize("kind", ["plain", "bgzf", "bcf"])
def test_a_pipe_with_a_name_is_read_once(kind, tmp_path):
    """As a shell gives for <(command)."""
    text = HEAD.replace(b"##contig", b'##FILTER=<ID=PASS,Description="All filters passed">\n##contig') + ROW
    data = {"plain": text, "bgzf": as_bgzf(text)[0], "bcf": bcf_of(text, tmp_path).read_bytes()}[kind]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[data])
    writer.start()
    header, records = records_of(pipe)
    writer.join()
    assert header.to_bytes() + b"".join(record.line for record in records) == text


def test_missing_files_are_told(tmp_path):
    with pytest.raises(DataError, match="no such file; check the name"):
        VcfReader(tmp_path / "gone.vcf")
    with pytest.raises(DataError, match="a directory, where a file is expected"):
        VcfReader(tmp_path)


def test_progress_is_a_fraction_of_the_file(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_bytes(HEAD + b"".join(row(b"%d" % (i + 1)) for i in range(200_000)))
    with VcfReader(path) as reader:
        fractions = [reader.fraction_read for _ in reader.batches()]
    assert 0 < fractions[0] < 0.9
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_batches_are_the_records_in_order(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_bytes(HEAD + b"".join(row(b"%d" % (i + 1)) for i in range(30_000)))
    with VcfReader(path) as reader:
        batches = list(reader.batches())
    assert len(batches) > 3
    assert all(batches)
    assert [record.pos for batch in batches for record in batch] == list(range(1, 30_001))
    assert [record.number for batch in batches for record in batch] == list(range(5, 30_005))


def test_records_may_have_to_follow_those_of_another_file(tmp_path):
    one, two, wrong = (tmp_path / name for name in ("1.vcf", "2.vcf", "3.vcf"))
    one.write_bytes(HEAD + row(b"5") + row(b"7"))
    two.write_bytes(HEAD + row(b"7") + row(b"9", chrom=b"2"))
    wrong.write_bytes(HEAD + row(b"8"))
    with VcfReader(one) as first:
        assert len(list(first)) == 2
    with VcfReader(two, after=first) as second:
        assert len(list(second)) == 2
    with VcfReader(wrong, after=second) as third, pytest.raises(DataError) as error:
        list(third)
    assert str(error.value) == f"{wrong}:5: 1:8 comes after 2:9; give the files in their order, each once"
