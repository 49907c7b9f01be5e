"""Each allele that cannot be scored is given its reason."""

import pytest

from genomamba.coordinates import Variant
from genomamba.score.variants.status import Status, status_of

TEXT = "ACGTTGCANRacgt"


@pytest.mark.parametrize(
    ("start", "ref", "alt", "expected"),
    [
        (0, "A", "G", Status.OK),
        (10, "a", "g", Status.OK),
        (10, "ACG", "A", Status.OK),
        (13, "T", "TTTTT", Status.OK),
        (0, "C", "G", Status.REF_MISMATCH),
        (0, "AG", "A", Status.REF_MISMATCH),
        (8, "A", "G", Status.REF_MISMATCH),
        (-1, "A", "G", Status.OUT_OF_RANGE),
        (14, "A", "G", Status.OUT_OF_RANGE),
        (13, "TA", "G", Status.OUT_OF_RANGE),
        (10**13, "A", "G", Status.OUT_OF_RANGE),
        (0, "A", "<DEL>", Status.SYMBOLIC),
        (0, "A", "*", Status.SYMBOLIC),
        (0, "A", ".", Status.SYMBOLIC),
        (0, "A", "A]2:7]", Status.SYMBOLIC),
        (0, "A", ".A", Status.SYMBOLIC),
        (0, "<X>", "A", Status.SYMBOLIC),
        (8, "N", "A", Status.AMBIGUOUS),
        (9, "R", "A", Status.AMBIGUOUS),
        (0, "A", "N", Status.AMBIGUOUS),
        (0, "A", "AY", Status.AMBIGUOUS),
        (0, "A", "a", Status.AMBIGUOUS),
        (0, "A", "ACCCCC", Status.TOO_LONG),
        (0, "ACGTTG", "A", Status.TOO_LONG),
        (0, "ACGTT", "A", Status.OK),
        (14, "", "A", Status.EDGE),
        (0, "", "A", Status.EDGE),
        (5, "", "A", Status.OK),
        (13, "T", "", Status.EDGE),
        (0, "A", "", Status.EDGE),
        (12, "G", "", Status.OK),
    ],
)
def test_reasons_by_hand(make_genome, start, ref, alt, expected):
    assert status_of(Variant("x", start, ref, alt), make_genome({"one": TEXT}), "one", 5) is expected


@pytest.mark.parametrize(
    ("start", "ref", "alt", "strand"), [(14, "", "A", "-"), (0, "", "A", "+"), (13, "T", "", "-"), (0, "A", "", "+")]
)
def test_the_edge_is_that_of_the_strand(make_genome, start, ref, alt, strand):
    genome, variant = make_genome({"one": TEXT}), Variant("x", start, ref, alt)
    other = "+" if strand == "-" else "-"
    assert status_of(variant, genome, "one", 5, [strand]) is Status.OK
    assert status_of(variant, genome, "one", 5, [other]) is Status.EDGE


def test_a_contig_may_be_absent(make_genome):
    genome = make_genome({"one": TEXT})
    assert status_of(Variant("x", 0, "A", "G"), genome, None, 5) is Status.NO_CONTIG
    assert status_of(Variant("x", 0, "A", "<DEL>"), genome, None, 5) is Status.SYMBOLIC


def test_statuses_print_as_themselves():
    assert [f"{status}" for status in Status] == [status.name for status in Status]
