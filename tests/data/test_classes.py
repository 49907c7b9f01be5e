"""Classes of bases by BED, GFF3 and GTF, beside painting base by base and cases worked by hand."""

import gzip
import pickle

import numpy as np
import pytest

from genomamba.coordinates import Interval
from genomamba.data.classes import RegionClasses, read_classes
from genomamba.errors import DataError


def spelled(classes, contig, length):
    """The class of every base, by the first letter of its name."""
    return "".join(classes.names[i][0] for i in classes.of(Interval(contig, 0, length)))


def test_a_bed_by_hand(made_genome, tmp_path):
    genome, path = made_genome({"one": "A" * 20, "two": "A" * 5}), tmp_path / "classes.bed"
    path.write_text("#c\ts\te\tclass\none\t8\t14\trepeat\none\t2\t10\texon\t0\t+\none\t13\t15\texon\nthree\t0\t9\tx\n")
    classes = read_classes(path, genome)
    # Repeat comes first in the file, so that it has the bases that both name; a contig that is not there is left out.
    assert classes.names == ("repeat", "exon", "other")
    assert spelled(classes, "one", 20) == "ooeeeeeerrrrrreooooo"
    assert spelled(classes, "two", 5) == "ooooo"
    assert classes.count([Interval("one", 0, 9), Interval("two", 1, 3)]) == {"repeat": 1, "exon": 6, "other": 4}


def test_other_may_be_named(made_genome, tmp_path):
    genome, path = made_genome({"one": "A" * 6}), tmp_path / "classes.bed"
    path.write_text("one\t0\t4\tother\none\t2\t5\texon\n")
    classes = read_classes(path, genome)
    assert classes.names == ("exon", "other")
    assert spelled(classes, "one", 6) == "ooeeeo"


GFF3 = """##gff-version 3
one\tx\tgene\t2\t20\t.\t+\t.\tID=g
one\tx\tmRNA\t3\t20\t.\t+\t.\tID=t;Parent=g
one\tx\texon\t3\t8\t.\t+\t.\tParent=t
one\tx\texon\t13\t16\t.\t+\t.\tID=e;Parent=t,u
one\tx\tCDS\t5\t8\t.\t+\t0\tParent=t
one\tx\tCDS\t13\t14\t.\t+\t1\tParent=t
one\tx\tregion\t1\t25\t.\t.\t.\tID=r
"""
GTF = """one\tx\ttranscript\t2\t20\t.\t+\t.\tgene_id "g"; transcript_id "t";
one\tx\tCDS\t3\t8\t.\t+\t0\tgene_id "g"; transcript_id "t";
one\tx\tCDS\t13\t16\t.\t+\t0\tgene_id "g"; transcript_id "t";
"""
ENDS = """##gff-version 3
one\tx\tmRNA\t2\t22\t.\t+\t.\tID=t
one\tx\tfive_prime_UTR\t2\t4\t.\t+\t.\tParent=t
one\tx\tfive_prime_UTR\t8\t9\t.\t+\t.\tParent=t
one\tx\tCDS\t10\t12\t.\t+\t0\tParent=t
one\tx\tCDS\t15\t17\t.\t+\t0\tParent=t
one\tx\tthree_prime_UTR\t18\t22\t.\t+\t.\tParent=t
"""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        # Bases 1-25 of the file. Exon 3-8 and 13-16, coding 5-8 and 13-14, the gene 2-20.
        ("a.gff3", GFF3, "ngeeCCCCiiiiCCeeggggnnnnn"),
        # No exon is listed: what lies between the coding parts is the intron.
        ("a.gtf", GTF, "ngCCCCCCiiiiCCCCggggnnnnn"),
        # Untranslated ends in place of exons, one of them cut by an intron.
        ("ends.gff3", ENDS, "neeeiiieeCCCiiCCCeeeeennn"),
    ],
    ids=["gff3", "gtf", "ends"],
)
def test_an_annotation_by_hand(name, text, expected, made_genome, tmp_path):
    genome = made_genome({"one": "A" * 25})
    for packed in (False, True):
        path = tmp_path / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        classes = read_classes(path, genome)
        letters = {"intergenic": "n", "CDS": "C", "exon": "e", "intron": "i", "genic": "g"}
        assert "".join(letters[classes.names[i]] for i in classes.of(Interval("one", 0, 25))) == expected


@pytest.mark.parametrize("seed", range(5))
def test_any_stretch_is_cut_out_of_the_painted_contig(seed, made_genome, tmp_path):
    generator, path = np.random.default_rng(seed), tmp_path / "classes.bed"
    painted, lines = np.full(300, 3), []
    for _ in range(40):
        start, name = int(generator.integers(0, 295)), int(generator.integers(3))
        end = int(min(300, start + generator.integers(1, 12)))
        lines.append((name, start, end))
    # In the file's order of first lines, which is made that of the numbers.
    lines.sort()
    for name, start, end in reversed(lines):
        painted[start:end] = name
    path.write_text("".join(f"one\t{start}\t{end}\tc{name}\n" for name, start, end in lines))
    classes = pickle.loads(pickle.dumps(read_classes(path, made_genome({"one": "A" * 300}))))
    for start, end in ((0, 300), (0, 1), (299, 300), *np.sort(generator.integers(0, 301, (20, 2)), axis=1)):
        found = classes.of(Interval("one", int(start), int(end)))
        np.testing.assert_array_equal(found, painted[start:end])
        assert sum(classes.count([Interval("one", int(start), int(end))]).values()) == end - start


def test_genomes_are_joined_by_the_names_of_their_classes(made_genome, tmp_path):
    first, second = tmp_path / "a.bed", tmp_path / "b.bed"
    first.write_text("one\t0\t4\texon\n")
    second.write_text("one\t2\t4\trepeat\none\t4\t6\texon\n")
    genome = made_genome({"one": "A" * 6})
    joined = RegionClasses.join({"x": read_classes(first, genome), "y": read_classes(second, genome)})
    assert joined.names == ("exon", "other", "repeat")
    assert spelled(joined, "x/one", 6) == "eeeeoo"
    assert spelled(joined, "y/one", 6) == "oorree"
    assert joined.of(Interval("z/one", 0, 6)) is None
    assert joined.count([Interval("z/one", 0, 6), Interval("y/one", 3, 5)]) == {"exon": 1, "repeat": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\t0\t4\n", r"classes\.bed:1: no fourth column"),
        ("one\t0\t4\t.\n", r"classes\.bed:1: no fourth column"),
        ("one\t0\t9\texon\n", r"classes\.bed:1: \[0, 9\)"),
        ("two\t0\t9\texon\n", "lie on 'two', which the FASTA does not have"),
        ("".join(f"one\t0\t1\tc{i}\n" for i in range(300)), "300 classes"),
    ],
    ids=["three columns", "dot", "past the end", "other contigs", "too many"],
)
def test_bad_files_are_refused_with_the_line(text, message, made_genome, tmp_path):
    path = tmp_path / "classes.bed"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_classes(path, made_genome({"one": "A" * 6}))
