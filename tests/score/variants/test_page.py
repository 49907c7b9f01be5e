"""What the page of a scoring says of a summary."""

from types import SimpleNamespace

import numpy as np

from genomamba.data.vcf import VcfReader
from genomamba.score.variants.page import page_of
from genomamba.score.variants.status import Status
from genomamba.score.variants.summary import Summary

ALLELES = [
    ("complex", "ACG", "TT"), ("deletion, 6 bases or more", "ACGTACA", "A"), ("deletion, 1 base", "AC", "A"),
    ("insertion, 6 bases or more", "A", "ACCCCCC"), ("insertion, 2 to 5 bases", "A", "ACC"),
    ("several bases", "AC", "GT"), ("transversion", "A", "C"), ("transition", "A", "G"),
]  # fmt: skip


def test_groups_have_their_places_and_the_verdict_their_quartiles(tmp_path):
    rows = [f"one\t1\t.\t{ref}\t{alt}\t.\t.\t.\n" for _, ref, alt in ALLELES]
    (tmp_path / "a.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(rows)
    )
    summary = Summary("llr", None, {}, {})
    with VcfReader(tmp_path / "a.vcf") as reader:
        (records,) = reader.batches()
    scores = np.array([7.0, -1.5, 3.0, -5.0, 5.0, 1.0, -3.0, -7.0])
    summary.add(records, lambda record: None, {"llr": scores}, [Status.OK] * len(rows), "a.vcf")
    page = page_of(SimpleNamespace(summary=summary, evaluation=None, labels=None), {"variants": "x/a.vcf"}, "score it")
    assert list(page.histograms) == [change for change, _, _ in reversed(ALLELES)]
    assert (page.name, page.scored, page.axis) == ("a.vcf", 8, "llr, nats")
    assert page.verdict == (
        "The llr of half of 8 scored alleles lies between \u22123.5 and 3.5 nats, the median at \u22120.25."
    )
    assert page.facts["command"] == "score it"
