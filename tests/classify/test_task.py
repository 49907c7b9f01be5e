"""Tasks made from annotations: places by hand on both strands, and laws that the background keeps."""

import csv
import gzip
import itertools
import re

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.classify.negatives import Windows, choose, free_tiles, overlaps, places_of_motif
from genomamba.classify.sites import Site, read_annotation
from genomamba.cli.main import main
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.errors import DataError

DNA = get_alphabet("dna")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def gff(*rows):
    lines = ["##gff-version 3"]
    for contig, kind, first, last, strand, phase, text in rows:
        lines.append("\t".join(map(str, (contig, "x", kind, first, last, ".", strand, phase, text))))
    return "\n".join(lines) + "\n"


def transcript(name, contig, strand, exons, coding, kind="mRNA"):
    """Rows of one transcript, 1-based, exons in the order of the contig."""
    rows = [(contig, kind, exons[0][0], exons[-1][1], strand, ".", f"ID={name}")]
    rows += [(contig, "exon", *exon, strand, ".", f"Parent={name}") for exon in exons]
    return [*rows, *((contig, "CDS", first, last, strand, phase, f"Parent={name}") for first, last, phase in coding)]


# On +: exons 11-20, 51-60, 63-70 (the last gap of two bases is no intron), coding 14-20, 51-60, 63-65.
# On -: exons 101-110, 141-150, coding 106-110, 141-147: it starts at 147 and stops at 106.
GENES = gff(
    *transcript("p", "one", "+", [(11, 20), (51, 60), (63, 70)], [(14, 20, 0), (51, 60, 2), (63, 65, 0)]),
    *transcript("m", "one", "-", [(101, 110), (141, 150)], [(106, 110, 1), (141, 147, 0)]),
    *transcript("t", "one", "+", [(161, 165), (191, 195)], [], kind="tRNA"),
    # The first codon is divided, and the other one begins inside of a codon.
    *transcript("split", "two", "+", [(1, 2), (31, 40)], [(1, 2, 0), (31, 40, 1)]),
    *transcript("part", "two", "-", [(61, 80)], [(61, 80, 2)]),
    ("two", "blob", 90, 99, "-", ".", "ID=b"),
)  # fmt: skip


@pytest.fixture
def genome(tmp_path):
    generator = np.random.default_rng(0)
    with (tmp_path / "g.fa").open("w") as file:
        for name, length in (("one", 200), ("two", 100)):
            file.write(f">{name}\n{''.join(generator.choice(list('ACGT'), length))}\n")
    (tmp_path / "g.gff").write_text(GENES)
    return Genome.open([tmp_path / "g.fa"], DNA, progress=False)


PLACES = {
    # The first base of an intron along its strand, and its last one, 0-based.
    "splice_donor": [("one", 20, "+"), ("one", 139, "-"), ("two", 2, "+")],
    "splice_acceptor": [("one", 49, "+"), ("one", 110, "-"), ("two", 29, "+")],
    "start_codon": [("one", 13, "+"), ("one", 146, "-")],
    "stop_codon": [("one", 62, "+"), ("one", 107, "-"), ("two", 37, "+"), ("two", 62, "-")],
    "tss": [("one", 10, "+"), ("one", 149, "-"), ("one", 160, "+"), ("two", 0, "+"), ("two", 79, "-")],
    "blob": [("two", 93, "-")],
}


@pytest.mark.parametrize("feature", PLACES)
def test_places_by_hand(genome, tmp_path, feature):
    found = read_annotation(tmp_path / "g.gff", genome, feature)
    assert found.sites == sorted(Site(*place) for place in PLACES[feature])
    assert found.stretches == []


def test_coding_bases_by_hand(genome, tmp_path):
    found = read_annotation(tmp_path / "g.gff", genome, "CDS")
    assert sorted(found.stretches) == [
        (Interval("one", 13, 20), "+"), (Interval("one", 50, 60), "+"), (Interval("one", 62, 65), "+"),
        (Interval("one", 105, 110), "-"), (Interval("one", 140, 147), "-"), (Interval("two", 0, 2), "+"),
        (Interval("two", 30, 40), "+"), (Interval("two", 60, 80), "-"),
    ]  # fmt: skip
    assert found.taken[0] == Interval("one", 10, 70)


def test_codons_that_the_file_names_are_taken(genome, tmp_path):
    (tmp_path / "g.gff").write_text(
        gff(("one", "stop_codon", 66, 68, "+", 0, "Parent=p"), ("one", "stop_codon", 103, 105, "-", 0, "Parent=m"))
    )
    found = read_annotation(tmp_path / "g.gff", genome, "stop_codon")
    assert found.sites == [Site("one", 65, "+"), Site("one", 104, "-")]


