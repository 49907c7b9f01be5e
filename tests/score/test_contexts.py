"""What a block costs with each context: by hand, against one pass, and on the same bases throughout."""

import math

import numpy as np
import pytest
import torch

from genomamba.coordinates import Interval
from genomamba.data.classes import read_classes
from genomamba.data.stream import sample_generator
from genomamba.errors import DataError, RunError
from genomamba.score.context_curve import describe, points_of, verdict
from genomamba.score.contexts import Costs, Window, draw_targets, score_contexts
from genomamba.score.partial import Partial
from genomamba.train.objective import mask_tokens
from toys import RecallingModel

SIZE = 8


def windows(*contexts, causal=True):
    return [Window(context, SIZE, causal) for context in contexts]


def whole(genome):
    return [Interval(contig.name, 0, contig.length) for contig in genome.contigs]


def tokens_of(genome, interval):
    return genome.alphabet.token_of_symbol[genome.fetch(interval.contig, interval.start, interval.end)]


def bits_of(logits, tokens):
    return -logits.log_softmax(-1).gather(-1, torch.as_tensor(tokens)[:, None])[:, 0] / math.log(2)


def test_a_block_is_cheap_as_soon_as_its_context_holds_what_tells_it(make_genome, random_text):
    text = random_text(100, 1, "ACT") + "GGTC" + random_text(500, 2, "ACT")
    genome = make_genome({"one": text})
    targets = draw_targets(genome, [Interval("one", 300, 452)], Window(256, SIZE, True), 1_000, 0)
    assert len(targets.blocks) == 152 // SIZE
    costs = score_contexts(RecallingModel().eval(), genome, targets.blocks, windows(16, 200, 256), chunk=100)
    assert costs.contexts == (16, 200, 256)
    known = math.log2(1 + 3 * math.exp(-9))
    for context, row in zip(costs.contexts, costs.bits, strict=True):
        for block, found in zip(targets.blocks, row, strict=True):
            bases = text[block.start : block.end]
            wrong = SIZE - bases.count("C")
            reaches = block.start - context <= 100
            assert found == pytest.approx(SIZE * known + wrong * 9 / math.log(2) if reaches else 2 * SIZE, rel=1e-4)
    reached = (costs.bits != costs.bits[0]).sum(1).tolist()
    assert reached == [0, 1, 8]


@pytest.mark.parametrize("chunk", [7, 64, 10_000])
def test_causal_costs_are_those_of_one_pass_over_exactly_the_context(make_genome, make_model, random_text, chunk):
    model, genome = make_model(), make_genome({"one": random_text(200), "two": random_text(90, 1)})
    blocks = [Interval("one", 64, 72), Interval("one", 150, 158), Interval("two", 80, 88)]
    costs = score_contexts(model, genome, blocks, windows(8, 33, 64), chunk=chunk)
    assert costs.bases.tolist() == [SIZE] * 3
    for context, row in zip(costs.contexts, costs.bits, strict=True):
        for block, found in zip(blocks, row, strict=True):
            read = tokens_of(genome, Interval(block.contig, block.start - context, block.end))
            with torch.no_grad():
                logits = model(torch.as_tensor([[genome.alphabet.bos, *read[:-1]]]))[0]
            assert found == pytest.approx(bits_of(logits, read)[-SIZE:].sum().item(), rel=1e-6)


@pytest.mark.parametrize("equivariant", [False, True])
@pytest.mark.parametrize("chunk", [5, 50, 10_000])
def test_masked_costs_are_those_of_the_window_around_it(make_genome, make_model, random_text, equivariant, chunk):
    model = make_model(direction="bidirectional", equivariant=equivariant)
    genome = make_genome({"one": random_text(300)})
    blocks = [Interval("one", start, start + SIZE) for start in (40, 100, 250)]
    costs = score_contexts(model, genome, blocks, windows(8, 21, 64, causal=False), chunk=chunk, seed=3)
    for context, row in zip(costs.contexts, costs.bits, strict=True):
        left = (context - SIZE) // 2
        for number, (block, found) in enumerate(zip(blocks, row, strict=True)):
            targets = tokens_of(genome, block)
            read = tokens_of(genome, Interval("one", block.start - left, block.start - left + context)).copy()
            inside = read[left : left + SIZE]
            chosen = mask_tokens(inside, genome.alphabet, sample_generator(3, number, "evaluation mask"))
            with torch.no_grad():
                logits = model(torch.as_tensor(read)[None])[0, left : left + SIZE]
            assert costs.bases[number] == chosen.sum() == 1
            assert found == pytest.approx(bits_of(logits, targets)[chosen].sum().item(), rel=1e-6)


