"""Sample i is a pure function of (seed, i), covers each training base, and never touches another."""

from collections import Counter

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval
from genomamba.data.genome import Genome
from genomamba.data.stream import SampleStream, make_loader
from genomamba.data.windows import make_split
from genomamba.errors import ConfigError, DataError

CONTEXT = 64


@pytest.fixture
def genome(made_genome, random_records):
    return made_genome(random_records({"a": 20_000, "b": 3_000, "short": 40}))


@pytest.fixture
def stream(genome):
    return make_stream(genome)


def make_stream(genome, regions=None, **options):
    regions = regions or [Interval(c.name, 0, c.length) for c in genome.contigs]
    return SampleStream(genome, regions, **({"context": CONTEXT, "seed": 0} | options))


def same(left, right):
    return (left.index, left.interval, left.strand) == (right.index, right.interval, right.strand) and (
        left.tokens.tolist() == right.tokens.tolist() and left.weights.tolist() == right.weights.tolist()
    )


def test_a_sample_depends_on_seed_and_number_alone(genome, stream):
    again, other = make_stream(genome), make_stream(genome, seed=1)
    numbers = [0, 1, 7, stream.windows_per_epoch, 10**6, 2**40]
    for i in reversed(numbers):
        assert same(again[i], stream[i])
        assert again[i].index == i
    assert sum(same(other[i], stream[i]) for i in numbers) == 0


