"""The picture of a mutagenesis holds what it is given: cells, letters, genes, positions."""

import re
import struct

import numpy as np
import pytest

from genomamba.coordinates import Interval
from genomamba.report.genes import GeneModel
from genomamba.report.logo import LETTER_COLORS
from genomamba.report.mutagenesis import Mutagenesis, draw_mutagenesis


def make(sequence, *, start=1_000, lengths=(1,), seed=0, **options):
    """A scan of random numbers, NaN where there is nothing to change."""
    generator = np.random.default_rng(seed)
    substitutions = generator.normal(-1, 1, (len(sequence), 4))
    for i, base in enumerate(sequence):
        if base == "N":
            substitutions[i] = np.nan
        else:
            substitutions[i, "ACGT".index(base)] = np.nan
    deletions = {length: generator.normal(-2, 1, len(sequence)) for length in lengths}
    for values in deletions.values():
        values[[i for i, base in enumerate(sequence) if base == "N"]] = np.nan
    given = {"score": "llr", "unit": "nats", "is_ratio": True, "model": "made"} | options
    region = Interval("chr1", start, start + len(sequence))
    return Mutagenesis(region=region, sequence=sequence, substitutions=substitutions, deletions=deletions, **given)


def draw(scan):
    return draw_mutagenesis(scan, "svg").decode()


def texts(svg):
    return re.findall(r"<text [^>]*>([^<]*)</text>", svg)


def group(svg, name):
    """What stands in the groups of that id."""
    return re.findall(rf'<g id="{name}[^"]*">(.*?)</g>', svg, re.S)


def cells(svg):
    return sum(part.count("<path ") + part.count("<use ") - part.count("<defs") for part in group(svg, "cells"))


def sequence_of(length, seed=1):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def test_importance_by_hand():
    scan = make("AN", lengths=())
    scan.substitutions[0] = [np.nan, -1, -2, 6]
    assert scan.importance[0] == -1
    assert np.isnan(scan.importance[1])
    scan = make("A", lengths=(), is_ratio=False)
    scan.substitutions[0] = [np.nan, 1, 2, 6]
    assert scan.importance.tolist() == [3]


def test_every_change_has_its_cell_and_every_base_its_letter():
    sequence = sequence_of(30) + "N" + sequence_of(29, seed=2)
    svg = draw(make(sequence, lengths=(1, 3)))
    assert cells(svg) == 59 * (3 + 2)
    found = texts(svg)
    letters = [text for text in found if text in ("A", "C", "G", "T")]
    # One in the cell of each base, and the names of the rows.
    assert sorted(letters) == sorted([*sequence.replace("N", ""), *"ACGT"])
    assert {"del 1", "del 3", "chr1:1,001-1,060", "60 bases, made", "position on chr1", "change: llr, nats"} <= {*found}
    assert [text for text in found if re.fullmatch(r"1,0\d\d", text)] == [f"1,{at:03}" for at in range(5, 61, 5)]
    assert {"\u2212mean", "llr, nats"} <= {*found}