def test_a_window_lies_around_its_block():
    for causal, context, ends in ((True, 5, (15, 24)), (False, 8, (20, 28)), (False, 13, (18, 31))):
        window = Window(context, SIZE, causal)
        around = window.around(Interval("one", 20, 28))
        assert (around.start, around.end if not causal else around.end - 4) == ends
        assert len(around) == len(window)


def test_blocks_have_the_largest_context_on_their_contig_and_no_n(make_genome, random_text):
    text = random_text(400)
    genome = make_genome({"short": text[:71], "one": text[:300] + "N" + text[301:], "edge": text[:72]})
    targets = draw_targets(genome, whole(genome), Window(64, SIZE, True), 10_000, 0)
    assert (targets.bases, targets.usable) == (71 + 400 + 72, 7 + 336 + 8)
    # Of the stretch that begins at 64, the block with the N at 300 is left out.
    starts = [start for start in range(64, 400, SIZE) if not start <= 300 < start + SIZE]
    assert targets.blocks == tuple(
        [Interval("one", start, start + SIZE) for start in starts] + [Interval("edge", 64, 72)]
    )
    both = draw_targets(genome, whole(genome), Window(64, SIZE, False), 10_000, 0)
    assert both.usable == 15 + (400 - 56) + (72 - 56)
    assert {block.contig for block in both.blocks} == {"short", "one", "edge"}
    for block in both.blocks:
        assert 28 <= block.start <= genome.length(block.contig) - 36


def test_a_window_that_is_a_fifth_n_is_passed_over(make_genome, random_text):
    genome = make_genome({"one": random_text(100) + "N" * 20 + random_text(100)})
    targets = draw_targets(genome, whole(genome), Window(92, SIZE, True), 10_000, 0)
    # Of the blocks from 92 on, those from 124 on see 20 N in 100 bases, no more than a fifth.
    assert [block.start for block in targets.blocks] == [92, *range(124, 220 - SIZE + 1, SIZE)]
    fewer = draw_targets(genome, whole(genome), Window(60, SIZE, True), 10_000, 0)
    assert all(block.start < 108 or block.start - 60 > 120 - 14 for block in fewer.blocks)


def test_the_draw_depends_on_the_seed_alone_and_spreads(make_genome, random_text):
    genome = make_genome({"one": random_text(5_000), "two": random_text(5_000, 1)})
    first, again, other = (draw_targets(genome, whole(genome), Window(64, SIZE, True), 40, s).blocks for s in (0, 0, 1))
    assert first == again
    assert len(set(first)) == len(set(other)) == 40
    assert len(set(first) & set(other)) < 10
    assert 8 <= sum(block.contig == "one" for block in first) <= 32


def test_no_room_is_said_in_a_line(make_genome, random_text):
    genome = make_genome({"one": random_text(50), "gap": "N" * 500})
    with pytest.raises(DataError, match=r"all 54 blocks of 8 bases that have 64 bases of context hold N"):
        draw_targets(genome, whole(genome), Window(64, SIZE, True), 10, 0)
    with pytest.raises(DataError, match=r"no block of 8 bases has 64 bases of context around it .*longest .* has 50"):
        draw_targets(genome, whole(genome)[:1], Window(64, SIZE, False), 10, 0)


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_numbers_that_are_not_finite_are_refused(make_genome, make_model, random_text, direction):
    model, genome = make_model(direction=direction), make_genome({"one": random_text(50)})
    torch.nn.init.constant_(model.norm_f.weight, math.nan)
    with pytest.raises(RunError, match="not finite"):
        score_contexts(model, genome, [Interval("one", 20, 28)], windows(8, causal=direction == "causal"), chunk=99)


