"""What is gathered while records pass: histograms of any range, groups of changes, and the farthest."""

import math

import numpy as np
import pytest

from genomamba.coordinates import Variant
from genomamba.data.vcf import VcfReader
from genomamba.score.variants import summary as module
from genomamba.score.variants.status import Status
from genomamba.score.variants.summary import Histogram, Summary, change_of


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_a_histogram_keeps_few_bins_and_all_counts(scale):
    values = np.random.default_rng(0).normal(0, scale, 50_000)
    histogram = Histogram()
    for part in np.split(values, 50):
        histogram.add(part)
    middles, counts = histogram.counts()
    assert counts.sum() == histogram.count == values.size
    assert middles.size <= 4_096
    width = max(np.diff(middles).min() if middles.size > 1 else 0, 2.0**-24)
    # 0 is an edge of bins of any width.
    assert counts[middles < 0].sum() == (values < 0).sum()
    # Up to a bin, the sums below any place are those of the values themselves.
    for place in (-scale, 0.0, 0.5 * scale):
        below = counts[middles < place].sum()
        assert (values < place - width).sum() <= below <= (values < place + width).sum()


@pytest.mark.parametrize(
    ("start", "ref", "alt", "change"),
    [
        (1, "C", "T", "transition, CpG"),
        (2, "G", "A", "transition, CpG"),
        (5, "C", "T", "transition, other"),
        (0, "A", "G", "transition, other"),
        (8, "C", "T", "transition, other"),
        (1, "c", "a", "transversion"),
        (0, "AC", "AT", "transition, CpG"),
        (0, "AC", "GT", "several bases"),
        (0, "A", "AT", "insertion, 1 base"),
        (0, "A", "ATTT", "insertion, 2 to 5 bases"),
        (0, "A", "ATTTTTTT", "insertion, 6 bases or more"),
        (0, "ACG", "A", "deletion, 2 to 5 bases"),
        (0, "ACG", "TT", "complex"),
    ],
)
def test_what_an_allele_changes(make_genome, start, ref, alt, change):
    genome = make_genome({"one": "ACGtaCATC"})
    assert change_of(Variant("one", start, ref, alt), genome) == change
    assert change_of(Variant("one", start, ref, alt), None) == change.replace(", CpG", "").replace(", other", "")


def test_the_farthest_the_first_unscored_and_the_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_TOP", 3)
    monkeypatch.setattr(module, "_MOST_UNSCORED", 2)
    scores = [0.5, -4.0, math.nan, 4.0, -4.0, math.nan, 0.1, -9.0, math.nan, 4.0]
    statuses = [Status.NO_CONTIG if math.isnan(score) else Status.OK for score in scores]
    lines = [f"one\t{i + 1}\trs{i}\tA\tC\t.\t.\t.\n" for i in range(len(scores))]
    (tmp_path / "a.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines)
    )
    found = Summary("llr", None, {}, {})
    with VcfReader(tmp_path / "a.vcf") as reader:
        (records,) = reader.batches()
    for first in (0, 4):
        part = slice(first, first + 4) if first == 0 else slice(4, None)
        found.add(records[part], lambda record: None, {"llr": np.array(scores[part])}, statuses[part], "a.vcf")
    # Of equals the first stay.
    assert [(top.id, top.values) for top in found.top()] == [("rs7", (-9.0,)), ("rs1", (-4.0,)), ("rs3", (4.0,))]
    assert [(one.line, one.status) for one in found.unscored] == [(5, Status.NO_CONTIG), (8, Status.NO_CONTIG)]
    assert found.unscored[0].text == "one:3 A>C: the FASTA has no such contig; --chrom-map may name it"
    assert found.statuses == {("snv", Status.OK): 7, ("snv", Status.NO_CONTIG): 3}
    assert (found.records, found.alleles, found.count(Status.OK)) == (10, 10, 7)
    assert found.histograms["transversion"].count == 7
    assert found.refused == 3
