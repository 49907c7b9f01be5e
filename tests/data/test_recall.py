"""Made sequences that ask for something read long before: where markers stand, what is asked, and the draw."""

import numpy as np
import pytest

from genomamba.data.recall import BASES, MARKERS, RecallTask
from genomamba.errors import ConfigError


def text_of(codes):
    return "".join(BASES[code] for code in codes)


def places_of(text, markers):
    return [at for at in range(len(text)) if text[at : at + len(markers[0])] in markers]


@pytest.mark.parametrize("length", [16, 17, 64, 1_000])
@pytest.mark.parametrize("markers", [1, 2, 4])
def test_a_payload_follows_its_marker_wherever_that_stands(length, markers):
    task = RecallTask()
    lasting, asked = 0, 0
    for index in range(200):
        sample = task.sample(index, length, markers=markers)
        text = text_of(sample.codes)
        places = places_of(text, MARKERS)
        assert len(places) >= 2
        assert places[-1] == length - task.unit
        payloads, is_asked = {}, np.zeros(length, bool)
        for place in places:
            marker, payload = text[place : place + 4], text[place + 4 : place + 8]
            assert payloads.setdefault(marker, payload) == payload
            is_asked[place + 4 : place + 8] = marker in [
                text[before : before + 4] for before in places if before < place
            ]
        np.testing.assert_array_equal(sample.is_asked, is_asked)
        assert len(payloads) <= markers
        # The last marker is the first one, so that something is asked over almost the whole length.
        assert text[places[-1] :] == text[places[0] : places[0] + 8]
        lasting += places[-1] - places[0]
        asked += is_asked.sum()
    assert asked >= 200 * task.payload
    assert lasting / 200 >= length - 2 * task.unit - task.unit


def test_payloads_and_filler_are_uniform_and_drawn_anew():
    task = RecallTask(markers=MARKERS[:2], payload=2)
    samples = [task.sample(index, 256) for index in range(400)]
    payloads = np.array([sample.codes[-2:] for sample in samples])
    counts = np.bincount(payloads[:, 0] * 4 + payloads[:, 1], minlength=16)
    # 400 draws of 16: mean 25, deviation 4.8.
    assert counts.min() > 25 - 4 * 4.8
    assert counts.max() < 25 + 4 * 4.8
    share = np.bincount(np.concatenate([sample.codes for sample in samples]), minlength=4) / (400 * 256)
    np.testing.assert_allclose(share, 0.25, atol=0.04)


def test_a_sequence_is_a_function_of_seed_and_index():
    task, other = RecallTask(seed=1), RecallTask(seed=2)
    first, again = (task.sample(7, 100) for _ in range(2))
    np.testing.assert_array_equal(first.codes, again.codes)
    for changed in (task.sample(8, 100), other.sample(7, 100)):
        assert (changed.codes != first.codes).sum() > 20
    np.testing.assert_array_equal(task.question(7, 1_000).story, task.question(7, 1_000).story)
    assert (task.question(7, 1_000).asked != task.question(8, 1_000).asked).any()


def test_a_question_is_at_the_distance_that_is_said():
    task = RecallTask(markers=MARKERS[:3], payload=3)
    question = task.question(3, 50_000)
    story = text_of(question.story)
    assert places_of(story, MARKERS[:3]) == [0, 7, 14]
    assert [text_of(row) for row in question.asked] == [story[at : at + 7] for at in (0, 7, 14)]
    assert [row[:4] for row in map(text_of, question.asked)] == list(MARKERS[:3])
    for distance in (7, 8, 50_000):
        read = task.read_before(distance)
        assert read <= len(story)
        # The last marker's payload begins at 14 + 4; asked for, at read + 4.
        assert (read + 4) - (14 + 4) == distance
        asked = story[:read] + text_of(question.asked[2])
        assert places_of(asked, MARKERS[:3]) == [at for at in (0, 7, 14) if at < read] + [read]


def test_one_of_the_shortest_words_fills_with_what_is_left():
    task = RecallTask(markers=("G",), payload=1)
    sample = task.sample(0, 300)
    assert set(text_of(sample.codes)) <= set(BASES)
    places = places_of(text_of(sample.codes), ("G",))
    assert len(places) > 2
    assert all(text_of(sample.codes)[at + 1] != "G" for at in places)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"markers": ()}, "words of A, C, G, T of one length"),
        ({"markers": ("GGTA", "GGT")}, "GGTA, GGT; they must be words"),
        ({"markers": ("GGNA",)}, "GGNA; they must be words"),
        ({"markers": ("GTAG",)}, "marker GTAG ends with G, as GTAG begins"),
        ({"markers": ("GGTA", "ACCC")}, "marker GGTA ends with A, as ACCC begins"),
        ({"markers": ("GGTA", "GGTA")}, "marker GGTA ends with GGTA, as GGTA begins"),
        ({"payload": 5}, "payload is 5 bases; it must be 1 to 4"),
        ({"payload": 0}, "payload is 0 bases; it must be 1 to 4"),
    ],
)
def test_markers_that_would_be_made_by_chance_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        RecallTask(**settings)


def test_a_sequence_too_short_to_ask_in_is_refused():
    with pytest.raises(ConfigError, match="length is 15; it must be 16 or more"):
        RecallTask().sample(0, 15)