def points(outline):
    return np.array([(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", outline)])


def test_letters_are_as_high_as_their_base_matters():
    scan = make("ACGT", lengths=())
    for i, mean in enumerate([1.0, 2.0, -1.0, 4.0]):
        scan.substitutions[i][np.isfinite(scan.substitutions[i])] = -mean
    svg = draw(scan)
    heights, spans = {}, {}
    for letter in "ACGT":
        (part,) = group(svg, f"logo {letter}")
        assert f"fill: {LETTER_COLORS[letter]}" in part
        found = points(re.search(r' d="([^"]*)"', part)[1])
        heights[letter], spans[letter] = np.ptp(found[:, 1]), (found.min(0), found.max(0))
    assert heights["C"] / heights["A"] == pytest.approx(2, rel=0.01)
    assert heights["T"] / heights["A"] == pytest.approx(4, rel=0.01)
    assert heights["G"] / heights["A"] == pytest.approx(1, rel=0.01)
    # SVG counts downwards: G hangs below the line that A stands on.
    assert spans["G"][0][1] == pytest.approx(spans["A"][1][1], abs=0.01)
    assert spans["A"][1][0] < spans["C"][0][0] < spans["C"][1][0] < spans["G"][0][0] < spans["T"][0][0]


def test_colours_are_centred_on_zero_and_one_number_does_not_take_them_all():
    scan = make("A" * 90, lengths=())
    scan.substitutions[:, 1:] = [-1.0, 0.0, 1.0]
    scan.substitutions[0, 1] = -40
    found = texts(draw(scan))
    assert {"\u2264 \u22121", "0", "\u2265 1"} <= {*found}
    (part,) = group(draw(scan), "cells")
    colors = re.findall(r"fill: (#\w+)", part)
    assert [*dict.fromkeys(colors)] == ["#7c2d12", "#fdfcfa", "#083f3a"]
    # Row by row: C, G and T in place of A.
    assert colors == [color for color in dict.fromkeys(colors) for _ in range(90)]


PLUS = GeneModel(
    "abc", "+", 990, 1_080, ((990, 1_020), (1_050, 1_080)), ((1_010, 1_020), (1_050, 1_060)), ((1_010, 1_013),)
)
MINUS = GeneModel("xyz", "-", 1_030, 1_055, ((1_030, 1_055),), (), ())


def test_genes_are_drawn_with_their_strands():
    svg = draw(make(sequence_of(60), genes=[PLUS, MINUS]))
    counts = {name: len(group(svg, name)) for name in ("exon", "coding", "start codon", "intron")}
    assert counts == {"exon": 3, "coding": 2, "start codon": 1, "intron": 1}
    assert [text for text in texts(svg) if text in ("abc", "xyz", "start")] == ["start", "abc", "xyz"]
    for strand, direction in ((r"\+", 1), ("-", -1)):
        arrows = group(svg, f"strand {strand}")
        assert arrows
        for arrow in arrows:
            (tail, tip, _) = points(re.search(r' d="([^"]*)"', arrow)[1])
            assert np.sign(tip[0] - tail[0]) == direction
    assert "exon" not in draw(make(sequence_of(60)))


def test_a_gene_lies_over_its_bases():
    """The start codon covers the cells of its three bases."""
    svg = draw(make("A" * 60, lengths=(), genes=[PLUS]))
    (codon,) = (points(re.search(r' d="([^"]*)"', part)[1]) for part in group(svg, "start codon"))
    outlines = re.findall(r'<path d="([^"]*)"', group(svg, "cells")[0])
    columns = sorted({(points(one)[:, 0].min(), points(one)[:, 0].max()) for one in outlines})
    assert len(columns) == 60
    assert codon[:, 0].min() == pytest.approx(columns[10][0], abs=0.1)
    assert codon[:, 0].max() == pytest.approx(columns[12][1], abs=0.1)


def test_many_genes_are_counted():
    many = [GeneModel(f"g{i}", "+", 1_000, 1_060, ((1_000, 1_060),), (), ()) for i in range(9)]
    found = texts(draw(make(sequence_of(60), genes=many)))
    assert sum(text.startswith("g") for text in found) == 5
    assert "4 more not drawn" in found


@pytest.mark.parametrize(("length", "rows"), [(1, 1), (100, 1), (101, 2), (400, 4), (401, 1), (2_000, 4), (7_000, 12)])
def test_long_regions_have_rows_and_bars(length, rows):
    svg = draw(make(sequence_of(length)))
    found = texts(svg)
    assert found.count("del") == rows
    assert (cells(svg) == 4 * length) == (length <= 400)
    assert len(re.findall("<image", svg)) == 1 + rows * (length > 400)
    assert len(group(svg, "bars up")) == rows * (length > 400)
    assert bool(group(svg, "logo ")) == (length <= 400)


@pytest.mark.parametrize("sequence", ["N" * 50, "N" * 500])
def test_nothing_to_change_gives_an_empty_picture(sequence):
    svg = draw(make(sequence))
    assert cells(svg) == 0
    assert f"{len(sequence)} bases, made" in texts(svg)


@pytest.mark.parametrize("length", [60, 600])
@pytest.mark.parametrize("picture_format", ["svg", "png"])
def test_the_same_numbers_give_the_same_bytes(length, picture_format):
    one, two, other = (
        draw_mutagenesis(make(sequence_of(length), seed=seed, genes=[PLUS]), picture_format) for seed in (0, 0, 1)
    )
    assert one == two != other
    if picture_format == "png":
        assert one.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", one[16:24])
        assert 1_400 <= width <= 2_200
        assert 300 <= height <= 2_000
    else:
        assert b"date" not in one.lower()
