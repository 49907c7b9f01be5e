"""What is drawn is what the model's probabilities say, and nothing but bases; the batch changes nothing."""

import math

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, RunError
from genomamba.model import LanguageModel
from genomamba.model.generation import Sampling, generate
from genomamba.model.streaming import stream
from toys import MarkovModel, dna_table

DNA = get_alphabet("dna")
CYCLE = {"A": [0, 1, 0, 0], "C": [0, 0, 1, 0], "G": [0, 0, 0, 1], "T": [1, 0, 0, 0]}
SKEWED = [0.5, 0.3, 0.15, 0.05]


def make_model(dtype=torch.float32, **shape):
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(d_model=8, num_layers=2, d_state=4, **shape)).to(dtype).eval()
    # At their initial size, weights hardly move a prediction from uniform.
    with torch.no_grad():
        model.embedding.weight.mul_(20)
    return model


def prompt(text, cut=1_000):
    tokens = torch.from_numpy(DNA.encode(text))[None]
    return tokens.split(cut, dim=1) if text else ()


def texts(generated):
    return [DNA.decode(one.tokens.numpy()).decode() for one in generated]


def draw(model, text="", length=1, **options):
    return texts(generate(model, [prompt(text)], length, **options))


def skewed():
    return MarkovModel(dna_table(dict.fromkeys("ACGT", SKEWED), start="A"))


def frequencies(sampling, count=4_000):
    """Share of A, C, G, T among bases drawn one each from `SKEWED`."""
    drawn = draw(skewed(), "A", samples=count, sampling=sampling, batch_size=1_000)
    return [drawn.count(base) / count for base in "ACGT"]


def assert_shares(found, expected, count=4_000):
    """Within five standard errors, and exact where nothing or everything is expected."""
    for share, p in zip(found, expected, strict=True):
        assert abs(share - p) <= 5 * math.sqrt(p * (1 - p) / count)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_a_model_that_is_sure_writes_what_it_is_sure_of(temperature):
    sampling = Sampling(temperature=temperature)
    model = MarkovModel(dna_table(CYCLE, start="G"))
    assert draw(model, "", 10, sampling=sampling) == ["GTACGTACGT"]
    assert draw(model, "TTA", 6, samples=2, sampling=sampling) == ["CGTACG"] * 2


def test_bases_come_as_often_as_they_are_likely():
    assert_shares(frequencies(Sampling(seed=1)), SKEWED)


@pytest.mark.parametrize("temperature", [0.25, 0.5, 2.0])
def test_temperature_divides_the_logarithms(temperature):
    powers = np.array(SKEWED) ** (1 / temperature)
    assert_shares(frequencies(Sampling(temperature=temperature)), powers / powers.sum())


@pytest.mark.parametrize("temperature", [0.0, 1e-300])
def test_no_temperature_takes_the_likeliest(temperature):
    assert frequencies(Sampling(temperature=temperature), 50) == [1, 0, 0, 0]


TRUNCATED = {
    "k1": (Sampling(top_k=1), [1, 0, 0, 0]),
    "k2": (Sampling(top_k=2), [0.625, 0.375, 0, 0]),
    "k4": (Sampling(top_k=4), SKEWED),
    "p0.4": (Sampling(top_p=0.4), [1, 0, 0, 0]),
    "p0.51": (Sampling(top_p=0.51), [0.625, 0.375, 0, 0]),
    "p0.9": (Sampling(top_p=0.9), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
    "p1": (Sampling(top_p=1.0), SKEWED),
    "k3 p0.7": (Sampling(top_k=3, top_p=0.7), [0.625, 0.375, 0, 0]),
    "T0.5 k2": (Sampling(temperature=0.5, top_k=2), [0.25 / 0.34, 0.09 / 0.34, 0, 0]),
}


@pytest.mark.parametrize(("sampling", "expected"), TRUNCATED.values(), ids=TRUNCATED)
def test_unlikely_bases_are_left_out(sampling, expected):
    assert_shares(frequencies(sampling), expected)


def test_nothing_but_bases_is_drawn_however_likely_the_rest_is():
    table = dna_table(dict.fromkeys("ACGT", SKEWED), start="A", elsewhere=30.0)
    table[7:11, 7:11] = torch.tensor(SKEWED).log()
    drawn = "".join(draw(MarkovModel(table), "A", 50, samples=20))
    assert set(drawn) == set("ACGT")
    assert len(drawn) == 1_000


def test_log_likelihood_is_that_of_the_model_as_it_is():
    model = make_model(torch.float64)
    text = "ACGTTGNCA"
    for sampling in (Sampling(), Sampling(temperature=0.3, top_k=2)):
        for one in generate(model, [prompt(text, 4), prompt("")], 25, samples=2, sampling=sampling):
            before = prompt(text) if one.prompt == 0 else [torch.empty(1, 0, dtype=torch.int64)]
            whole = torch.cat([*before, one.tokens[None].long()], dim=1)
            values = torch.cat(list(stream(model, whole, output="log_likelihood")), dim=1)[0, -25:]
            assert one.log_likelihood == pytest.approx(values.sum().item(), rel=1e-9)


def test_log_likelihood_by_hand():
    (one,) = generate(MarkovModel(dna_table(CYCLE)), [prompt("A")], 4, sampling=Sampling(temperature=0))
    assert one.log_likelihood == pytest.approx(0.0, abs=1e-12)
    (one,) = generate(skewed(), [prompt("C")], 3, sampling=Sampling(temperature=0))
    assert one.log_likelihood == pytest.approx(3 * math.log(0.5), rel=1e-6)


def test_a_sequence_goes_on_from_its_own_prompt():
    model = make_model(torch.float64)
    prompts = ["ACGT" * 5, "T", "", "GGGATTACA" * 3]
    together = list(generate(model, map(prompt, prompts), 30, samples=2))
    assert [(one.prompt, one.sample) for one in together] == [(p, s) for p in range(4) for s in range(2)]
    # A draw from the whole prefix read anew, base by base.
    for one in together:
        randoms = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(one.prompt, one.sample))).random(30)
        tokens = torch.cat([torch.tensor([[DNA.bos]]), *prompt(prompts[one.prompt])], dim=1)
        for t, number in enumerate(randoms):
            p = model(tokens)[0, -1, 7:11].detach().softmax(-1).cumsum(-1)
            chosen = 7 + int((p <= number * p[-1]).sum())
            assert chosen == one.tokens[t]
            tokens = torch.cat([tokens, torch.tensor([[chosen]])], dim=1)


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_a_seed_gives_the_same_sequences_whatever_the_batch(batch_size):
    model, prompts = make_model(), ["ACGT", "", "TTTTTTTTTT"]

    def drawn(seed, **options):
        return list(generate(model, map(prompt, prompts), 150, samples=4, sampling=Sampling(seed=seed), **options))

    expected, found = drawn(5), drawn(5, batch_size=batch_size)
    assert texts(found) == texts(expected)
    assert len(set(texts(expected))) == 12
    # In float32, which would sooner or later draw another base, this would hold to 7 digits.
    assert [one.log_likelihood for one in found] == pytest.approx([one.log_likelihood for one in expected], rel=1e-13)
    assert set(texts(drawn(6))).isdisjoint(texts(expected))


