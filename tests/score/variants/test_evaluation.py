"""Scores held against labels: directions, rows that are left out, and the best of the others."""

import json
import math

import numpy as np
import pytest

from genomamba.score.variants.evaluation import Evaluated, evaluate, oriented
from genomamba.score.variants.labels import Labels, read_labels


def labels_of(values, positive=("P",)):
    values = np.asarray(values, np.float64)
    return Labels(
        tag="FC",
        positive=positive,
        values=values,
        compared={},
        in_labelled_records=~np.isnan(values),
        classes={"P": 1, "N": 1} if positive else {},
    )


def test_ratios_have_their_sign_turned_and_repeated_columns_are_left_out():
    llr = np.array([-1.0, 2.0, math.nan])
    columns = {"llr": llr, "llr_lc": llr.copy(), "l2_site": np.array([3.0, 0.0, 1.0]), "influence_at": llr}
    found = oriented(columns)
    assert [name for name, _ in found] == ["-llr", "l2_site"]
    np.testing.assert_array_equal(found[0][1], [1.0, -2.0, math.nan])
    np.testing.assert_array_equal(found[1][1], [3.0, 0.0, 1.0])


def test_what_a_background_says_is_turned_as_the_score_it_is_of():
    place = {"pct": np.array([10.0, 90.0]), "z": np.array([-1.0, 1.0])}
    assert [name for name, _ in oriented({"llr": np.array([-2.0, 1.0]), **place})] == ["-llr", "-pct", "-z"]
    assert [name for name, _ in oriented({"l2_site": np.array([2.0, 1.0]), **place})] == ["l2_site", "pct", "z"]


def test_each_row_has_its_own_alleles_and_the_best_other_is_compared():
    generator = np.random.default_rng(0)
    truth = (np.arange(400) % 4 == 0).astype(float)
    truth[5] = math.nan
    good, poor, mine = (np.nan_to_num(truth) * shift + generator.normal(size=400) for shift in (2, 0.1, 0.5))
    good[:40] = math.nan
    scores = [Evaluated("-llr", mine, True), Evaluated("poor", poor, False), Evaluated("good", good, False)]
    found = evaluate(labels_of(truth), scores, ["a note"])
    assert [(row.name, row.metrics["auroc"].rows, row.positives) for row in found.rows] == [
        ("-llr", 399, 100), ("poor", 399, 100), ("good", 360, 90),
    ]  # fmt: skip
    assert found.best == "good"
    assert found.rows[0].difference.rows == 360
    assert found.rows[0].difference.high < 0
    assert found.rows[1].difference is None
    lines = found.lines()
    assert lines[0] == "FC: P against the rest; 95 % intervals of 1,000 resamples"
    assert lines[1].endswith("AUROC less that of good [95 %]")
    assert lines[-1] == "a note"
    assert len(lines) == 6


def test_of_numbers_a_falling_score_may_be_the_best():
    generator = np.random.default_rng(1)
    label = generator.normal(size=300)
    scores = [
        Evaluated("-llr", label + generator.normal(0, 3, 300), True),
        Evaluated("rising", label + generator.normal(0, 2, 300), False),
        Evaluated("falling", -label + generator.normal(0, 0.5, 300), False),
    ]
    found = evaluate(labels_of(label, ()), scores)
    assert found.best == "falling"
    of_falling = found.rows[2].metrics["spearman"].value
    assert of_falling < -0.8
    assert found.rows[0].difference.value == pytest.approx(found.rows[0].metrics["spearman"].value + of_falling)


def test_nothing_to_compare_is_told_and_written(tmp_path):
    scores = [Evaluated("-llr", np.full(4, math.nan), True), Evaluated("CADD", np.arange(4.0), False)]
    found = evaluate(labels_of([1, 0, 1, 0]), scores)
    assert "none: no row has both a truth and a score" in "\n".join(found.lines())
    found.write(tmp_path / "m.tsv")
    header, row, other = [line.split("\t") for line in (tmp_path / "m.tsv").read_text().splitlines()]
    assert dict(zip(header, row, strict=True))["auroc"] == "NA"
    assert dict(zip(header, other, strict=True))["auroc"] == "0.25"
    found.write(tmp_path / "m.json")
    assert json.loads((tmp_path / "m.json").read_text())["scores"][0]["auroc"] is None


def test_many_alleles_have_fewer_resamples(monkeypatch):
    monkeypatch.setattr("genomamba.score.variants.evaluation._MOST_DRAWN", 100_000)
    scores = [Evaluated("-llr", np.arange(400.0), True)]
    assert evaluate(labels_of(np.arange(400) % 2), scores).draws == 250
    assert evaluate(labels_of(np.arange(4) % 2), [Evaluated("-llr", np.arange(4.0), True)]).draws == 1_000


def test_the_table_of_brca1_gives_its_published_columns_what_they_have(data_dir):
    path = data_dir / "brca1_sge" / "brca1_sge_region.vcf"
    if not path.exists():
        pytest.skip("there is no brca1_sge")
    labels = read_labels(path, None, "FC", ("LOF",), ("CADD", "PHYLOP"))
    scores = [Evaluated(name, values, False) for name, values in labels.compared.items()]
    found = {row.name: row for row in evaluate(labels, scores).rows}
    assert (found["CADD"].metrics["auroc"].rows, found["CADD"].positives) == (3_893, 823)
    assert found["CADD"].metrics["auroc"].value == pytest.approx(0.804, abs=5e-4)
    assert found["PHYLOP"].metrics["auroc"].value == pytest.approx(0.781, abs=5e-4)
