"""Markov models against exact fractions: worked by hand, and by a plain model that counts words."""

import gzip
import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from genomamba.baselines import markov
from genomamba.baselines.markov import InterpolatedMarkov, largest_order

DNA_COMPLEMENT = np.array([3, 2, 1, 0])


def symbols(text: str) -> np.ndarray:
    """A C G T as 0 to 3, any other letter as -1."""
    return np.array(["ACGT".find(letter) for letter in text], np.int8)


def runs(sequence: Sequence[int]) -> list[tuple[int, ...]]:
    """What lies between breaks."""
    text = ",".join("|" if s < 0 else str(s) for s in sequence)
    return [tuple(int(s) for s in run.split(",") if s) for run in text.split("|")]


def exact_bits(train, held_out, *, num_symbols: int, max_order: int, weight: int, complement=None) -> list[float]:
    """The definition, in fractions: runs between breaks, counts by context, one recursion a symbol."""
    counted = [run for sequence in train for run in runs(sequence)]
    if complement is not None:
        counted += [tuple(complement[s] for s in reversed(run)) for run in counted]
    word, context = Counter(), Counter()
    for run in counted:
        for i in range(len(run)):
            for order in range(min(i, max_order) + 1):
                word[run[i - order : i + 1]] += 1
                context[run[i - order : i]] += 1

    def probability(run: tuple[int, ...], i: int, order: int) -> Fraction:
        if order < 0:
            return Fraction(1, num_symbols)
        below = probability(run, i, order - 1)
        if order > i:
            return below
        return (word[run[i - order : i + 1]] + weight * below) / (context[run[i - order : i]] + weight)

    scored = [(run, i) for sequence in held_out for run in runs(sequence) for i in range(len(run))]
    return [-sum(math.log2(probability(*at, order)) for at in scored) / len(scored) for order in range(max_order + 1)]


def test_by_hand() -> None:
    # AAC: n(A) = 2, n(C) = 1; after A: one A, one C. With w = 2: P_0(A) = (2 + 1/2) / 5 = 1/2, P_0(C) = 3/10,
    # P_0(T) = 1/10, P_1(A|A) = (1 + 2 * 1/2) / 4 = 1/2, P_1(C|A) = (1 + 2 * 3/10) / 4 = 2/5;
    # nothing followed T.
    model = InterpolatedMarkov(4, 1, weight=2).fit([symbols("AAC")])
    order_0 = -(math.log2(1 / 2) + math.log2(3 / 10) + math.log2(1 / 10) + math.log2(1 / 2)) / 4
    order_1 = -(math.log2(1 / 2) + math.log2(2 / 5) + math.log2(1 / 10) + math.log2(1 / 2)) / 4
    assert model.bits([symbols("ACTA")]).tolist() == pytest.approx([order_0, order_1], abs=1e-14)


def test_contexts_do_not_bridge_a_break() -> None:
    # Across N nothing follows A, so that C after A costs what P_0(C) = (1 + 2 * 1/4) / 4 = 3/8 does.
    model = InterpolatedMarkov(4, 1, weight=2).fit([symbols("ANC")])
    assert model.bases == 2
    held_out = -(math.log2(3 / 8) + math.log2(3 / 8)) / 2
    assert model.bits([symbols("AC")]).tolist() == pytest.approx([held_out] * 2, abs=1e-14)
    # And when C is scored after a break, what followed A does not matter.
    model = InterpolatedMarkov(4, 1, weight=2).fit([symbols("AC")])
    assert model.bits([symbols("NC"), symbols("C")])[1] == pytest.approx(-math.log2(3 / 8), abs=1e-14)


@pytest.mark.parametrize("both_strands", [False, True], ids=["one-strand", "both-strands"])
@pytest.mark.parametrize("chunk", [1, 3, 7, 1 << 17], ids=lambda chunk: f"chunk-{chunk}")
@pytest.mark.parametrize(("num_symbols", "max_order"), [(4, 0), (4, 5), (3, 2)], ids=["4-0", "4-5", "3-2"])
def test_equals_the_definition(num_symbols, max_order, chunk, both_strands, monkeypatch) -> None:
    monkeypatch.setattr(markov, "_CHUNK", chunk)
    rng = np.random.default_rng(num_symbols + max_order)
    lengths = [60, 1, 0, 33, 7]
    train = [rng.integers(-1, num_symbols, length).astype(np.int8) for length in lengths]
    held_out = [rng.integers(-1, num_symbols, length).astype(np.int16) for length in reversed(lengths)]
    complement = np.arange(num_symbols)[::-1] if both_strands else None
    model = InterpolatedMarkov(num_symbols, max_order, weight=3).fit(iter(train), complement)
    expected = exact_bits(
        train, held_out, num_symbols=num_symbols, max_order=max_order, weight=3, complement=complement
    )
    assert model.bits(iter(held_out)).tolist() == pytest.approx(expected, rel=1e-12)
    assert model.bases == sum(int((sequence >= 0).sum()) for sequence in train)