def test_gtf_gives_what_gff_gives(genome, tmp_path):
    lines = []
    for line in GENES.splitlines()[1:]:
        *columns, text = line.split("\t")
        name = text.split("=")[1]
        columns[2] = {"mRNA": "transcript", "tRNA": "transcript"}.get(columns[2], columns[2])
        kind = ' transcript_biotype "tRNA";' if name == "t" else ""
        lines.append("\t".join([*columns, f'gene_id "g"; transcript_id "{name}";{kind}']))
    (tmp_path / "g.gtf").write_text("\n".join(lines) + "\n")
    for feature in ("splice_donor", "splice_acceptor", "start_codon", "stop_codon", "tss"):
        one, other = (read_annotation(tmp_path / name, genome, feature) for name in ("g.gff", "g.gtf"))
        assert one.sites == other.sites


def test_a_feature_that_is_not_there_is_told(genome, tmp_path):
    with pytest.raises(DataError, match=r"g\.gff: no centromere in it; it has CDS, blob, exon, mRNA, splice_acceptor"):
        read_annotation(tmp_path / "g.gff", genome, "centromere")


@pytest.mark.parametrize(("name", "nearest"), [("donor", "splice_donor"), ("exons", "exon"), ("cds", "CDS")])
def test_a_feature_of_a_near_name_is_asked_for(genome, tmp_path, name, nearest):
    with pytest.raises(DataError, match=rf"g\.gff: no {name} in it; did you mean {nearest}\?"):
        read_annotation(tmp_path / "g.gff", genome, name)


def test_a_feature_of_the_right_name_is_asked_for_no_other(genome, tmp_path):
    (tmp_path / "whole.gff").write_text(gff(*transcript("p", "one", "+", [(11, 20)], [(11, 20, 0)])))
    with pytest.raises(DataError, match="no splice_donor in it; it has CDS, exon, mRNA, splice_acceptor"):
        read_annotation(tmp_path / "whole.gff", genome, "splice_donor")


