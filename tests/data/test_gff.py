"""GFF3 and GTF: rows become features, and bad rows become one line that says where and what."""

import gzip
import logging

import pytest

from genomamba.coordinates import Interval
from genomamba.data import source as source_module
from genomamba.data.genome import Genome
from genomamba.data.gff import read_features
from genomamba.errors import DataError
from tests.data.test_bad_input import as_bgzf

RECORDS = {"chr1": "ACGTN" * 20, "chrM circle": "ACGT" * 5}
ROW = "1\tme\tgene\t11\t20\t.\t-\t.\tID=g1;Name=first"
GFF3 = f"""\
##gff-version 3
# a comment
{ROW}
chr1\tme\tmRNA\t11\t20\t.\t-\t.\tID=t1;Parent=g1,g2 ;Note=one%2C two; three%3B,four;

chr1\tme\tCDS\t12\t14\t0.5\t-\t2\tID=c%31;Parent=t1
###
chr1\tme\tmatch\t1\t1\t.\t?\t.\t.
##FASTA
>chr1
ACGT
"""
GTF = """\
#!genome-build made
chr1\tme\tgene\t11\t20\t.\t+\t.\tgene_id "g1"; transcript_id ""; gene_name "first";
chr1\tme\ttranscript\t11\t20\t.\t+\t.\tgene_id "g1"; transcript_id "t1"; note "a; b=c"; db_xref "x:1"; db_xref "x:2";
chr1\tme\texon\t11\t14\t.\t+\t.\tgene_id "g1"; transcript_id "t1"; exon_number 1;
chr1\tme\tstart_codon\t11\t13\t.\t+\t0\tgene_id "g1"; transcript_id "" # of no transcript
"""


@pytest.fixture
def genome(made_genome):
    return made_genome(RECORDS)


