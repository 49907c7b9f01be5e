"""Genes as they are drawn, from small files whose picture is known."""

import pytest

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.report.genes import GeneModel, introns, lanes_of, read_genes


def row(kind, start, end, strand, phase, attributes):
    return f"one\tme\t{kind}\t{start}\t{end}\t.\t{strand}\t{phase}\t{attributes}\n"


def transcript(name, strand, exons, coding=(), gene="g"):
    """Rows of a transcript; coding parts come with their phases."""
    first, last = exons[0][0], exons[-1][1]
    rows = [row("mRNA", first, last, strand, ".", f"ID={name};Parent={gene}")]
    rows += [row("exon", start, end, strand, ".", f"Parent={name}") for start, end in exons]
    rows += [row("CDS", start, end, strand, phase, f"ID=c;Parent={name}") for start, end, phase in coding]
    return "".join(rows)


@pytest.fixture
def genes(tmp_path):
    """Read the genes of a stretch of 200 bases."""
    (tmp_path / "made.fa").write_text(">one\n" + "ACGTA" * 40 + "\n>two\nACGT\n")
    genome = Genome.open([tmp_path / "made.fa"], get_alphabet("dna"), cache_dir=tmp_path, progress=False)

    def read(text, start=0, end=200):
        (tmp_path / "x.gff").write_text(text)
        return read_genes(tmp_path / "x.gff", genome, Interval("one", start, end))

    return read


GENE = row("gene", 11, 100, "+", ".", "ID=g;Name=abc")
PLUS = GENE + transcript("t", "+", [(11, 30), (51, 60), (81, 100)], [(29, 30, 0), (51, 60, 1), (81, 90, 0)])
MINUS = PLUS.replace("\t+\t", "\t-\t")


def test_exons_coding_parts_and_a_codon_that_an_intron_divides(genes):
    (gene,) = genes(PLUS)
    assert gene == GeneModel(
        "abc", "+", 10, 100, exons=((10, 30), (50, 60), (80, 100)), coding=((28, 30), (50, 60), (80, 90)),
        starts=((28, 30), (50, 51)),
    )  # fmt: skip
    assert introns(gene) == [(30, 50), (60, 80)]


def test_the_minus_strand_begins_at_its_right_end(genes):
    (gene,) = genes(MINUS)
    assert gene.strand == "-"
    assert gene.starts == ((87, 90),)


def test_what_lies_outside_is_cut_and_no_codon_is_made_of_it(genes):
    (gene,) = genes(PLUS, 55, 85)
    assert gene == GeneModel("abc", "+", 55, 85, ((55, 60), (80, 85)), ((55, 60), (80, 85)), ())
    assert introns(gene) == [(60, 80)]
    # Within an intron, and beside the gene.
    (within,) = genes(PLUS, 35, 45)
    assert (within.exons, introns(within)) == ((), [(35, 45)])
    assert genes(PLUS, 100, 200) == genes(PLUS, 0, 10) == []


def test_a_start_that_the_file_names_comes_first_and_one_without_phase_is_none(genes):
    named = PLUS + row("start_codon", 52, 54, "+", 0, "Parent=t")
    assert genes(named)[0].starts == ((51, 54),)
    assert genes(PLUS.replace("\t29\t30\t.\t+\t0\t", "\t29\t30\t.\t+\t1\t"))[0].starts == ()


def test_transcripts_that_look_alike_are_one(genes):
    other = transcript("u", "+", [(11, 30), (41, 60)]), transcript("v", "+", [(11, 30), (41, 60)])
    assert [gene.name for gene in genes(PLUS + "".join(other))] == ["abc t", "abc, 2 transcripts"]
    # At their left ends all three are the same.
    assert [gene.name for gene in genes(GENE + "".join(other) + transcript("w", "+", [(11, 30), (51, 60)]), 0, 30)] == [
        "abc, 3 transcripts"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (row("gene", 5, 9, "-", ".", "ID=g;Name=abc"), GeneModel("abc", "-", 4, 9, ((4, 9),), (), ())),
        (GENE + row("CDS", 11, 40, "+", 0, "ID=c;Parent=g"),
         GeneModel("abc", "+", 10, 100, ((10, 40),), ((10, 40),), ((10, 13),))),
        (row("CDS", 5, 10, "+", 0, "ID=c;Name=orf"), GeneModel("orf", "+", 4, 10, ((4, 10),), ((4, 10),), ((4, 7),))),
        (row("exon", 5, 9, "?", ".", "."), GeneModel("line 1", "?", 4, 9, ((4, 9),), (), ())),
    ],
    ids=["gene alone", "CDS of a gene", "CDS alone", "exon without a name"],
)  # fmt: skip
def test_files_that_leave_rows_out(genes, text, expected):
    assert genes(text) == [expected]


def test_what_is_no_gene_is_not_drawn(genes):
    assert genes(row("region", 1, 200, "+", ".", "ID=r") + row("match", 5, 9, "+", ".", "ID=m")) == []


def test_gtf_says_the_same(genes):
    attributes = 'gene_id "g"; gene_name "abc"; transcript_id "t";'
    parts = [("exon", 11, 30), ("exon", 51, 60), ("exon", 81, 100), ("CDS", 29, 30), ("CDS", 51, 60), ("CDS", 81, 87)]
    phases = dict(zip([29, 51, 81], [0, 1, 0], strict=True))
    text = "".join(row(kind, a, b, "+", phases[a] if kind == "CDS" else ".", attributes) for kind, a, b in parts)
    text += row("stop_codon", 88, 90, "+", 0, attributes)
    (gene,) = genes(text)
    (same,) = genes(PLUS)
    assert gene == same


def test_spans_that_overlap_have_lanes_of_their_own():
    assert lanes_of([]) == []
    assert lanes_of([(0, 10), (5, 8), (8, 9), (10, 12), (11, 12)]) == [0, 1, 1, 0, 1]