@pytest.mark.parametrize("length", [1, 63, 64, 65, 127, 128, 150, 640, 1000])
def test_coverage_of_an_epoch_is_what_the_text_says(length, genome):
    region = Interval("a", 500, 500 + length)
    stream = make_stream(genome, [region])
    count = stream.windows_per_epoch
    assert count == max(1, length // CONTEXT)
    seen = np.zeros(length, int)
    for epoch in range(200):
        read = np.zeros(length, int)
        for i in range(epoch * count, (epoch + 1) * count):
            interval = stream.interval(i)
            assert region.start <= interval.start < interval.end <= region.end
            assert len(interval) == min(CONTEXT, length)
            read[interval.start - 500 : interval.end - 500] += 1
        assert (read[CONTEXT:-CONTEXT] == 1).all()
        assert read.max() <= 2
        seen += read > 0
    assert seen.min() > 0.2 * 200


def test_each_epoch_has_borders_and_an_order_of_its_own(genome):
    stream = make_stream(genome, [Interval("a", 0, 20_000)])
    count = stream.windows_per_epoch
    epochs = [[stream.interval(i).start for i in range(e * count, (e + 1) * count)] for e in range(3)]
    assert len({min(starts) % CONTEXT for starts in epochs}) > 1
    ranks = [np.argsort(np.argsort(starts)) for starts in epochs]
    assert abs(np.corrcoef(ranks[0], ranks[1])[0, 1]) < 0.2
    assert all(len(set(starts)) == count for starts in epochs)


@pytest.mark.parametrize("strand", ["random", "forward"])
def test_no_training_window_touches_a_held_out_base(strand, genome, tmp_path):
    held_bed = tmp_path / "held.bed"
    held_bed.write_text("a\t100\t140\na\t5000\t5001\nb\t0\t64\nb\t2990\t3000\n")
    for options in ({}, {"valid_bed": held_bed}, {"valid": ["b"], "test_share": 0.3}):
        split = make_split(genome, **options)
        held = {name: np.zeros(20_000, bool) for name in ("a", "b", "short")}
        for interval in split.valid + split.test:
            held[interval.contig][interval.start : interval.end] = True
        assert sum(map(np.sum, held.values())) > 0
        stream = make_stream(genome, split.train, strand=strand, max_n=0.1)
        for i in range(3 * stream.windows_per_epoch):
            sample = stream[i]
            assert not held[sample.interval.contig][sample.interval.start : sample.interval.end].any()
            assert np.count_nonzero(sample.weights) <= len(sample.interval)


def test_tokens_and_weights_by_hand(made_genome, dna):
    genome = made_genome({"one": "AACgtNNc"})
    region = [Interval("one", 1, 8)]
    forward = make_stream(genome, region, context=10, strand="forward", softmask_weight=0.25)[0]
    assert dna.decode(forward.tokens) == b"ACGTNNCNNN"
    assert forward.weights.tolist() == [1, 1, 0.25, 0.25, 0, 0, 0.25, 0, 0, 0]
    assert (forward.tokens.dtype, forward.weights.dtype) == (np.int64, np.float32)
    stream = make_stream(genome, region, context=10, softmask_weight=0.25)
    reverse = next(s for s in map(stream.__getitem__, range(99)) if s.strand == "-")
    assert dna.decode(reverse.tokens) == b"GNNACGTNNN"
    assert reverse.weights.tolist() == [0.25, 0, 0, 0.25, 0.25, 1, 1, 0, 0, 0]


def test_strands_are_drawn_evenly_and_tokens_follow(genome, stream, dna):
    strands = Counter()
    for i in range(1000):
        sample = stream[i]
        interval = sample.interval
        strands[sample.strand] += 1
        tokens = dna.token_of_symbol[genome.fetch(interval.contig, interval.start, interval.end)]
        expected = tokens if sample.strand == "+" else dna.reverse_complement(tokens)
        assert sample.tokens[: len(interval)].tolist() == expected.tolist()
    assert 430 < strands["+"] < 570
    forward = make_stream(genome, strand="forward")
    assert {forward[i].strand for i in range(50)} == {"+"}


def test_windows_of_n_are_drawn_again(made_genome):
    genome = made_genome({"a": "ACGT" * 1000 + "N" * 4000 + "ACGT" * 500})
    stream = make_stream(genome, max_n=0.2, strand="forward")
    intervals = [stream[i].interval for i in range(300)]
    shares = [(genome.fetch("a", x.start, x.end) == 11).mean() for x in intervals]
    assert max(shares) <= 0.2
    assert any(x != stream.interval(i) for i, x in enumerate(intervals))
    assert [stream[i].interval for i in (5, 299)] == [intervals[5], intervals[299]]
    assert len({intervals[i] for i in range(300) if intervals[i] != stream.interval(i)}) > 10
    everything = make_stream(genome, max_n=1.0)
    assert max((genome.fetch("a", x.start, x.end) == 11).mean() for x in map(everything.interval, range(150))) == 1


def test_a_genome_of_n_ends_in_an_error_and_not_in_a_loop(made_genome):
    stream = make_stream(made_genome({"a": "N" * 1000}), max_n=0.5)
    with pytest.raises(DataError, match=r"made.fa: 256 windows of 64 bases .* more than 50% N; raise --max-n"):
        stream[0]


def test_padding_is_no_n(made_genome):
    sample = make_stream(made_genome({"a": "ACGTN"}), max_n=0.2)[0]
    assert np.count_nonzero(sample.weights) == 4
    assert sample.tokens[5:].tolist() == [11] * 59


def test_the_share_of_n_is_of_the_bases_and_not_of_the_context(made_genome):
    with pytest.raises(DataError, match="more than 20% N"):
        make_stream(made_genome({"a": "ACNNN"}), max_n=0.2)[0]


def test_bytes_read_forward_and_pad_with_a_special(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"some text\n")
    alphabet = get_alphabet("bytes")
    genome = Genome.open([tmp_path / "x.txt"], alphabet)
    with pytest.raises(ConfigError, match="bytes alphabet has no complement; use --strand forward"):
        make_stream(genome)
    sample = make_stream(genome, context=12, strand="forward", softmask_weight=0.5, max_n=0.0)[3]
    assert alphabet.decode(sample.tokens) == b"some text\n??"
    assert sample.tokens[10:].tolist() == [alphabet.pad] * 2
    assert sample.weights.tolist() == [1] * 10 + [0] * 2


@pytest.mark.parametrize(
    ("regions", "options", "message"),
    [([Interval("a", 5, 5)], {}, "no region to draw windows from"), (None, {"context": 0}, "--context is 0")],
    ids=["no region", "no context"],
)
def test_a_stream_of_nothing_is_refused(regions, options, message, genome):
    with pytest.raises(ConfigError, match=message):
        make_stream(genome, regions, **options)


def test_batches_do_not_depend_on_the_number_of_workers(stream):
    expected = [[stream[i] for i in range(first, first + 3)] for first in range(11, 11 + 8 * 3, 3)]
    for workers in (0, 1, 2):
        loader = make_loader(stream, first=11, batch_size=3, collate=list, workers=workers)
        for batch in expected:
            assert all(same(*pair) for pair in zip(next(loader), batch, strict=True))
        loader.close()


def test_the_loader_leaves_the_generator_of_the_training_alone(stream):
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    next(make_loader(stream, first=0, batch_size=2, collate=list, workers=0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_stays_one_line(workers, made_genome):
    stream = make_stream(made_genome({"a": "N" * 1000}), max_n=0.5)
    with pytest.raises(DataError) as error:
        next(make_loader(stream, first=0, batch_size=2, collate=list, workers=workers))
    assert "more than 50% N" in str(error.value)
    assert "\n" not in str(error.value)
