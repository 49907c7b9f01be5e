"""What others report: read whole, and held beside ours only where it is of the same."""

import pytest

from genomamba.classify.published import published_rows, reason_apart, task_rows


def test_every_row_is_whole():
    rows = published_rows()
    assert len(rows) == 8 * 6 + 1 + 7
    assert all(0.5 < row.value < 1 and row.source and row.tested < row.sequences for row in rows)
    assert len({(row.task, row.protocol, row.model) for row in rows}) == len(rows)
    assert {row.value for row in rows if row.model == "Caduceus-Ph" and row.task == "human_ocr_ensembl"} == {0.828}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, ""),
        ({"protocol": "given-split"}, "protocol: caduceus-5fold"),
        ({"tested": 100}, "other sequences: 6,948 of 27,791 test there, 100 of 27,791 here"),
    ],
    ids=["same", "protocol", "subset"],
)
def test_only_the_same_stands_beside(given, reason):
    rows = task_rows("human_enhancers_cohn.chr20X_subset")
    assert len(rows) == 6
    ours = {"protocol": "caduceus-5fold", "sequences": 27_791, "tested": 6_948} | given
    assert reason_apart(rows[0], **ours) == reason
    assert task_rows("yeast") == []
