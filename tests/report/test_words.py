import copy
from typing import Any

import pytest

from genomamba.report.run_files import read_run
from genomamba.report.words import cost, duration, moment, share, size, verdict

EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "fewer": (
        {},
        "On 2,610,110 held-out bases the model needs 1.921 bits per base; "
        "the best Markov model (order 8) needs 1.932: 0.011 fewer.",
    ),
    "more": (
        {"test": 1.9461},
        "On 2,610,110 held-out bases the model needs 1.946 bits per base; the best Markov model (order 8) needs 1.932: "
        "0.014 fewer than the model, which has not yet learnt more than counting words does.",
    ),
    "more than order 0": (
        {"test": 1.9876},
        "On 2,610,110 held-out bases the model needs 1.988 bits per base; the best Markov model (order 8) needs 1.932: "
        "0.056 fewer than the model, which has not yet learnt more than counting words does. Even the frequencies of "
        "single bases do better (order 0: 1.959); train longer.",
    ),
    "more than a guess": (
        {"test": 2.3},
        "On 2,610,110 held-out bases the model needs 2.300 bits per base; the best Markov model (order 8) needs 1.932: "
        "0.368 fewer than the model, which has not yet learnt more than counting words does. Even the frequencies of "
        "single bases do better (order 0: 1.959), and so does a guess among four (2 bits); train longer.",
    ),
    "the same": (
        {"test": 1.9324},
        "On 2,610,110 held-out bases the model needs 1.932 bits per base; "
        "the best Markov model (order 8) needs 1.932: the same to three decimals.",
    ),
    "another order is better on the test": (
        {"best_order": 4},
        "On 2,610,110 held-out bases the model needs 1.921 bits per base; the best Markov model (order 4) needs 1.940: "
        "0.019 fewer. The order was chosen on validation; on the test itself order 8 needs 1.932.",
    ),
    "no test": (
        {"test": None},
        "On 948,066 held-out bases the model needs 1.924 bits per base; "
        "the best Markov model (order 8) needs 1.935: 0.011 fewer.",
    ),
    "no Markov": ({"markov": None}, "On 2,610,110 held-out bases the model needs 1.921 bits per base."),
    "masked": (
        {"objective": "masked"},
        "Of 2,610,110 masked bases in held-out sequence the model needs 1.921 bits each, with both sides in view. "
        "That figure is not comparable with those of models that predict the next base.",
    ),
    "nothing scored": (
        {"test": None, "valid": None},
        "The held-out sequence has not been scored in full yet; at step 300 validation stood at 1.928 bits per base.",
    ),
}


@pytest.fixture
def evaluation(make_run) -> dict[str, Any]:
    run = read_run(make_run(name="whole"))
    assert run.evaluation is not None
    return copy.deepcopy(run.evaluation)


@pytest.mark.parametrize(("edit", "expected"), EDITS.values(), ids=EDITS)
def test_verdict(make_run, evaluation, edit: dict[str, Any], expected: str) -> None:
    for name, value in edit.items():
        if name in ("valid", "test"):
            evaluation["splits"][name] = None if value is None else {"bases": 2_610_110, "bits_per_base": value}
        elif name == "best_order":
            evaluation["markov"]["best_order"] = value
        else:
            evaluation[name] = value
    assert verdict(read_run(make_run(evaluation=evaluation))) == expected


def test_verdict_without_anything_measured(make_run) -> None:
    run = read_run(make_run(evaluation=None, rows=[]))
    assert verdict(run) == "There are no held-out figures yet."


def test_bytes_and_masks_are_named(make_run) -> None:
    run = read_run(make_run(evaluation=None, config={"alphabet": "bytes", "objective": "masked"}))
    assert cost(run) == "bits per masked byte"
    assert verdict(run).endswith("validation stood at 1.928 bits per masked byte.")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (duration(3.21), "3.2 s"),
        (duration(59.4), "59 s"),
        (duration(59.6), "1 min 0 s"),
        (duration(3_725), "1 h 2 min"),
        (size(999), "999 bytes"),
        (size(1_010), "1.0 kB"),
        (size(12_309_078), "12.3 MB"),
        (size(3.2e15), "3,200.0 TB"),
        (share(0.3816), "38.2 %"),
        (share(None), "\u2013"),
        (moment("2025-11-03T10:00:00+01:00"), "2025-11-03 09:00:00 UTC"),
        (moment(None), "not yet"),
    ],
)
def test_numbers_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected
