"""A card says what is known, is silent where nothing is, and is Markdown that the hub reads."""

import huggingface_hub
import pytest

from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.report.model_card import render_card
from genomamba.report.model_facts import parameters_of


def provenance(bits=1.9, markov=1.95, objective="next_token"):
    split = {"bases": 1234, "bits_per_base": bits, "markov": markov, "order_0": 1.99}
    evaluation = {"objective": objective, "context": 256, "markov_order": 5, "splits": {"test": split}}
    return {
        "objective": objective, "context": 256, "strand": "random",
        "run": {
            "genomamba": "0.1.0", "finished": "2026-01-02T03:04:05+00:00", "steps": 7, "bases": 8_000,
            "inputs": [{"name": "a|b.fa", "bytes": 5_000, "sha256": "ab12"}],
            "splits": {"train": {"bases": 9_999, "contigs": 3, "gc": 0.41}, "test": {"bases": 0}},
            "held_out_contigs": {"valid": {"count": 0, "names": []}, "test": {"count": 9, "names": ["chr2", "chr3"]}},
            "evaluation": evaluation,
        },
    }  # fmt: skip


def card(known, **shape):
    text = render_card(ModelConfig(**shape), known, name="someone/model")
    parsed = huggingface_hub.ModelCard(text)
    # As the hub's client would write it again.
    assert str(parsed) == text
    return parsed


def test_what_a_run_knows_is_in_the_card():
    text = card(provenance()).text
    assert "| test | 1,234 | 1.9000 | 1.9500 | 1.9900 |" in text
    assert "| a\\|b.fa | 5.0 kB | `ab12` |" in text
    assert "| training | 9,999 | 3 | 41.0 % |" in text
    assert "Whole contigs of the test: chr2, chr3 and 7 more." in text
    assert "| run | genomamba 0.1.0, 2026-01-02, 7 steps, 8,000 bases read |" in text
    assert "does better" not in text


def test_an_interval_stands_beside_its_figure():
    known = provenance()
    known["run"]["evaluation"]["splits"]["test"] |= {"low": 1.85, "high": 1.95}
    assert "| test | 1,234 | 1.9000 (1.8500 to 1.9500) | 1.9500 |" in card(known).text


def test_a_run_that_began_with_weights_names_them():
    known = provenance()
    known["run"]["init"] = "someone/else"
    assert "| started from | someone/else, whose own data are not among those of the run |" in card(known).text


def test_a_model_of_bytes_is_told_in_bytes():
    text = card(provenance(), alphabet="bytes").text
    assert "| part | bytes | bits per byte | Markov order 5 | order 0 |" in text
    assert "windows of 256 bytes" in text
    assert " base" not in text


def test_a_model_that_counting_words_beats_is_said_to_be():
    assert "On the test the Markov model does better" in card(provenance(bits=1.96)).text


def test_a_masked_figure_stands_beside_no_other():
    text = card(provenance(markov=None, objective="masked"), direction="bidirectional").text
    assert "| test | 1,234 | 1.9000 |\n" in text
    assert "Markov" not in text
    assert "do not multiply to the probability of a sequence" in text
    assert "model.alphabet.mask" in text
    assert "generate" not in text


def test_what_is_not_known_is_said_not_to_be():
    text = card({}).text
    assert "What it was trained on is not recorded" in text
    assert "No held-out figure is recorded" in text
    assert "None" not in text
    assert "No licence of the weights is recorded" in text


def test_a_model_of_ids_alone_is_not_shown_reading_letters():
    text = card({"source": {"model": "someone/mamba", "layout": "state-spaces"}}, alphabet="tokens", vocab_rows=50).text
    assert "ACGT" not in text
    assert "| from | someone/mamba, state-spaces layout |" in text


def test_the_licence_is_in_the_metadata_and_the_text():
    text = render_card(ModelConfig(), {}, name="m", license="cc-by-4.0")
    assert huggingface_hub.ModelCard(text).data.license == "cc-by-4.0"
    assert "The weights: cc-by-4.0." in text


@pytest.mark.parametrize(
    "damage",
    [{"run": 7}, {"run": {"inputs": [{}]}}, {"context": "long"}, {"source": {"model": "x"}}, {"strand": ["x"]}],
    ids=str,
)
def test_a_damaged_record_is_one_line(damage):
    with pytest.raises(RunError, match=r"^m: what config\.json says of its training is damaged") as caught:
        render_card(ModelConfig(), damage, name="m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [{}, {"tie_head": False}, {"direction": "bidirectional", "norm": "layer"}], ids=str)
def test_parameters_are_counted_without_weights(shape):
    from genomamba.model import LanguageModel

    config = ModelConfig(**shape)
    assert parameters_of(config) == sum(weight.numel() for weight in LanguageModel(config).parameters())
