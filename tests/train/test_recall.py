"""Recall: right at any distance by a model built for it, by chance without its state, learnt by one that is trained."""

import itertools
import math

import pytest
import torch

from genomamba.config import ModelConfig
from genomamba.data.recall import MARKERS, RecallTask
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.train.recall import Stage, recall_accuracy, stages_to, train_recall
from toys import MarkovModel, RecallingModel, dna_table

ONE = RecallTask(markers=("GGT",), payload=1)


@pytest.mark.parametrize("chunk", [1_000, 100_000])
def test_a_model_built_to_recall_is_right_at_every_distance(chunk):
    model = RecallingModel().eval()
    read = []
    found = recall_accuracy(model, ONE, [4, 5, 300, 16_384], sequences=4, chunk=chunk, after_chunk=read.append)
    assert [(one.distance, one.asked, one.right) for one in found] == [(d, 4, 4) for d in (4, 5, 300, 16_384)]
    assert sum(read) == 4 * 16_384


def test_each_base_of_a_payload_is_predicted_where_the_one_before_it_was_read():
    follows = {"A": "C", "C": "G", "G": "T", "T": "A"}
    table = dna_table({base: [float(other == after) for other in "ACGT"] for base, after in follows.items()})
    task = RecallTask(markers=("GGT", "GGA"), payload=2)
    model = MarkovModel(table).eval()
    (found,) = recall_accuracy(model, task, [64], sequences=50)
    right = 0
    for index in range(50):
        for row in task.question(index, 64).asked:
            text = "".join("ACGT"[code] for code in row)
            right += sum(follows[text[at - 1]] == text[at] for at in (3, 4))
    assert (found.asked, found.right) == (200, right)


def test_without_its_state_it_can_only_guess():
    model = RecallingModel().eval()
    kept, cut = (recall_accuracy(model, ONE, [40], sequences=400, forget=forget)[0] for forget in (False, True))
    assert (kept.accuracy, cut.asked) == (1.0, 400)
    # 400 guesses among four: 100, deviation 8.7.
    assert cut.right == pytest.approx(100, abs=4 * 8.7)


def test_what_decays_is_recalled_until_nothing_is_left_of_it():
    model = RecallingModel(forgets=0.1).eval()
    near, far = recall_accuracy(model, ONE, [512, 2_048], sequences=100)
    assert near.accuracy == 1.0
    assert far.right == pytest.approx(25, abs=4 * 4.4)


def test_an_untrained_model_is_right_by_chance():
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(d_model=16, num_layers=1, d_state=4)).eval()
    (found,) = recall_accuracy(model, RecallTask(), [64], sequences=64)
    assert found.asked == 64 * 4 * 4
    assert found.right == pytest.approx(256, abs=5 * 13.9)


def test_training_is_on_what_is_asked_alone():
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(d_model=16, num_layers=1, d_state=4))
    start = {name: value.clone() for name, value in model.state_dict().items()}
    task, stage = RecallTask(markers=MARKERS[:1], payload=1), Stage(1, 1, 32)
    (first,) = train_recall(model, task, [stage], steps=1, tokens_per_step=96)
    model.load_state_dict(start)
    losses = []
    for index in range(3):
        sample = task.sample(index, 32)
        tokens = torch.from_numpy(sample.codes) + 7
        with torch.no_grad():
            logits = model(torch.cat([torch.tensor([2]), tokens[:-1]])[None])[0].log_softmax(-1)
        losses += [-logits[at, tokens[at]].item() for at in sample.is_asked.nonzero()[0]]
    assert first.loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_stages_go_on_when_they_are_learnt_and_not_before():
    torch.manual_seed(0)
    stages = [Stage(1, 1, 16), Stage(1, 1, 32)]
    made = ModelConfig(d_model=16, num_layers=1, d_state=4)
    for enough, expected in ((0.0, [16] * 3 + [32] * 5), (1.1, [16] * 8)):
        task = RecallTask(markers=MARKERS[:1], payload=1)
        steps = train_recall(LanguageModel(made), task, stages, steps=8, tokens_per_step=64, enough=enough, fewest=3)
        assert [step.stage.length for step in steps] == expected


def test_stages_lead_from_one_base_to_the_whole_task():
    stages = stages_to(RecallTask(), 1_000)
    assert stages[0] == Stage(1, 1, 64)
    assert stages[-1] == Stage(4, 4, 512)
    for before, after in itertools.pairwise(stages):
        grown = [getattr(after, name) / getattr(before, name) for name in ("markers", "payload", "length")]
        assert max(grown) == 2.0
        assert min(grown) >= 1.0
    assert stages_to(ONE, 64) == [Stage(1, 1, 64)]


def test_what_cannot_be_asked_is_refused():
    model = LanguageModel(ModelConfig(d_model=8, num_layers=1, direction="bidirectional"))
    with pytest.raises(ConfigError, match="needs a causal model over dna"):
        recall_accuracy(model, ONE, [64], sequences=1)
    for distances in ([3], [64, 32], [64, 64]):
        with pytest.raises(ConfigError, match="they must ascend, from 4 or more"):
            recall_accuracy(RecallingModel(), ONE, distances, sequences=1)


@pytest.mark.slow
def test_a_small_model_learns_to_use_distance():
    """Two markers with two bases each, learnt over 16,384 bases in minutes, asked for over up to a million."""
    torch.manual_seed(0)
    task = RecallTask(markers=MARKERS[:2], payload=2)
    model = LanguageModel(ModelConfig(d_model=64, num_layers=2))
    *_, last = train_recall(model, task, stages_to(task, 16_384), steps=1_200)
    assert last.stage.length == 16_384
    model.eval()
    held_out = RecallTask(markers=task.markers, payload=2, seed=1)
    distances = [64, 1_024, 16_384, 65_536, 262_144, 1 << 20]
    found = {one.distance: one for one in recall_accuracy(model, held_out, distances, sequences=16)}
    for distance in distances[:4]:
        assert found[distance].accuracy > 0.9, found
    chance, deviation = 64 / 4, math.sqrt(64 * 3 / 16)
    assert found[262_144].right > chance + 4 * deviation, found
    # At sixty-four times what it has learnt from it may guess, but not worse than that.
    assert found[1 << 20].right > chance - 4 * deviation, found
    (cut,) = recall_accuracy(model, held_out, [64], sequences=64, forget=True)
    assert cut.right == pytest.approx(cut.asked / 4, abs=4 * math.sqrt(cut.asked * 3 / 16))