def test_points_are_means_and_paired_differences():
    # Blocks differ much, contexts by the same amount in every block: the difference is certain, the mean is not.
    bits = np.array([[10.0, 30.0, 45.0, 20.0], [9.0, 28.0, 42.0, 16.0], [10.0, 32.0, 43.0, 20.0]])
    points = points_of(Costs((16, 64, 256), bits, np.array([10, 20, 30, 40])))
    assert [point.bits for point in points] == pytest.approx([1.05, 0.95, 1.05])
    assert [point.change for point in points] == pytest.approx([0.0, -0.1, 0.0])
    assert points[0].low < 0.9 < 1.2 < points[0].high
    assert (points[1].change_low, points[1].change_high) == pytest.approx((-0.1, -0.1))
    assert points[2].change_low < -0.01 < 0.01 < points[2].change_high
    assert verdict(points[:2], "base") == "64 bases of context against 16 save 0.1000 bits per base (0.1000 to 0.1000)"
    said = verdict(points, "base")
    assert said.startswith("256 bases of context against 16: no difference that these bases show (-")
    assert said.endswith("); the fewest bits are those with 64")
    dearer = points_of(Costs((16, 64), bits[1::-1], np.array([10, 20, 30, 40])))
    assert verdict(dearer, "base").startswith("64 bases of context against 16 cost 0.1000 bits per base more (")


def test_one_block_has_no_interval():
    (point,) = points_of(Costs((16,), np.array([[16.0]]), np.array([8])))
    assert point.bits == 2.0
    assert math.isnan(point.low)
    assert math.isnan(point.change_high)
    assert describe([point], "base", masked=False).splitlines()[1].split() == ["16", "2.0000", "-"]
    assert "give more of them" in verdict([point], "base")


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "masked"])
def test_classes_of_a_block_are_its_bases_apart(make_genome, make_model, random_text, tmp_path, causal):
    """Blocks of which each base is a class of its own: their costs are those of the bases, and add up to the block."""
    genome = make_genome({"one": random_text(200), "two": random_text(90, 1)})
    model = make_model(direction="causal" if causal else "bidirectional")
    (tmp_path / "c.bed").write_text("one\t60\t66\texon\none\t152\t153\texon\ntwo\t0\t90\trepeat\n")
    classes = read_classes(tmp_path / "c.bed", genome)
    blocks = [Interval("one", 64, 72), Interval("one", 150, 158), Interval("two", 40, 48)]
    of_bases = [[classes.names[i] for i in classes.of(block)] for block in blocks]
    partial = Partial(tmp_path / "partial", {}, 0)
    given = {"chunk": 64, "seed": 3, "classes": classes}
    costs = score_contexts(model, genome, blocks, windows(8, 33, causal=causal), **given, partial=partial)
    plain = score_contexts(model, genome, blocks, windows(8, 33, causal=causal), chunk=64, seed=3)
    np.testing.assert_allclose(costs.bits, plain.bits)
    np.testing.assert_allclose(sum(one.bits for one in costs.by_class.values()), costs.bits)
    np.testing.assert_array_equal(sum(one.bases for one in costs.by_class.values()), costs.bases)
    if causal:
        assert {name: one.bases.tolist() for name, one in costs.by_class.items()} == {
            name: [of.count(name) for of in of_bases] for name in ("exon", "repeat", "other")
        }
        for row, context in enumerate((8, 33)):
            read = tokens_of(genome, Interval("one", 64 - context, 72))
            with torch.no_grad():
                logits = model(torch.as_tensor([[genome.alphabet.bos, *read[:-1]]]))[0]
            each = bits_of(logits, read)[-SIZE:]
            assert costs.by_class["exon"].bits[row, 0] == pytest.approx(each[:2].sum().item(), rel=1e-5)
    again = score_contexts(None, genome, blocks, windows(8, 33, causal=causal), **given, partial=partial)
    for name, one in costs.by_class.items():
        np.testing.assert_array_equal(again.by_class[name].bits, one.bits)