@pytest.fixture
def read(tmp_path, genome):
    """Read text as a file of the given name."""

    def read(text, name="x.gff", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(read_features(path, genome, **options))

    return read


def test_gff3_by_hand(read):
    gene, transcript, coding, match = read(GFF3)
    assert gene.interval == transcript.interval == Interval("chr1", 10, 20)
    assert [(f.type, f.strand, f.phase, f.line) for f in (gene, transcript, coding, match)] == [
        ("gene", "-", None, 3), ("mRNA", "-", None, 4), ("CDS", "-", 2, 6), ("match", "?", None, 8),
    ]  # fmt: skip
    assert coding.interval == Interval("chr1", 11, 14)
    assert match.interval == Interval("chr1", 0, 1)
    assert (gene.id, gene.parents, gene.name, gene.source) == ("g1", (), "first", "me")
    assert transcript.parents == ("g1", "g2")
    assert transcript.attributes()["Note"] == ("one, two; three;", "four")
    assert (coding.id, coding.parents, coding.name) == ("c1", ("t1",), "c1")
    assert (match.attributes(), match.id, match.parents, match.name) == ({}, None, (), None)


def test_gtf_by_hand(read):
    gene, transcript, exon, start = read(GTF, "x.gtf")
    assert (gene.id, gene.parents, gene.name) == ("g1", (), "first")
    assert (transcript.id, transcript.parents) == ("t1", ("g1",))
    assert transcript.attributes()["note"] == ("a; b=c",)
    assert transcript.attributes()["db_xref"] == ("x:1", "x:2")
    assert (exon.id, exon.parents, exon.attributes()["exon_number"]) == (None, ("t1",), ("1",))
    assert (start.interval, start.phase, start.parents) == (Interval("chr1", 10, 13), 0, ("g1",))


def test_the_name_of_a_file_does_not_count(read):
    assert [f.parents for f in read(GTF, "x.gff3")] == [f.parents for f in read(GTF, "x.gtf")]
    # Neither does a missing version.
    assert read(ROW)[0].id == "g1"


@pytest.mark.parametrize("block", [7, 1 << 20], ids=["small blocks", "one block"])
@pytest.mark.parametrize(
    "packed",
    [GFF3.encode(), gzip.compress(GFF3.encode()), as_bgzf(GFF3.encode())[0], GFF3.replace("\n", "\r\n").encode(),
     b"\xef\xbb\xbf" + GFF3.encode()],
    ids=["plain", "gzip", "bgzf", "CRLF", "byte-order mark"],
)  # fmt: skip
def test_however_the_bytes_come(packed, block, read, monkeypatch):
    plain = read(GFF3)
    monkeypatch.setattr(source_module, "BLOCK_BYTES", block)
    assert [(f.interval, f.type, f.attributes(), f.line) for f in read(packed)] == [
        (f.interval, f.type, f.attributes(), f.line) for f in plain
    ]


def test_types_and_a_stretch_choose(read):
    assert [f.type for f in read(GFF3, types={"CDS", "gene"})] == ["gene", "CDS"]
    # Bases 11 to 20, 12 to 14 and 1: the one behind the first base, and the one before the tenth, touch none of them.
    assert [f.type for f in read(GFF3, within=Interval("chr1", 0, 10))] == ["match"]
    assert [f.type for f in read(GFF3, within=Interval("chr1", 1, 11))] == ["gene", "mRNA"]
    assert [f.type for f in read(GFF3, within=Interval("chr1", 14, 15))] == ["gene", "mRNA"]
    assert read(GFF3, within=Interval("chrM", 0, 20)) == []


def test_rows_of_contigs_that_are_not_there_are_left_out_and_counted(read, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    text = GFF3.replace("###\n", "".join(f"{n}\tme\tgene\t1\t9999\t.\t+\t.\tID=x\n" for n in ("2", "3", "4", "5", "2")))
    assert [f.type for f in read(text)] == ["gene", "mRNA", "CDS", "match"]
    assert "x.gff: 5 of 9 features left out, on '2', '3', '4' and 1 more" in caplog.text
    assert "x.gff: contigs are named as in the FASTA: '1' as 'chr1'\n" in caplog.text
    caplog.clear()
    read(text, within=Interval("chr1", 0, 10))
    assert caplog.text == ""


def test_a_feature_over_the_end_of_a_circle_is_cut(read):
    region = "chrM\tme\tregion\t1\t20\t.\t+\t.\tID=m;Is_circular=true\n"
    row = "chrM\tme\tgene\t18\t23\t.\t+\t.\tID=g\n"
    assert read(region + row)[1].interval == Interval("chrM", 17, 20)
    with pytest.raises(DataError, match=r"x.gff:1: ends at 23, but chrM has 20 bases"):
        read(row)


def row(column, text):
    columns = ROW.split("\t")
    columns[column] = text
    return "\t".join(columns) + "\n"


CASES = {
    "empty": ("", ": no feature in it; a row of GFF3 or GTF has 9 columns"),
    "comments alone": ("##gff-version 3\n\n###\n", ": no feature in it"),
    "FASTA": (">chr1\nACGT\n", ":1: 1 column, expected 9"),
    "binary": (bytes(range(256)), ":1: "),
    "eight columns": (ROW.rpartition("\t")[0], ":1: 8 columns, expected 9 as GFF3 and GTF have, divided by tabs"),
    "ten columns": (f"{ROW}\n{ROW}\tx\n", ":2: 10 columns, expected 9"),
    "spaces": (ROW.replace("\t", " "), ":1: columns divided by spaces, expected 9"),
    "BED": ("chr1\t10\t20\n", ":1: 3 columns, expected 9"),
    "start is text": (row(3, "x"), ":1: 'x' to '20', expected two positions such as 1001 and 2000"),
    "end is empty": (row(4, ""), ":1: '11' to '', expected two positions"),
    "negative": (row(3, "-3"), ":1: '-3' to '20', expected two positions"),
    "with a point": (row(4, "20.0"), ":1: '11' to '20.0', expected two positions"),
    "digits of another script": (row(4, "٢٠"), ":1: '11' to '٢٠', expected two positions"),
    "a number of many digits": (row(4, "9" * 5000), ":1: '11' to '9999"),
    "start of 0": (row(3, "0"), ":1: starts at 0; positions of GFF3 and GTF begin with 1"),
    "start behind the end": (
        row(3, "21"),
        ":1: starts at 21 and ends at 20; the lower one comes first on both strands",
    ),
    "past the contig's end": (row(4, "101"), ":1: ends at 101, but chr1 has 100 bases in the FASTA; is this the right"),
    "1e13": (row(4, "10000000000000"), ":1: ends at 10,000,000,000,000, but chr1 has 100 bases"),
    "strand": (row(6, "*"), ":1: strand '*', expected one of + - . ?"),
    "phase": (row(7, "3"), ":1: phase '3', expected 0, 1, 2 or ."),
    "attributes of no kind": (row(8, "g1"), ":1: attributes 'g1', expected key=value; as in GFF3"),
    "no contig of the FASTA": (row(0, "chr7"), ": its features lie on 'chr7', which the FASTA does not have"),
    "fault behind good rows": (f"{GFF3.partition('##FASTA')[0]}chr1\n", ":9: 1 column, expected 9"),
    "gzip cut": (gzip.compress((ROW + "\n").encode() * 999)[:-30], "the gzip data ends inside a block"),
    "BGZF cut": (as_bgzf(GFF3.encode())[0][:-28], "BGZF without its closing block"),
    "no newline for long": (b"A" * (1 << 24) + b"A", ":1: a line of more than 16 MiB; is this GFF3 or GTF?"),
}


@pytest.mark.parametrize(("text", "what"), CASES.values(), ids=CASES)
def test_bad_input_is_told_by_file_and_line(text, what, read, tmp_path):
    with pytest.raises(DataError) as error:
        read(text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'x.gff'}:")
    assert what in message
    assert "\n" not in message


def test_bad_attributes_are_told_when_they_are_asked_for(read):
    two = read(f"{ROW}\n" + row(8, "what;ID=x"))
    assert two[0].id == "g1"
    with pytest.raises(DataError, match=r"x.gff:2: attributes 'what' where key=value; is expected"):
        two[1].attributes()
    (odd,) = read(row(8, 'gene_id "g1"; "t1"'))
    with pytest.raises(DataError, match=r"""x.gff:1: attributes '"t1"' where key "value"; is expected"""):
        odd.attributes()


def test_a_missing_file_is_told(tmp_path, genome):
    with pytest.raises(DataError, match=r"gone.gff: no such file"):
        list(read_features(tmp_path / "gone.gff", genome))


@pytest.fixture
def yeast_one(data_dir, dna):
    path = data_dir / "yeast" / "ScerR64_I_GCF_000146045.2_R64_genomic.fna.gz"
    return Genome.open([path], dna, progress=False)


def test_real_gff3_and_gtf_say_the_same(data_dir, yeast_one):
    """Both were made from one annotation; in GTF the stop codon is not part of the CDS."""
    coding = {}
    for name in ("ScerR64_I.gff.gz", "ScerR64_I.gtf.gz"):
        features = list(read_features(data_dir / "yeast" / name, yeast_one, types={"CDS", "stop_codon"}))
        stretches = {}
        for one in features:
            start, end = stretches.get(one.parents, (one.interval.start, one.interval.end))
            stretches[one.parents] = min(start, one.interval.start), max(end, one.interval.end)
        coding[name] = sorted(stretches.values())
    gff3, gtf = coding.values()
    assert gff3 == gtf
    assert len(gff3) > 90


def test_real_start_codons_are_atg(data_dir, yeast_one):
    path = data_dir / "yeast" / "ScerR64_I.gtf.gz"
    alphabet, found = yeast_one.alphabet, []
    for one in read_features(path, yeast_one, types={"start_codon"}):
        symbols = yeast_one.fetch(one.interval.contig, one.interval.start, one.interval.end)
        found.append((one.strand, alphabet.decode(alphabet.token_of_symbol[symbols]).upper()))
    assert set(found) == {("+", b"ATG"), ("-", b"CAT")}
    assert len(found) > 90


def test_ensembl_names_are_found_in_an_ncbi_genome(data_dir, dna, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    genome = Genome.open([data_dir / "yeast" / "S288C_R64-2-1.fsa.gz"], dna, progress=False)
    path = data_dir / "yeast" / "Saccharomyces_cerevisiae.R64-1-1.99.gff3.gz"
    genes = list(read_features(path, genome, types={"gene"}))
    assert len(genes) == 6_572
    assert {one.interval.contig for one in genes} == {c.name for c in genome.contigs} - {"ref|NC_001224|"}
    assert "features left out, on 'Mito'" in caplog.text
    assert "contigs are named as in the FASTA: 'I' as 'ref|NC_001133|' and 15 more" in caplog.text
    assert "is read as" not in caplog.text
