"""Splits divide the bases, each base once; tiles score each base once."""

import pytest

from genomamba.coordinates import Interval
from genomamba.data.windows import Tile, make_split, tile
from genomamba.errors import ConfigError, DataError

LENGTHS = {"a": 50_000, "b": 30_000, "c": 20_000, "tiny": 10}


@pytest.fixture
def genome(made_genome):
    return made_genome({name: "ACGTA" * (n // 5) for name, n in LENGTHS.items()})


def bases(intervals):
    return {(i.contig, position) for i in intervals for position in range(i.start, i.end)}


def check_partition(split, lengths):
    sets = [bases(s) for s in (split.train, split.valid, split.test)]
    sizes = [sum(map(len, s)) for s in (split.train, split.valid, split.test)]
    assert sizes == [len(s) for s in sets]
    assert sum(sizes) == len(set().union(*sets)) == sum(lengths.values())
    return sizes


def test_shares_come_out_as_asked(genome):
    split = make_split(genome, valid_share=0.05, test_share=0.1, seed=3)
    _, valid, test = check_partition(split, LENGTHS)
    assert valid == pytest.approx(0.05 * 100_010, abs=600)
    assert test == pytest.approx(0.1 * 100_010, abs=600)
    assert len(split.valid) > 1
    assert [i.contig for i in split.train] == sorted(i.contig for i in split.train)


@pytest.mark.parametrize("length", [230_218, 5_386, 1000])
def test_a_small_genome_gets_blocks_of_each_kind(length, made_genome):
    split = make_split(made_genome({"a": "A" * length}))
    train, valid, test = check_partition(split, {"a": length})
    assert min(valid, test) > 0
    assert train > 0.7 * length or length == 1000
    if length > 200_000:
        assert min(len(split.valid), len(split.test)) >= 3


def test_blocks_are_at_most_a_million(tmp_path, made_genome):
    split = make_split(made_genome({"a": "A" * 3_000_000, "b": "C" * 100}), block=1_000_000, valid_share=0.3)
    assert {len(i) for i in split.valid} == {1_000_000}
    assert all(i.start % 1_000_000 == 0 for i in split.valid + split.test)


def test_the_end_of_a_contig_is_no_held_out_part_by_itself(made_genome):
    genome = made_genome({"a": "A" * 10_020})
    for seed in range(40):
        split = make_split(genome, block=1_000, valid_share=0.002, test_share=0.002, seed=seed)
        assert [len(i) for i in split.valid + split.test] == [1_000, 1_000]
    # Where there are but ends, one is drawn.
    of_ends = make_split(made_genome(dict.fromkeys("abcd", "A" * 20)), block=1_000, valid_share=0.01, test_share=0)
    assert [len(i) for i in of_ends.valid] == [20]


def test_the_draw_depends_on_seed_contig_and_block_alone(genome, made_genome):
    first = make_split(genome, seed=0, block=500)
    assert make_split(genome, seed=0, block=500) == first
    assert make_split(genome, seed=1, block=500) != first
    other = made_genome({"c": "T" * LENGTHS["c"], "b": "T" * LENGTHS["b"], "a": "T" * LENGTHS["a"], "tiny": "T" * 10})
    assert bases(make_split(other, seed=0, block=500).valid) == bases(first.valid)


def test_named_sets_are_what_was_named(genome, tmp_path):
    split = make_split(genome, valid=["b"], test=["t*"])
    assert split.valid == (Interval("b", 0, 30_000),)
    assert split.test == (Interval("tiny", 0, 10),)
    assert split.train == (Interval("a", 0, 50_000), Interval("c", 0, 20_000))
    bed = tmp_path / "held.bed"
    bed.write_text("a\t10\t20\nchra\t15\t25\tname\na\t25\t30\n")
    split = make_split(genome, valid_bed=bed, test=["c"], valid=["b"])
    assert split.valid == (Interval("a", 10, 30), Interval("b", 0, 30_000))
    assert split.train == (Interval("a", 0, 10), Interval("a", 30, 50_000), Interval("tiny", 0, 10))
    check_partition(split, LENGTHS)


def test_a_set_that_is_not_named_is_drawn_from_all_other_bases(genome, tmp_path):
    split = make_split(genome, test=["a"], valid_share=0.1)
    _, valid, test = check_partition(split, LENGTHS)
    assert test == 50_000
    assert {i.contig for i in split.valid} <= {"b", "c", "tiny"}
    assert valid == pytest.approx(0.1 * 50_010, abs=300)
    assert make_split(genome, test=["a"], valid_share=0).valid == ()
    bed = tmp_path / "held.bed"
    bed.write_text("a\t10\t49990\nb\t0\t29000\n")
    split = make_split(genome, test_bed=bed, valid_share=0.5)
    _, valid, test = check_partition(split, LENGTHS)
    assert test == 78_980
    assert valid == pytest.approx(0.5 * 21_030, abs=150)
    drawn = make_split(genome, test_bed=bed, valid_share=0.5, block=1000).valid
    ends = {(i.contig, end) for i in drawn for end in (i.start, i.end)}
    assert all(end % 1000 == 0 or end in (10, 49_990, LENGTHS[contig]) for contig, end in ends)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"valid": ["a"], "test": ["a"]}, ConfigError, "validation and test overlap: a:1-50,000 and a:1-50,000"),
        ({"valid": ["*"], "test_share": 0}, ConfigError, "no base is left to train on"),
        ({"valid": ["*"]}, ConfigError, "no base is left to train on"),
        ({"valid": ["chrQ"]}, DataError, "no sequence 'chrQ'"),
        ({"valid_share": 0.6, "test_share": 0.6}, ConfigError, "too few to hold out 60% and 60% and train on the rest"),
    ],
    ids=["overlap", "all held out", "all held out, test drawn", "absent", "shares"],
)
def test_splits_that_cannot_be_are_told(options, error, message, genome):
    with pytest.raises(error, match=message):
        make_split(genome, **options)


