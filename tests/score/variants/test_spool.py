"""What is spooled is read back, in any order, and sums are kept beside it."""

import tempfile

import pytest

from genomamba.coordinates import Variant
from genomamba.errors import RunError
from genomamba.score.variants.spool import Spool
from genomamba.score.variants.status import Status


def test_variants_come_back():
    given = [
        (Variant("chr1", -1, "A", "<DEL>"), Status.SYMBOLIC),
        (Variant("a b", 10**13, "", "ACGT" * 500), Status.OUT_OF_RANGE),
        (Variant("é", 3, "a", "\t"), Status.OK),
    ]
    with Spool() as spool:
        for one in given:
            spool.append(*one)
        assert [spool.read(number) for number in (2, 0, 1)] == [given[2], given[0], given[1]]
        spool.add(1, 0.5, -2.0)
        spool.add(1, 0.25, 1.0)
        assert [spool.sums(number) for number in range(len(spool))] == [(0, 0), (0.75, -1), (0, 0)]


def test_a_folder_that_cannot_hold_them_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(RunError, match="absent: cannot hold the variants of a contig"):
        Spool()
