"""Every held-out base is scored once, and scored as by hand."""

import math

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.coordinates import Interval
from genomamba.data.classes import read_classes
from genomamba.data.genome import Genome
from genomamba.data.windows import tile
from genomamba.model import LanguageModel
from genomamba.train.evaluate import BLOCKS, Scorer, total
from genomamba.train.step import losses_of

DNA = get_alphabet("dna")


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scored")
    sequence = "".join(np.random.default_rng(1).choice(list("ACGTN"), 500, p=[0.3, 0.2, 0.2, 0.25, 0.05]))
    (folder / "made.fa").write_text(f">one\n{sequence}\n>two\n{sequence[:77]}\n")
    return Genome.open([folder / "made.fa"], DNA, cache_dir=folder)


def make_scorer(genome, **changes):
    settings = {"objective": "next_token", "context": 32, "batch_size": 3, "seed": 0}
    return Scorer(genome=genome, **(settings | changes))


def make_model(**shape):
    torch.manual_seed(0)
    return LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4, **shape))


def test_equals_scoring_base_by_base(genome):
    model, interval = make_model(), Interval("one", 40, 140)
    found = make_scorer(genome)(model, [interval])["one"]
    tokens = torch.from_numpy(DNA.token_of_symbol[genome.fetch("one", 40, 140)])
    nats, bases = 0.0, 0
    for at in range(100):
        # Windows begin at 0, 16, 32, ... and score their right half.
        start = 0 if at < 32 else (at - 16) // 16 * 16
        if not DNA.is_target_token[tokens[at]]:
            continue
        read = torch.cat([torch.tensor([DNA.bos]), tokens[start:at]])
        with torch.no_grad():
            nats -= torch.log_softmax(model(read[None])[0, -1], -1)[tokens[at]].item()
        bases += 1
    assert found.bases == bases
    assert found.nats == pytest.approx(nats, rel=1e-5)


def test_an_untrained_head_of_zeros_costs_log2_of_the_vocabulary(genome):
    model = make_model()
    torch.nn.init.zeros_(model.embedding.weight)
    scored = total(make_scorer(genome)(model, [Interval("one", 0, 500), Interval("two", 0, 77)]))
    letters = b"".join(DNA.decode(genome.fetch(name, 0, n) & 0x7F) for name, n in (("one", 500), ("two", 77)))
    assert scored.bases == sum(letters.count(base) for base in b"ACGT")
    assert scored.nats / scored.bases == pytest.approx(math.log(16))


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_does_not_depend_on_the_batch_size(genome, batch_size):
    intervals = [Interval("one", 0, 500), Interval("two", 5, 77)]
    expected = total(make_scorer(genome)(make_model(), intervals))
    found = total(make_scorer(genome, batch_size=batch_size)(make_model(), intervals))
    assert found.bases == expected.bases
    assert found.nats == pytest.approx(expected.nats, rel=1e-6)


def test_blocks_are_of_neighbouring_windows_and_add_up(genome):
    """Two stretches of 500 and 77 bases make 35 windows, so each is a block; of 288 windows of 4, some six are one."""
    intervals = [Interval("one", 0, 500), Interval("two", 0, 77)]
    scored = total(make_scorer(genome)(make_model(), intervals))
    assert len(scored.by_block) == len(tile(intervals, 32, 16))
    by_contig = make_scorer(genome, context=4)(make_model(), intervals)
    whole = total(by_contig)
    assert list(whole.by_block) == list(range(BLOCKS))
    assert sum(bases for _, bases in whole.by_block.values()) == whole.bases
    assert sum(nats for nats, _ in whole.by_block.values()) == pytest.approx(whole.nats)
    # 77 of 577 bases are of the last contig.
    assert min(by_contig["two"].by_block) == pytest.approx(BLOCKS * 500 / 577, abs=1)


def test_a_subset_is_spread_and_smaller(genome):
    scored = total(make_scorer(genome)(make_model(), [Interval("one", 0, 500)], max_bases=100))
    assert 60 <= scored.bases <= 140


def test_masked_models_are_scored_on_masked_bases_alone(genome):
    model = make_model(direction="bidirectional")
    scorer = make_scorer(genome, objective="masked")
    first, again = (scorer(model, [Interval("one", 0, 500)])["one"] for _ in range(2))
    assert first == again
    assert 0.1 * 500 < first.bases < 0.2 * 500


def test_the_model_is_left_in_the_mode_it_was_in(genome):
    model = make_model().train()
    make_scorer(genome)(model, [Interval("two", 0, 77)])
    assert model.training


@pytest.mark.parametrize("objective", ["next_token", "masked"])
def test_classes_are_what_their_bases_cost(genome, tmp_path, objective):
    """The bases of each class, scored one by one, add up to its figure, and all classes to the whole."""
    lines = ((0, 90, "exon"), (95, 260, "intron"), (260, 261, "exon"))
    (tmp_path / "classes.bed").write_text("".join(f"one\t{start}\t{end}\t{name}\n" for start, end, name in lines))
    classes = read_classes(tmp_path / "classes.bed", genome)
    shape = {"direction": "bidirectional"} if objective == "masked" else {}
    model, intervals = make_model(**shape), [Interval("one", 40, 300), Interval("two", 0, 77)]
    scorer = make_scorer(genome, objective=objective, classes=classes)
    nats, bases = {"exon": 0.0, "intron": 0.0, "other": 0.0}, {"exon": 0, "intron": 0, "other": 0}
    spread = tile(intervals, 32, 16 if objective == "next_token" else 32)
    for first in range(0, len(spread), 3):
        inputs, targets, counted = scorer._load(spread[first : first + 3], first)
        losses = losses_of(model.eval(), inputs, targets)
        for row, part in enumerate(spread[first : first + 3]):
            for at in counted[row].nonzero().flatten().tolist():
                position = part.window.start + at
                held = (name for start, end, name in lines if part.window.contig == "one" and start <= position < end)
                name = next(held, "other")
                nats[name] += losses[row, at].item()
                bases[name] += 1
    found = scorer(model, intervals)
    whole = total(found)
    assert list(whole.by_class) == ["exon", "intron", "other"]
    assert {name: one.bases for name, one in whole.by_class.items()} == bases
    assert {name: one.nats for name, one in whole.by_class.items()} == pytest.approx(nats, rel=1e-6)
    plain = total(make_scorer(genome, objective=objective)(model, intervals))
    assert (plain.nats, plain.bases) == (whole.nats, whole.bases)
    assert sum(bases.values()) == whole.bases