def test_sets_of_two_bed_files_may_not_overlap(genome, tmp_path):
    (tmp_path / "v.bed").write_text("a\t0\t100\nb\t0\t5\n")
    (tmp_path / "t.bed").write_text("a\t99\t120\n")
    with pytest.raises(ConfigError, match="overlap: a:1-100 and a:100-120"):
        make_split(genome, valid_bed=tmp_path / "v.bed", test_bed=tmp_path / "t.bed")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t1\n", "held.bed:1: 2 columns, expected at least 3"),
        ("# c\ntrack x\na\tone\t2\n", "held.bed:3: 'one' to '2', expected two numbers"),
        ("a\t5\t5\n", r"held.bed:1: \[5, 5\) is not a stretch within a, which has 50,000 bases"),
        ("a\t0\t50001\n", r"held.bed:1: \[0, 50001\) is not a stretch within a"),
        ("q\t0\t5\n", "held.bed:1: .*no sequence 'q'"),
        ("# nothing\n", "held.bed: no stretch in it"),
    ],
    ids=["columns", "numbers", "empty", "past the end", "absent", "no stretch"],
)
def test_bad_bed_files_are_told_by_line(text, message, genome, tmp_path):
    (tmp_path / "held.bed").write_text(text)
    with pytest.raises(DataError, match=message):
        make_split(genome, valid_bed=tmp_path / "held.bed")


def test_tiles_by_hand():
    cut = tile([Interval("a", 10, 22), Interval("b", 0, 3)], context=5, stride=2)
    a = [(10, 15, 10), (12, 17, 15), (14, 19, 17), (16, 21, 19), (18, 22, 21)]
    assert cut == [
        *(Tile(Interval("a", start, end), Interval("a", scored, end)) for start, end, scored in a),
        Tile(Interval("b", 0, 3), Interval("b", 0, 3)),
    ]


@pytest.mark.parametrize("stride", [None, 1, 3, 7])
@pytest.mark.parametrize("length", [1, 6, 7, 8, 100])
def test_each_base_is_scored_once_with_context_to_its_left(length, stride):
    context = 7
    cut = tile([Interval("a", 3, 3 + length)], context, stride)
    assert [p for t in cut for p in range(t.scored.start, t.scored.end)] == list(range(3, 3 + length))
    for t in cut:
        assert t.window.start <= t.scored.start < t.scored.end <= t.window.end
        assert len(t.window) <= context
        assert t.window.start == 3 or t.scored.start - t.window.start >= context - (stride or context)


@pytest.mark.parametrize("stride", [0, 8])
def test_a_stride_outside_the_context_is_refused(stride):
    with pytest.raises(ValueError, match="is not within 1 and the context"):
        tile([Interval("a", 0, 5)], 7, stride)