def test_a_base_lies_in_the_middle_of_its_window_on_either_strand():
    text = "ACGTTGCAACGGTTAC"
    for length in (4, 5):
        for position in range(5, 11):
            for is_reverse in (False, True):
                (start,) = Windows.around(np.array([position]), np.array([is_reverse]), length).starts.tolist()
                window = text[start : start + length]
                read = window[::-1].translate(COMPLEMENT) if is_reverse else window
                expected = text[position].translate(COMPLEMENT) if is_reverse else text[position]
                assert read[length // 2] == expected


def test_motifs_by_hand():
    #        0123456789
    text = "AAGTCCACTT"
    given, other = places_of_motif(DNA.symbols(text), DNA, "GT", 0)
    assert given.tolist() == [2]
    # The other strand reads AAGTGGACTT: its GT begins at 2 there, which is 7 here.
    assert other.tolist() == [7]
    given, other = places_of_motif(DNA.symbols(text), DNA, "AG", -1)
    assert (given.tolist(), other.tolist()) == ([2], [7])


def test_overlaps_and_gaps_by_hand():
    taken = [Interval("x", 10, 20), Interval("x", 30, 35)]
    windows = Windows(np.array([0, 5, 6, 19, 20, 26, 34, 35]), np.zeros(8, np.bool_))
    assert overlaps(windows, 5, taken).tolist() == [False, False, True, True, False, True, True, False]
    tiles = free_tiles(100, taken, np.random.default_rng(0), 4)
    assert len(tiles) == 2 + 2 + 16
    assert not overlaps(tiles, 4, taken).any()
    assert (np.diff(np.sort(tiles.starts)) >= 4).all()


def test_background_is_drawn_with_the_share_of_g_and_c():
    generator = np.random.default_rng(0)
    candidates = Windows(np.arange(5_000), np.zeros(5_000, np.bool_))
    shares, wanted = generator.random(5_000), generator.beta(8, 3, 400)
    drawn = choose(candidates, 400, generator, (wanted, shares))
    assert np.unique(drawn.starts).size == 400
    assert abs(np.sort(shares[drawn.starts]) - np.sort(wanted)).max() < 0.05
    plain = choose(candidates, 400, generator)
    assert abs(shares[plain.starts].mean() - 0.5) < 0.05


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """A genome with 60 genes of one intron a contig, on both strands, whose introns have GT and AG; and the command."""
    generator = np.random.default_rng(1)
    rows = []
    with (tmp_path / "made.fa").open("w") as file:
        for contig in ("c1", "c2", "c3", "c4"):
            letters = generator.choice(list("ACGT"), 40_000)
            for number in range(60):
                start = 600 * number + 200
                strand = "+-"[number % 2]
                gene = list("ATG" + "".join(generator.choice(list("ACGT"), 57)) + "GT" + "A" * 56 + "AG")
                gene += list("".join(generator.choice(list("ACGT"), 57)) + "TAA")
                if strand == "-":
                    gene = list("".join(gene)[::-1].translate(COMPLEMENT))
                letters[start : start + 180] = gene
                exons = [(start + 1, start + 60), (start + 121, start + 180)]
                rows += transcript(f"{contig}.{number}", contig, strand, exons, [(*exon, 0) for exon in exons])
            file.write(f">{contig}\n{''.join(letters)}\n")
    (tmp_path / "made.gff3.gz").write_bytes(gzip.compress(gff(*rows).encode()))
    monkeypatch.chdir(tmp_path)

    def run(feature, *options, code=0, out="task.tsv"):
        given = ["make-task", "--fasta", "made.fa", "--gff", "made.gff3.gz", "--feature", feature, "--out", out]
        assert main([*given, "--force", *options]) == code
        if code:
            return capsys.readouterr().err
        with open(out) as file:
            return list(csv.DictReader(file, delimiter="\t"))

    run.shown, run.folder = capsys.readouterr, tmp_path
    return run


def fasta(folder):
    _, *records = (folder / "made.fa").read_text().split(">")
    return {record.split("\n")[0]: record.split("\n")[1] for record in records}


MARKS = {
    "splice_donor": (50, "GT"),
    "splice_acceptor": (49, "AG"),
    "start_codon": (50, "ATG"),
    "stop_codon": (50, "TAA"),
}


@pytest.mark.parametrize("feature", MARKS)
def test_background_has_the_letters_of_the_site_and_is_none(made, feature):
    rows = made(feature, "--length", "100", "--test", "c4", "--valid", "c3")
    text = fasta(made.folder)
    at, motif = MARKS[feature]
    by_label = {label: [row for row in rows if row["label"] == label] for label in (feature, "background")}
    assert [len(by_label[label]) for label in (feature, "background")] == [240, 240]
    for row in rows:
        start, end = int(row["start"]), int(row["end"])
        window = text[row["contig"]][start:end]
        expected = window if row["strand"] == "+" else window[::-1].translate(COMPLEMENT)
        assert row["sequence"] == expected
        assert row["sequence"][at : at + len(motif)] == motif
        assert row["split"] == {"c3": "valid", "c4": "test"}.get(row["contig"], "train")
    for contig in ("c1", "c2", "c3", "c4"):
        spans = [(int(row["start"]), int(row["end"])) for row in by_label[feature] if row["contig"] == contig]
        others = [(int(row["start"]), int(row["end"])) for row in by_label["background"] if row["contig"] == contig]
        assert len(spans) == len(others) == 60
        assert not any(a < d and c < b for a, b in spans for c, d in others)
    assert {row["strand"] for row in by_label["background"]} == {"+", "-"}
    assert (
        made.shown()
        .out.splitlines()[-1]
        .startswith(f"task.tsv: train: 120 {feature}, 120 background; valid: 60 {feature}, 60 background; test: 60")
    )


def test_coding_windows_lie_inside_and_background_outside_of_genes(made):
    rows = made("CDS", "--length", "25", "--negatives", "2")
    coding = [row for row in rows if row["label"] == "CDS"]
    assert len(coding) == 4 * 60 * 4
    assert len(rows) == 3 * len(coding)
    for row in rows:
        within = [(int(row[end]) - 200) % 600 for end in ("start", "end")]
        inside_gene = int(row["start"]) < 36_000 and within[0] < 180
        if row["label"] == "CDS":
            assert within[1] <= 60 or within[0] >= 120
            assert inside_gene
        elif int(row["end"]) < 36_000:
            assert not inside_gene
            assert within[1] > 180 or within[1] < within[0] or int(row["end"]) <= 200
    starts = sorted((row["contig"], int(row["start"])) for row in rows if row["label"] == "background")
    assert all(one[0] != two[0] or two[1] - one[1] >= 25 for one, two in itertools.pairwise(starts))


def test_draws_follow_the_seed_and_a_limit(made):
    one = made("tss", "--limit", "30")
    assert sum(row["label"] == "tss" for row in one) == 30
    assert len(one) == 60
    assert "split" not in one[0]
    assert made("tss", "--limit", "30") == one
    assert made("tss", "--limit", "30", "--seed", "1") != one


def test_where_background_is_short_so_is_the_feature(made):
    rows = made("CDS", "--length", "55", "--negatives", "40")
    counts = {label: sum(row["label"] == label for row in rows) for label in ("CDS", "background")}
    assert 40 < counts["CDS"] < 240
    assert counts["background"] == pytest.approx(40 * counts["CDS"], rel=0.03)
    assert f"{240 * 2 - counts['CDS']:,} of 480 windows on a CDS are left out" in made.shown().out


def test_gzip_is_written_and_read_back(made):
    given = ["--fasta", "made.fa", "--gff", "made.gff3.gz", "--feature", "tss", "--out", "t.tsv.gz"]
    assert main(["make-task", *given]) == 0
    from genomamba.classify.tables import read_table

    data = read_table(made.folder / "t.tsv.gz", DNA)
    assert len(data) == 480
    assert data.labels.classes == ("background", "tss")
    assert data.contigs.names == ("c1", "c2", "c3", "c4")


def test_leaks_of_a_task_are_dropped_from_train(made):
    text = fasta(made.folder)
    (made.folder / "made.fa").write_text("".join(f">{name}\n{text['c1' if name == 'c4' else name]}\n" for name in text))
    made("splice_donor", "--test", "c4", "--length", "100")
    # The 60 sites, and what background was drawn on both by chance.
    assert re.search("of 120 sequences of test, 6[0-9] are in train too", made.shown().out)
    rows = made("splice_donor", "--test", "c4", "--length", "100", "--drop-leaks", "--leaks", "leaks.tsv")
    assert (made.folder / "leaks.tsv").read_text().startswith("split\tplace\tname\tother_split")
    assert re.search("[67][0-9] sequences are left out of train and valid", made.shown().out)
    counts = {(row["contig"], row["label"]) for row in rows}
    assert ("c1", "splice_donor") not in counts
    assert {("c1", "background"), ("c4", "splice_donor")} <= counts


REFUSALS = {
    "feature": (("nothing",), (), "no nothing in it; it has CDS, exon, mRNA, splice_acceptor"),
    "length": (("tss",), ("--length", "90000"), "no window of 90000 bases on a tss lies within a contig"),
    "contig": (("tss",), ("--test", "c9"), "no sequence 'c9'"),
    "twice": (("tss",), ("--test", "c1", "--valid", "c*"), "--valid and --test both name c1"),
    "parts": (("tss",), ("--drop-leaks",), "--drop-leaks is of leaks between parts"),
    "all": (("tss",), ("--test", "c*"), "leave one to train on"),
    "name": (("tss",), ("--out", "x.csv"), "--out is x.csv; its name must end with .tsv, .tsv.gz"),
}


@pytest.mark.parametrize(("feature", "options", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_made_is_told_in_one_line(made, feature, options, message):
    given = ["make-task", "--fasta", "made.fa", "--gff", "made.gff3.gz", "--feature", *feature, "--out", "no.tsv"]
    assert main([*given, *options]) in (1, 2)
    shown = made.shown().err
    assert message in shown
    assert "Traceback" not in shown
    assert not (made.folder / "no.tsv").exists()


YEAST = ("yeast/ScerR64_I_GCF_000146045.2_R64_genomic.fna.gz", "yeast/ScerR64_I.gff.gz")
ARABIDOPSIS = (
    "arabidopsis_chr1/AthaTAIR10_chr1_GCF_000001735.4_TAIR10.1_genomic.fna.gz",
    "arabidopsis_chr1/AthaTAIR10_chr1.gff.gz",
)


@pytest.mark.slow
@pytest.mark.parametrize(("feature", "place", "letters", "share"), [
    ("splice_donor", 10, "GT", 0.95), ("splice_acceptor", 9, "AG", 0.95), ("start_codon", 10, "ATG", 0.99),
])  # fmt: skip
@pytest.mark.parametrize("files", [YEAST, ARABIDOPSIS], ids=["yeast", "arabidopsis"])
def test_real_sites_have_their_letters(data_dir, tmp_path, files, feature, place, letters, share):
    genome, genes = (data_dir / name for name in files)
    if not genes.exists():
        pytest.skip(f"no {genes.name} in the folder of real data")
    if files == YEAST and feature.startswith("splice"):
        pytest.skip("chromosome I has a handful of introns")
    out = tmp_path / "task.tsv"
    given = ["--fasta", str(genome), "--gff", str(genes), "--feature", feature, "--length", "20", "--out", str(out)]
    assert main(["make-task", *given]) == 0
    with out.open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["label"] == feature]
    found = [row["sequence"][place : place + len(letters)] == letters for row in rows]
    assert len(found) > 80
    assert np.mean(found) > share