def test_both_strands_weigh_the_same() -> None:
    rng = np.random.default_rng(1)
    train, held_out = rng.integers(-1, 4, 500).astype(np.int8), rng.integers(0, 4, 200).astype(np.int8)
    other_strand = np.append(DNA_COMPLEMENT, -1)[train[::-1]].astype(np.int8)
    forward = InterpolatedMarkov(4, 4).fit([train], DNA_COMPLEMENT)
    backward = InterpolatedMarkov(4, 4).fit([other_strand], DNA_COMPLEMENT)
    by_hand = InterpolatedMarkov(4, 4).fit([train, other_strand])
    assert forward.bits([held_out]).tolist() == backward.bits([held_out]).tolist()
    assert forward.bits([held_out]).tolist() == by_hand.bits([held_out]).tolist()
    assert (forward.bits([held_out]) != InterpolatedMarkov(4, 4).fit([train]).bits([held_out])).all()


def test_probabilities_of_every_symbol_sum_to_one() -> None:
    rng = np.random.default_rng(2)
    model = InterpolatedMarkov(4, 3).fit([rng.integers(0, 4, 300).astype(np.int8)])
    for word in rng.integers(0, 4, (20, 3)):
        ends = [np.append(word, last).astype(np.int8) for last in range(4)]
        whole = np.array([model.bits([end]) * 4 for end in ends])
        before = model.bits([word.astype(np.int8)]) * 3
        assert np.exp2(before - whole).sum(0).tolist() == pytest.approx([1.0] * 4)


def test_a_second_fit_forgets_the_first() -> None:
    model = InterpolatedMarkov(4, 2).fit([symbols("ACGTACGT")])
    fresh = InterpolatedMarkov(4, 2).fit([symbols("GGGTT")])
    assert model.fit([symbols("GGGTT")]).bits([symbols("GTA")]).tolist() == fresh.bits([symbols("GTA")]).tolist()
    assert model.bases == 5


@pytest.mark.parametrize(("num_symbols", "order"), [(2, 25), (4, 12), (256, 2)], ids=["2", "dna", "bytes"])
def test_largest_order_fits_and_the_next_does_not(num_symbols: int, order: int) -> None:
    assert largest_order(num_symbols) == order
    assert num_symbols ** (order + 1) <= markov.MAX_ENTRIES < num_symbols ** (order + 2)
    with pytest.raises(ValueError, match=rf"max_order is {order + 1}.*between 0 and {order}"):
        InterpolatedMarkov(num_symbols, order + 1)


REFUSED = {
    "one-symbol": (lambda: InterpolatedMarkov(1, 0), "num_symbols is 1"),
    "no-weight": (lambda: InterpolatedMarkov(4, 1, weight=0), "weight is 0"),
    "not-fitted": (lambda: InterpolatedMarkov(4, 1).bits([symbols("A")]), "call fit first"),
    "nothing-to-score": (
        lambda: InterpolatedMarkov(4, 1).fit([]).bits([symbols("NN")]),
        "no symbol to score",
    ),
    "symbol-too-high": (lambda: InterpolatedMarkov(4, 1).fit([np.array([0, 4])]), "symbols from 0 to 4"),
    "symbol-too-low": (lambda: InterpolatedMarkov(4, 1).fit([np.array([-2])]), "symbols from -2"),
    "unsigned": (lambda: InterpolatedMarkov(4, 1).fit([np.zeros(3, np.uint8)]), "dtype uint8"),
    "two-dimensional": (lambda: InterpolatedMarkov(4, 1).fit([np.zeros((3, 1), np.int8)]), r"shape \(3, 1\)"),
    "no-pairs": (lambda: InterpolatedMarkov(4, 1).fit([], np.array([1, 2, 3, 0])), "must pair the symbols"),
    "short-complement": (lambda: InterpolatedMarkov(4, 1).fit([], np.array([1, 0])), "must pair the symbols"),
}


@pytest.mark.parametrize(("act", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(act, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()


@pytest.mark.slow
def test_published_figures_of_yeast(data_dir: Path) -> None:
    letters = np.full(256, -1, np.int8)
    letters[np.frombuffer(b"ACGT", np.uint8)] = range(4)
    train, held_out = [], []
    records = gzip.decompress((data_dir / "yeast" / "S288C_R64-2-1.fsa.gz").read_bytes()).split(b">")[1:]
    for record in records:
        header, _, body = record.partition(b"\n")
        sequence = letters[np.frombuffer(body.replace(b"\n", b""), np.uint8)]
        if b"[chromosome=IV]" in header or b"[chromosome=XII]" in header:
            held_out.append(sequence)
        elif b"mitochondrion" not in header:
            train.append(sequence)
    assert (len(train), len(held_out)) == (14, 2)
    bits = InterpolatedMarkov(4, 12, weight=12).fit(train, DNA_COMPLEMENT).bits(held_out)
    assert bits[::2].tolist() == pytest.approx([1.959, 1.945, 1.940, 1.936, 1.932, 1.943, 1.976], abs=5e-4)