def test_prompts_may_come_in_pieces_and_are_taken_when_their_turn_comes():
    model, taken = make_model(torch.float64), []

    def prompts():
        for number in range(4):
            taken.append(number)
            yield prompt("ACGTTGCA" * 4, cut=3 + number)

    for one in generate(model, prompts(), 20, samples=2, batch_size=2, sampling=Sampling(seed=2)):
        assert taken[-1] == one.prompt
    assert draw(model, "ACGTTGCA" * 4, 20, sampling=Sampling(seed=2)) == texts(
        generate(model, [prompt("ACGTTGCA" * 4, cut=3)], 20, sampling=Sampling(seed=2))
    )


def test_weights_of_the_caller_stay_as_they_are():
    model = make_model().train()
    draw(model, "ACGT", 3)
    assert model.embedding.weight.dtype == torch.float32
    assert model.training
    assert torch.is_grad_enabled()


def test_bytes_are_drawn_too():
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(alphabet="bytes", d_model=8, num_layers=1, d_state=4))
    (one,) = generate(model, [()], 300)
    assert get_alphabet("bytes").is_target_token[one.tokens.numpy()].all()
    assert int(one.tokens.max()) > 127


def test_every_token_is_told():
    told = []
    list(generate(make_model(), [prompt("A"), prompt("C")], 5, samples=2, batch_size=3, after_token=told.append))
    assert told == [3] * 5 + [1] * 5


@pytest.mark.parametrize("shape", [{"direction": "bidirectional"}, {"equivariant": True}], ids=str)
def test_masked_models_are_refused_with_the_reason(shape):
    with pytest.raises(ConfigError, match="a masked model fills gaps between bases it is given"):
        generate(make_model(**shape), [()], 5)


REFUSED = {
    "length": ({"length": 0}, "^length is 0; it must be 1 or more"),
    "samples": ({"samples": 0}, "^samples is 0; it must be 1 or more"),
    "batch": ({"batch_size": 0}, "^batch_size is 0; it must be 1 or more"),
    "top-k beyond": ({"sampling": {"top_k": 5}}, "^top_k is 5; there are 4 tokens to draw from"),
    "top-k": ({"sampling": {"top_k": 0}}, "^top_k is 0; it must be 1 or more"),
    "top-p": ({"sampling": {"top_p": 0.0}}, "^top_p is 0.0; it must be above 0 and at most 1"),
    "top-p beyond": ({"sampling": {"top_p": 1.5}}, "^top_p is 1.5"),
    "temperature": ({"sampling": {"temperature": -1.0}}, "^temperature is -1.0; it must be 0 or more"),
    "no temperature": ({"sampling": {"temperature": math.nan}}, "^temperature is nan"),
    "seed": ({"sampling": {"seed": -1}}, "^seed is -1; it must be 0 or more"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_numbers_out_of_their_range_are_refused(options, message):
    model, options = make_model(), {"length": 5, "sampling": {}} | options
    with pytest.raises(ConfigError, match=message):
        list(generate(model, [()], **(options | {"sampling": Sampling(**options["sampling"])})))


def test_numbers_that_are_not_finite_end_it():
    model = make_model()
    with torch.no_grad():
        model.norm_f.weight[0] = math.nan
    with pytest.raises(RunError, match="not finite"):
        list(generate(model, [()], 5))
