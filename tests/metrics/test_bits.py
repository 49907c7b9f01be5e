import math

import numpy as np
import pytest

from genomamba.metrics import bits_per_base, perplexity, resampled_means


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


def test_resampled_means_spread_as_the_mean_does():
    # 400 blocks of one base each, normal with deviation 2: the mean's deviation is 2 / sqrt(400) = 0.1.
    sums = np.random.default_rng(1).normal(5, 2, (1, 400))
    means = resampled_means(sums, np.ones(400, np.int64))
    assert means.shape == (1, 2_000)
    assert means.mean() == pytest.approx(sums.mean(), abs=0.01)
    assert means.std() == pytest.approx(sums.std() / 20, rel=0.07)


def test_rows_are_drawn_together():
    sums = np.array([[1.0, 5.0, 9.0], [2.0, 6.0, 10.0]])
    means = resampled_means(sums, np.array([1, 1, 1]))
    np.testing.assert_allclose(means[1] - means[0], 1.0)
    assert set(np.round(means[0], 6)) <= {round(1 + 4 * k / 3, 6) for k in range(7)}


def test_blocks_weigh_by_what_they_hold():
    np.testing.assert_allclose(resampled_means(np.array([[20.0, 2.0]]), np.array([10, 1])), 2.0)
