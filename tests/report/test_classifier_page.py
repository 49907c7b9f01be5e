"""The page of a classifier: it says what was given, draws what there is, and loads nothing."""

import dataclasses
import re

import numpy as np
import pytest

from genomamba.report.classifier_page import ClassifierPage, Section, render
from genomamba.report.classifier_plots import reliability


@pytest.fixture
def page():
    generator = np.random.default_rng(0)
    truth = (np.arange(60) % 2).astype(float)
    said = np.clip(truth * 0.4 + generator.uniform(0, 0.6, 60), 0, 1)
    cells = [("0.9000", "0.850 to 0.950")]
    return ClassifierPage(
        name="a <run>",
        verdict="It has an accuracy of 0.9.",
        headline=[("tested", "60")],
        warnings=["Of 60 sequences 3 leak."],
        figure="accuracy",
        intervals=[("probe", False, 0.9, 0.85, 0.95), ("k-mer", True, 0.8, 0.7, 0.9)],
        contenders=Section(
            id="contenders", title="Beside", text="", header=["", "accuracy"],
            rows=[("probe", True, cells), ("k-mer", False, [("0.8000", "")])], notes=["A note."],
        ),
        sections=[Section(id="classes", title="Class by class", text="", header=["class", "F1"], rows=[])],
        classes=["no", "yes"],
        confusion={"probe": np.array([[25, 5], [1, 29]]), "k-mer": np.array([[20, 10], [2, 28]])},
        curves={"probe": (truth, said), "k-mer": (truth, generator.uniform(0, 1, 60))},
        curves_of="each contender",
        reliability={"probe": (truth, said)},
        probability="probability of yes",
        facts={"protocol": "one test part"},
    )  # fmt: skip


def test_all_that_is_given_is_shown(page):
    text = render(page)
    assert "a &lt;run&gt;" in text
    for part in (page.verdict, page.warnings[0], "0.850 to 0.950", "A note.", "Class by class", "one test part"):
        assert part in text
    assert text.count("<svg") == 4
    # The true class yes has 30 rows, 29 of them said to be so.
    assert re.search(r">29<.*?>97 %<", text, re.DOTALL)
    assert '<tr class="model"><th>probe</th>' in text
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "<script" not in text


def test_numbers_have_a_picture_of_their_own(page):
    truth = np.linspace(0, 1, 50)
    numbers = dataclasses.replace(
        page, classes=(), confusion={}, curves={}, reliability={}, numbers=(truth, truth**2), intervals=()
    )
    text = render(numbers)
    assert text.count("<svg") == 1
    assert "What is said of each sequence, against what is true." in text
    bare = render(dataclasses.replace(numbers, numbers=None))
    assert "<svg" not in bare
    assert "What is mistaken for what" not in bare


def test_reliability_by_hand():
    # 0.31 and 0.39 share a bin, of which one is so; 0.95 and 1 share the last.
    middle, share, rows = reliability(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.31, 0.39, 0.95, 1.0]))
    assert middle.tolist() == pytest.approx([0.35, 0.975])
    assert share.tolist() == [0.5, 1.0]
    assert rows.tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 0, 2]
