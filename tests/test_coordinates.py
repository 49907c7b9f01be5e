"""Intervals are 0-based and half-open, region strings 1-based and inclusive; variants are known by their alleles."""

import pytest

from genomamba.coordinates import Interval, Variant, parse_region
from genomamba.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1:1,001-2,000", Interval("chr1", 1000, 2000)),
        ("chr1:5-5", Interval("chr1", 4, 5)),
        (" 1:10 ", Interval("1", 9, 50)),
        ("chrM", Interval("chrM", 0, 50)),
        ("NC_1.9:2147483649-4294967298", Interval("NC_1.9", 2**31, 2**32 + 2)),
        ("a:b:3-4", Interval("a:b", 2, 4)),
    ],
    ids=lambda value: str(value),
)
def test_regions_by_hand(text, expected):
    assert parse_region(text, length=50) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a region"),
        ("chr1:0-5", "must run from 1"),
        ("chr1:9-5", "end not before its start"),
        ("chr1:51", "end not before its start"),
    ],
    ids=repr,
)
def test_what_is_no_region_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_region(text, length=50)


def test_a_comma_is_no_number():
    assert parse_region("chr1:,", length=50) == Interval("chr1:,", 0, 50)


def test_a_region_without_end_needs_the_length():
    with pytest.raises(ConfigError, match="length of chr1 is not known"):
        parse_region("chr1:7")


def test_printed_as_it_is_typed():
    interval = Interval("chr1", 1000, 2000)
    assert str(interval) == "chr1:1,001-2,000"
    assert parse_region(str(interval)) == interval
    assert len(interval) == 1000


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Interval("a", 9, 10), True),
        (Interval("a", 10, 20), False),
        (Interval("a", 0, 5), False),
        (Interval("a", 0, 6), True),
        (Interval("a", 6, 7), True),
        (Interval("b", 5, 10), False),
    ],
    ids=str,
)
def test_overlap_is_a_shared_base(other, expected):
    assert Interval("a", 5, 10).overlaps(other) is expected
    assert other.overlaps(Interval("a", 5, 10)) is expected


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (6, 5)])
def test_a_backward_interval_is_refused(start, end):
    with pytest.raises(ValueError, match="is not 0 <= start <= end"):
        Interval("a", start, end)


@pytest.mark.parametrize(
    ("ref", "alt", "kind", "trimmed"),
    [
        ("A", "G", "snv", (10, "A", "G")),
        ("AC", "GT", "mnv", (10, "AC", "GT")),
        ("ACT", "AGT", "snv", (11, "C", "G")),
        ("A", "ATT", "insertion", (11, "", "TT")),
        ("ATT", "A", "deletion", (11, "TT", "")),
        ("CAA", "CA", "deletion", (11, "A", "")),
        ("AAA", "AA", "deletion", (10, "A", "")),
        ("AC", "GTT", "complex", (10, "AC", "GTT")),
        ("ACG", "ATTG", "complex", (11, "C", "TT")),
        ("a", "G", "snv", (10, "a", "G")),
        ("aC", "AG", "snv", (11, "C", "G")),
        ("A", "A", "none", (10, "", "")),
        ("", "T", "insertion", (10, "", "T")),
        ("A", "<DEL>", "symbolic", (10, "A", "<DEL>")),
        ("A", "*", "symbolic", (10, "A", "*")),
        ("A", ".", "symbolic", (10, "A", ".")),
        ("A", "A[chr2:5[", "symbolic", (10, "A", "A[chr2:5[")),
    ],
)
def test_kinds_of_variants_by_hand(ref, alt, kind, trimmed):
    variant = Variant("a", 10, ref, alt)
    assert variant.kind == kind
    least = variant.trimmed()
    assert (least.start, least.ref, least.alt) == trimmed
    assert variant.end == 10 + len(ref)


def test_a_variant_is_printed_1_based():
    assert str(Variant("chr1", 1000, "A", "")) == "chr1:1,001 A>-"
