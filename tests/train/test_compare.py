"""The Markov models that stand beside the network are the best of their kind."""

import pytest

from genomamba.alphabet import get_alphabet
from genomamba.baselines.markov import InterpolatedMarkov
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.data.windows import Split
from genomamba.train import compare
from genomamba.train.compare import markov_table


@pytest.fixture(scope="module")
def genome(made_fasta, tmp_path_factory):
    return Genome.open([made_fasta], get_alphabet("dna"), cache_dir=tmp_path_factory.mktemp("cache"))


TRAIN, VALID, TEST = Interval("one", 0, 9_000), Interval("one", 9_000, 12_000), Interval("two", 0, 6_000)


def test_weight_and_order_are_the_best_on_the_validation_part(genome):
    table = markov_table(genome, Split((TRAIN,), (VALID,), (TEST,)))
    codes = [genome.fetch(part.contig, part.start, part.end).astype("int64") - 7 for part in (TRAIN, VALID, TEST)]
    best = {}
    for weight in compare.BACKOFF_WEIGHTS:
        model = InterpolatedMarkov(4, 7, weight).fit(codes[:1], [3, 2, 1, 0])
        bits = model.bits(codes[1:2])
        best[bits.min(), weight] = int(bits.argmin()), model.bits(codes[2:])
    (fewest, weight), (order, test) = min(best.items())
    assert (table["weight"], table["best_order"]) == (weight, order)
    assert table["orders"][order]["valid"] == pytest.approx(fewest)
    assert table["orders"][order]["test"] == pytest.approx(test[order])
    assert table["fitted_on_bases"] == 9_000


def test_orders_end_where_contexts_would_be_met_less_than_once(genome):
    table = markov_table(genome, Split((TRAIN,), (), (TEST,)))
    assert [row["order"] for row in table["orders"]] == list(range(8))
    assert table["weight"] == 16
    assert "valid" not in table["orders"][0]


def test_more_training_bases_than_are_counted_is_said(genome, monkeypatch):
    monkeypatch.setattr(compare, "MAX_BASES", 1_000)
    assert markov_table(genome, Split((TRAIN,), (VALID,), ()))["fitted_on_bases"] == 1_000


def test_nothing_held_out_gives_orders_without_figures(genome):
    table = markov_table(genome, Split((TRAIN,), (), ()))
    assert all(row.keys() == {"order"} for row in table["orders"])


def test_it_can_be_stopped_between_stretches(genome):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        markov_table(genome, Split((TRAIN,), (VALID,), ()), before_stretch=stop)
