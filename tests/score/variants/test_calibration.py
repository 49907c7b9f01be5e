"""Tables of scores: percentiles as scipy has them, wider classes for rare ones, and files that do not fit."""

import json
import math

import numpy as np
import pytest
from scipy.stats import median_abs_deviation, percentileofscore

from genomamba.errors import RunError
from genomamba.score.variants.calibration import FEWEST, Calibration, fit_classes, write_calibration

PROVENANCE = {
    "genomamba": "1",
    "model": "0" * 64,
    "settings": {"scores": ["llr", "llr_lc"], "context": 64, "horizon": 16, "strand": "both"},
    "folded": True,
    "variants": 100,
}
SNV = ("A[C>T]G masked", "A[C>T]G", "CpG transition", "snv", "all")
OTHER = ("A[C>T]G unmasked", "A[C>T]G", "CpG transition", "snv", "all")
GAP = ("deletion 1 masked", "deletion 1", "deletion", "all")


def rows(values):
    """Scores of two columns, of which the second is minus the first."""
    column = np.asarray(values, np.float32)
    return np.stack([column, -column], axis=1)


@pytest.fixture
def keep(tmp_path):
    """Fit scores, write them and read them again."""

    def made(scores, **changed):
        classes = fit_classes(scores, ("llr", "llr_lc"))
        write_calibration(tmp_path / "calibration.json", PROVENANCE | changed, classes)
        return Calibration(tmp_path / "calibration.json")

    return made


def test_percentiles_of_a_few_scores_are_those_of_scipy(keep):
    generator = np.random.default_rng(0)
    scores = generator.normal(size=97).astype(np.float32)
    scores[10:17], scores[30:32] = scores[0], scores[1]
    table = keep({SNV: rows(scores)}).table(SNV, "llr")
    for score in [*scores.tolist(), -9.0, 9.0]:
        assert table.percentile(score) == pytest.approx(percentileofscore(scores, score, kind="mean"), abs=1e-5)
    low, high = sorted(set(scores.tolist()))[20:22]
    between = table.percentile(low) + 0.25 * (table.percentile(high) - table.percentile(low))
    assert table.percentile(low + 0.25 * (high - low)) == pytest.approx(between)


def test_percentiles_of_many_scores_are_those_of_scipy_to_an_eighth(keep):
    generator = np.random.default_rng(0)
    scores = np.concatenate([generator.standard_t(2, size=19_000), np.full(1_000, 0.25)]).astype(np.float32)
    table = keep({SNV: rows(scores)}).table(SNV, "llr")
    assert len(table.values) < 420
    asked = generator.choice(scores, 2_000).tolist()
    differences = [table.percentile(score) - percentileofscore(scores, score, kind="mean") for score in asked]
    assert max(map(abs, differences)) < 0.13
    # Both tails are finer than that.
    for score in [*np.sort(scores)[:20].tolist(), *np.sort(scores)[-20:].tolist()]:
        assert table.percentile(score) == pytest.approx(percentileofscore(scores, score, kind="mean"), abs=0.02)
    assert table.percentile(0.25) == pytest.approx(percentileofscore(scores, 0.25, kind="mean"), abs=1e-5)


def test_scores_of_the_background_are_spread_evenly(keep):
    scores = np.random.default_rng(1).gumbel(size=5_000).astype(np.float32)
    table = keep({SNV: rows(scores)}).table(SNV, "llr")
    found = np.sort([table.percentile(score) for score in scores.tolist()])
    assert np.abs(found - 100 * (np.arange(5_000) + 0.5) / 5_000).max() < 0.13


def test_centre_and_width_by_hand_and_by_scipy(tmp_path, keep):
    scores = np.r_[np.arange(50), 1_000].astype(np.float32)
    table = keep({SNV: rows(scores)}).table(SNV, "llr")
    # The median of 0, ..., 49 and 1,000 is 25; half of the differences from it are 13 or less.
    assert (table.median, table.mad) == (25, 13)
    assert table.z(25 + 13 * 1.4826) == pytest.approx(1)
    assert keep({SNV: rows(scores)}).table(SNV, "llr_lc").z(-25 - 13 * 1.4826) == pytest.approx(-1)
    stored = json.loads((tmp_path / "calibration.json").read_text())["classes"][SNV[0]]["scores"]["llr"]
    assert stored["count"] == 51
    assert stored["mean"] == pytest.approx(scores.mean())
    assert stored["sd"] == pytest.approx(np.std(scores, ddof=1))
    assert stored["mad"] == pytest.approx(median_abs_deviation(scores))


def test_a_class_of_one_value_has_no_distance(keep):
    table = keep({SNV: rows(np.ones(60))}).table(SNV, "llr")
    assert math.isnan(table.z(2.0))
    assert [table.percentile(score) for score in (0.0, 1.0, 2.0)] == [0, 50, 100]


