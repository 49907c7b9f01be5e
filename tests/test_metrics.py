import math

import pytest

from genomamba.metrics import bits_per_base, perplexity


@pytest.mark.parametrize(
    ("nats_sum", "bases", "bits", "choices"),
    [(0.0, 5, 0.0, 1.0), (10 * math.log(4), 10, 2.0, 4.0), (3 * math.log(16), 3, 4.0, 16.0)],
    ids=["certain", "four-equal", "sixteen-equal"],
)
def test_by_hand(nats_sum: float, bases: int, bits: float, choices: float) -> None:
    assert bits_per_base(nats_sum, bases) == pytest.approx(bits, abs=1e-15)
    assert perplexity(nats_sum, bases) == pytest.approx(choices, rel=1e-12)


def test_values_out_of_range_stay_readable() -> None:
    assert perplexity(1e6, 1) == math.inf
    assert math.isnan(bits_per_base(math.nan, 1))
    assert math.isnan(perplexity(math.nan, 1))


@pytest.mark.parametrize("mean", [bits_per_base, perplexity], ids=lambda mean: mean.__name__)
def test_a_mean_over_nothing_is_refused(mean) -> None:
    with pytest.raises(ValueError, match="0 bases were scored"):
        mean(0.0, 0)
