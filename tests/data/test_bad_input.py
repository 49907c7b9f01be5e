"""Every kind of bad FASTA ends in one line that says where, what, and what to do; by cache and by index alike."""

import gzip
import io
import os

import pytest
from Bio import bgzf

from genomamba.data import source as source_module
from genomamba.data.fasta import Fasta
from genomamba.data.genome import Genome
from genomamba.errors import DataError

GOOD = b">one\nACGTACGTAC\nACGTACGTAC\nACG\n>two\nGGGG\n"


def as_bgzf(data, block=20):
    """BGZF of small blocks, and where each starts."""
    raw = io.BytesIO()
    writer = bgzf.BgzfWriter(fileobj=raw, mode="wb")
    starts = []
    for i in range(0, len(data), block):
        starts.append(raw.tell())
        writer.write(data[i : i + block])
        writer.flush()
    ended = raw.tell()
    writer._handle = io.BytesIO()
    return raw.getvalue()[:ended] + source_module._BGZF_END, [*starts, ended]


PACKED, STARTS = as_bgzf(GOOD)
CUT_GZIP = gzip.compress(GOOD + b"GGGG\n" * 99)[:-20]

# file name, its bytes, line that the message names (None: no line), what the message says
CASES = {
    "empty": ("x.fa", b"", None, "empty; a FASTA file starts with"),
    "empty in gzip": ("x.fa.gz", gzip.compress(b""), None, "empty"),
    "binary": ("x.fa", bytes(range(256)), 1, "binary data, not FASTA"),
    "bzip2": ("x.fa.bz2", b"BZh91AY&SY", 1, "compressed with bzip2; recompress it with bgzip"),
    "fastq": ("x.fa", b"@read\nACGT\n+\nIIII\n", 1, "perhaps FASTQ"),
    "byte-order mark": ("x.fa", b"\xef\xbb\xbf>a\nACGT\n", 1, "byte-order mark"),
    "no header": ("x.fa", b"ACGT\nACGT\n", 1, "no header: the line starts with 'ACGT'; put a line such as"),
    "blank first line": ("x.fa", b"\n>a\nACGT\n", 1, "no header"),
    "nameless header": ("x.fa", b">a\nACGT\n>\nACGT\n", 3, "header without a name"),
    "space before the name": ("x.fa", b"> a\nACGT\n", 1, "header without a name; write the name right after"),
    "record without sequence": ("x.fa", b">a\nACGT\n>b\n>c\nA\n", 3, "'b' has no sequence"),
    "last record without sequence": ("x.fa", b">a\nACGT\n>b\n\n", 3, "'b' has no sequence"),
    "header only": ("x.fa", b">a", 1, "'a' has no sequence"),
    "blank line inside": ("x.fa", b">a\nACGT\n\nACGT\n", 3, "a blank line inside a record; remove it"),
    "blank line after header": ("x.fa", b">a\n\nACGT\n", 2, "a blank line inside a record"),
    "short line inside": ("x.fa", b">a\nACGT\nAC\nACGT\n", 3, "2 letters where the lines above have 4, and more"),
    "short line inside, short end": ("x.fa", b">a\nACGT\nACGT\nAC\nAC\n", 4, "2 letters where the lines above"),
    "long line": ("x.fa", b">b\nAC\n>a\nACGT\nACGTA\n", 5, "5 letters where the lines above have 4; give all"),
    "long last line": ("x.fa", b">a\nACGT\nACGTACGT", 3, "8 letters where the lines above have 4"),
    "NUL": ("x.fa", b">a\nACGT\nA\0GT\n", 3, "a NUL byte in column 2"),
    "NUL in a header": ("x.fa", b">a\0\nACGT\n", 1, "a NUL byte in a header"),
    "no nucleotide": ("x.fa", b">a\nACGT\nAC-T\n", 3, "'-' in column 3 is no nucleotide; use A C G T U N"),
    "space at a line's end": ("x.fa", b">a\nACGT \nACGT\n", 2, "' ' in column 5 is no nucleotide"),
    "old Mac line ends": ("x.fa", b">a\nACGT\rACGT\n", 2, "carriage return without a newline"),
    "duplicate name": ("x.fa", b">a x\nACGT\n>b\nAC\n>a y\nACGT\n", 5, "the name 'a' is used already in line 1"),
    "protein": ("x.fa", b">p\nMKVLAAGIVGLLLAQWEF\n", 2, "this looks like protein; give DNA"),
    "gzip cut inside a block": ("x.fa.gz", CUT_GZIP, None, "ends inside a block, after this line"),
    "gzip damaged": ("x.fa.gz", gzip.compress(GOOD)[:-8] + b"12345678", 1, "gzip data is damaged"),
    "BGZF cut at a block border": ("x.fa.gz", PACKED[: STARTS[2]], None, "BGZF without its closing block"),
    "BGZF cut inside a block": ("x.fa.gz", PACKED[: STARTS[2] + 9], None, "BGZF without its closing block"),
    "BGZF damaged": (
        "x.fa.gz",
        PACKED[: STARTS[2] + 20] + b"\xff\xff" + PACKED[STARTS[2] + 22 :],
        1,
        "gzip data is damaged",
    ),
}  # fmt: skip


def check_message(error, path, line, what):
    message = str(error.value)
    assert message.startswith(f"{path}:{line}: " if line else f"{path}:")
    assert what in message
    assert "\n" not in message


@pytest.mark.parametrize("block", [12, 1 << 20], ids=["small blocks", "one block"])
@pytest.mark.parametrize(("name", "data", "line", "what"), CASES.values(), ids=CASES)
def test_bad_input_is_told_by_file_and_line(name, data, line, what, block, tmp_path, dna, monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK_BYTES", block)
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        Genome.open([path], dna, progress=False)
    check_message(error, path, None if "damaged" in what else line, what)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("name", "data", "line", "what"), CASES.values(), ids=CASES)
def test_bad_input_is_told_by_the_index_too(name, data, line, what, tmp_path):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        Fasta(path)
    message = str(error.value)
    if "plain gzip" not in message:
        check_message(error, path, line, what)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_lines_are_counted_over_blocks(tmp_path, dna, monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK_BYTES", 100)
    path = tmp_path / "x.fa"
    path.write_bytes(b">a\n" + b"ACGT\n" * 500 + b">b\n" + b"ACGTACGT\n" * 300 + b"ACGT.CGT\n")
    with pytest.raises(DataError, match=r"x.fa:803: '\.' in column 5"):
        Genome.open([path], dna, progress=False)


def test_the_line_of_a_cut_gzip_is_the_last_that_could_be_read(tmp_path, dna):
    path = tmp_path / "x.fa.gz"
    whole = gzip.compress(b">a\n" + b"ACGT\n" * 1000, 0)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"x.fa.gz:\d+: the gzip data ends inside a block, after this line; the file"):
        Genome.open([path], dna, progress=False)


def missing(folder):
    return folder / "gone.fa"


def directory_in_its_place(folder):
    (folder / "x.fa").mkdir()
    return folder / "x.fa"


def dangling_link(folder):
    (folder / "x.fa").symlink_to(folder / "gone.fa")
    return folder / "x.fa"


UNREADABLE = [
    (missing, "no such file; check the name"),
    (directory_in_its_place, "a directory without FASTA files; names must end"),
    (dangling_link, "a link to a file that does not exist"),
    (lambda folder: "-", "cannot be read from standard input, because it is read more than once; write it to a file"),
    (lambda folder: folder / "*.fa", "no file has such a name; quote the pattern"),
]


@pytest.mark.parametrize(("make", "what"), UNREADABLE, ids=["missing", "directory", "dangling link", "stdin", "glob"])
def test_a_file_that_cannot_be_read_is_told(make, what, tmp_path, dna):
    path = make(tmp_path)
    with pytest.raises(DataError) as error:
        Genome.open([path], dna, progress=False)
    check_message(error, path, None, what)


@pytest.mark.parametrize(
    ("raised", "what"),
    [
        (PermissionError(13, "Permission denied"), "permission denied"),
        (OSError(5, "Input/output error"), "Input/output"),
    ],
    ids=["permission", "broken disk"],
)
def test_what_the_system_refuses_is_told(raised, what, tmp_path, dna, monkeypatch):
    path = tmp_path / "x.fa"
    path.write_bytes(GOOD)

    def refuse(*arguments):
        raise raised

    monkeypatch.setattr(source_module, "open", refuse, raising=False)
    with pytest.raises(DataError) as error:
        Genome.open([path], dna, progress=False)
    check_message(error, path, None, what)


def test_two_files_with_one_name_are_both_told(tmp_path, dna):
    for name in ("a.fa", "b.fa"):
        (tmp_path / name).write_bytes(GOOD)
    with pytest.raises(DataError, match=r"b.fa: the name 'one' is in .*a.fa too; rename one"):
        Genome.open([tmp_path], dna, progress=False)


def test_an_absent_name_lists_what_is_there(made_genome):
    genome = made_genome(dict.fromkeys(("1", "2", "3", "4", "5"), "ACGT"))
    message = r"made.fa: no sequence 'chrQ'; it has '1', '2', '3' and 2 more; name them with --chrom-map"
    with pytest.raises(DataError, match=message):
        genome.fetch("chrQ", 0, 1)


@pytest.mark.parametrize(
    ("index", "what"),
    [
        (b"one\t23\t5\t10\t11\nthree\t4\t36\t4\t5\n", "says that 'three' is where the FASTA has none"),
        (b"one\t23\t5\t10\t11\ntwo\t4\t3000\t4\t5\n", "says that 'two' is where the FASTA has none"),
        (b"one\t23\t5\t10\t11\ntwo\t2\t38\t4\t5\n", "says that 'two' is where the FASTA has none"),
        (b"", "is empty; it is of another file: delete it"),
        (b"one\t23\n", "the index cannot be read"),
    ],
    ids=["other name", "past the end", "two letters off", "empty", "half a line"],
)
def test_an_index_of_another_file_is_told(index, what, tmp_path):
    path = tmp_path / "x.fa"
    path.write_bytes(GOOD)
    fai = tmp_path / "x.fa.fai"
    fai.write_bytes(index)
    os.utime(fai, (2**32, 2**32))
    with pytest.raises(DataError) as error:
        Fasta(path).fetch("two", 0, 4)
    assert str(error.value).startswith(str(fai))
    assert what in str(error.value)