def test_what_is_rare_takes_a_wider_class(tmp_path, keep):
    scores = {SNV: rows(np.arange(FEWEST - 1)), OTHER: rows(np.arange(100, 100 + FEWEST)), GAP: rows([7.0] * 3)}
    calibration = keep(scores)
    stored = json.loads((tmp_path / "calibration.json").read_text())["classes"]
    assert stored[SNV[0]] == {
        "parent": "A[C>T]G",
        "count": 49,
        "scores": {column: {"count": 49, "uses": "A[C>T]G"} for column in ("llr", "llr_lc")},
    }
    assert stored["A[C>T]G"]["count"] == 99
    assert stored["deletion"]["scores"]["llr"] == {"count": 3, "uses": "all"}
    assert stored["all"]["count"] == 102
    assert calibration.table(OTHER, "llr").median == 124.5
    assert calibration.table(SNV, "llr").median == 100
    assert calibration.table(GAP, "llr") == calibration.table(("all",), "llr")
    # A class that the background has not seen.
    assert calibration.table(("T[C>T]G masked", "T[C>T]G", *SNV[2:]), "llr") == calibration.table(SNV[2:], "llr")


def test_a_score_that_some_lack_is_counted_by_itself(tmp_path, keep):
    lacking = rows(np.arange(200))
    lacking[:160, 1] = np.nan
    calibration = keep({SNV: lacking, OTHER: rows(np.arange(300))})
    stored = json.loads((tmp_path / "calibration.json").read_text())["classes"][SNV[0]]
    assert stored["scores"]["llr"]["count"] == stored["count"] == 200
    assert stored["scores"]["llr_lc"] == {"count": 40, "uses": "A[C>T]G"}
    assert calibration.table(SNV, "llr_lc") == calibration.table(SNV[1:], "llr_lc")


@pytest.mark.parametrize(
    ("model", "settings", "column", "message"),
    [
        ("0" * 64, {}, "llr", None),
        ("0" * 64, {"scores": ["llr_lc"]}, "llr_lc", None),
        ("1" * 64, {}, "llr", "is of a model with other weights (000000000000, and this one has 111111111111)"),
        ("0" * 64, {"context": 128}, "llr", "has context 64, and this command 128"),
        ("0" * 64, {"context": None}, "llr", "has context 64, and this command None"),
        ("0" * 64, {"strand": "+"}, "llr", "has strand both, and this command +"),
        ("0" * 64, {"flank": 3}, "llr", "has flank None, and this command 3"),
        ("0" * 64, {}, "wt_marginal", "has no wt_marginal, only llr, llr_lc"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_does_not_fit_is_told(keep, model, settings, column, message):
    calibration = keep({SNV: rows(np.arange(100))})
    assert calibration.misfit(model, PROVENANCE["settings"] | settings, column) == message


def test_a_score_that_too_few_have_does_not_fit(keep):
    lacking = rows(np.arange(100))
    lacking[:60, 1] = np.nan
    calibration = keep({SNV: lacking})
    assert calibration.misfit("0" * 64, PROVENANCE["settings"], "llr") is None
    assert calibration.misfit("0" * 64, PROVENANCE["settings"], "llr_lc") == "has too few variants with a llr_lc"


def changed(**values):
    return lambda read: read | values


def in_class(**values):
    def change(read):
        read["classes"]["all"]["scores"]["llr"] |= values
        return read

    return change


def without(*keys):
    def change(read):
        inner = read
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        return read

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda read: [read], "is no calibration; genomamba calibrate makes one"),
        (changed(format="genomamba"), "is no calibration"),
        (changed(format_version=2), "has format version 2, and 1 is read; make it anew by genomamba calibrate"),
        (changed(settings=None), "damaged"),
        (changed(settings={"scores": []}), "damaged"),
        (changed(classes=[]), "damaged"),
        (changed(variants="many"), "damaged"),
        (without("model"), "damaged"),
        (without("classes", "all"), "damaged (ValueError(\"the class 'all' is missing\"))"),
        (without("classes", "all", "scores", "llr"), "the class 'all' is missing"),
        (without("classes", "all", "scores", "llr", "mad"), "damaged (KeyError('mad'))"),
        (in_class(values=[2.0, 1.0], percents=[10.0, 20.0]), "values and percents do not ascend together"),
        (in_class(values=[1.0], percents=[10.0, 20.0]), "values and percents do not ascend together"),
        (in_class(values=[], percents=[]), "values and percents do not ascend together"),
        (in_class(values=["x"]), "damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, keep, change, message):
    keep({SNV: rows(np.arange(100))})
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(RunError) as caught:
        Calibration(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "\x00", "[1, 2"], ids=repr)
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(RunError, match="cannot be read as JSON"):
        Calibration(tmp_path / "calibration.json")
