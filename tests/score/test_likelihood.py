"""Every base costs what the plain model says it costs, however the bases are cut, packed or windowed."""

import itertools
import math

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval
from genomamba.errors import ConfigError, RunError
from genomamba.score.likelihood import check_causal, log_likelihoods
from genomamba.score.reading import Reading
from genomamba.train.evaluate import Scorer, total
from toys import MarkovModel, dna_table

DNA = get_alphabet("dna")
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def one_pass(model, text):
    """Bits of each base by one forward pass over [BOS] and the bases, position by position."""
    tokens = torch.from_numpy(DNA.encode(text))[None]
    bos = torch.full((1, 1), DNA.bos)
    with torch.no_grad():
        logp = model(torch.cat([bos, tokens[:, :-1]], dim=1)).log_softmax(-1)[0]
    bits = [logp[i, token].item() / math.log(2) for i, token in enumerate(tokens[0].tolist())]
    return np.array([math.nan if letter == "N" else value for letter, value in zip(text, bits, strict=True)])


def scored(model, readings, **options):
    """Bits of each reading's bases, left to right; every base exactly once."""
    readings = list(readings)
    found = {id(one): np.full(len(one.interval), 99.0) for one in readings}
    for scores in log_likelihoods(model, readings, **options):
        at = scores.start - scores.reading.interval.start
        part = found[id(scores.reading)][at : at + scores.bits.size]
        assert part.size == scores.bits.size
        assert (part == 99.0).all()
        part[:] = scores.bits
    return list(found.values())


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def whole(genome, contig="one", strand="+"):
    return Reading(genome, Interval(contig, 0, genome.length(contig)), strand)


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 149, 150, 1000])
def test_each_base_is_scored_as_by_one_pass_for_any_chunk(make_model, make_genome, random_text, chunk):
    text = random_text(150, letters="ACGTN")
    model, genome = make_model(), make_genome({"one": text})
    (bits,) = scored(model, [whole(genome)], chunk=chunk)
    agree(bits, one_pass(model, text))


def test_soft_masked_bases_and_iupac_codes_are_bases_and_n(make_model, make_genome):
    model, genome = make_model(), make_genome({"one": "acgtRYacg"})
    (bits,) = scored(model, [whole(genome)])
    agree(bits, one_pass(model, "ACGTNNACG"))


@pytest.mark.parametrize("chunk", [3, 20, 64, 1000])
@pytest.mark.parametrize("strand", ["+", "-"])
def test_records_of_any_length_do_not_see_each_other(make_model, make_genome, random_text, strand, chunk):
    lengths = [5, 1, 30, 2, 70, 8, 8]
    texts = {f"r{i}": random_text(length, seed=i) for i, length in enumerate(lengths)}
    model, genome = make_model(), make_genome(texts)
    found = scored(model, [whole(genome, name, strand) for name in texts], chunk=chunk)
    for bits, text in zip(found, texts.values(), strict=True):
        forwards = one_pass(model, text)
        backwards = one_pass(model, text[::-1].translate(COMPLEMENT))[::-1]
        agree(bits, forwards if strand == "+" else backwards)


@pytest.mark.parametrize("lead", [0, 7, 1000])
@pytest.mark.parametrize("strand", ["+", "-"])
def test_a_region_is_read_from_its_start_or_from_a_lead(make_model, make_genome, random_text, strand, lead):
    text = random_text(90)
    model, genome = make_model(), make_genome({"one": text})
    (bits,) = scored(model, [Reading(genome, Interval("one", 20, 60), strand, lead)], chunk=16)
    if strand == "+":
        start = max(0, 20 - lead)
        expected = one_pass(model, text[start:60])[20 - start :]
    else:
        end = min(90, 60 + lead)
        expected = one_pass(model, text[20:end][::-1].translate(COMPLEMENT))[::-1][:40]
    agree(bits, expected)


@pytest.mark.parametrize("chunk", [3, 8, 30, 1000])
def test_with_a_context_a_base_sees_half_of_it_at_least_and_no_more_than_all(
    make_model, make_genome, random_text, chunk
):
    text = random_text(45)
    model, genome = make_model(), make_genome({"one": text})
    (bits,) = scored(model, [whole(genome)], context=8, chunk=chunk)
    for at in range(45):
        # The first window is scored whole; from then on a window every 4 bases is scored in its right half.
        start = 0 if at < 8 else (at // 4 - 1) * 4
        agree(bits[at], one_pass(model, text[start : at + 1])[-1])


def test_with_a_context_the_mean_is_the_held_out_figure_of_training(make_model, make_genome, random_text):
    texts = {"one": random_text(300, letters="ACGTN"), "two": random_text(77, seed=1)}
    model, genome = make_model(), make_genome(texts)
    intervals = [Interval(name, 0, len(text)) for name, text in texts.items()]
    expected = total(Scorer(genome, "next_token", 32, 4, 0)(model, intervals))
    bits = np.concatenate(scored(model, [whole(genome, name) for name in texts], context=32))
    assert np.isfinite(bits).sum() == expected.bases
    assert -np.nansum(bits) * math.log(2) == pytest.approx(expected.nats, rel=1e-6)


def test_a_model_without_an_opinion_takes_the_logarithm_of_the_vocabulary(make_model, make_genome, random_text):
    model, genome = make_model(), make_genome({"one": random_text(40)})
    torch.nn.init.zeros_(model.embedding.weight)
    (bits,) = scored(model, [whole(genome)])
    assert bits.tolist() == [-4.0] * 40


def test_a_markov_model_gives_its_table(make_genome):
    rows = {"A": [0.5, 0.25, 0.125, 0.125], "C": [0.25] * 4, "G": [0.125, 0.125, 0.25, 0.5], "T": [0.0, 0.0, 0.0, 1.0]}
    genome = make_genome({"one": "AACGTT"})
    (bits,) = scored(MarkovModel(dna_table(rows)).eval(), [whole(genome)])
    assert bits.tolist() == pytest.approx([-2, -1, -2, -2, -1, 0], abs=1e-6)


def test_bytes_are_scored_too(make_model, make_genome):
    genome = make_genome({"x": "any text"}, alphabet="bytes")
    (contig,) = genome.contigs
    model = make_model(alphabet="bytes")
    (bits,) = scored(model, [whole(genome, contig.name)])
    assert bits.size == len("any text")
    assert np.isfinite(bits).all()


def test_readings_are_taken_one_by_one(make_model, make_genome, random_text):
    texts = {f"r{i}": random_text(50, seed=i) for i in range(6)}
    genome, taken = make_genome(texts), []

    def readings():
        for name in texts:
            taken.append(name)
            yield whole(genome, name)

    for done, _ in enumerate(log_likelihoods(make_model(), readings(), chunk=50), 1):
        # One more is taken, to see that it does not fit beside the one before it.
        assert len(taken) <= done + 1


@pytest.mark.parametrize("shape", [{"direction": "bidirectional"}, {"equivariant": True}], ids=str)
def test_masked_models_are_refused_with_the_reason(make_model, shape):
    with pytest.raises(ConfigError, match="runs/m: a masked model, which predicts a base from both its sides"):
        check_causal(make_model(**shape), "runs/m")
    check_causal(make_model(), "runs/m")


@pytest.mark.parametrize("records", [1, 3])
def test_numbers_that_are_not_finite_end_it(make_model, make_genome, random_text, records):
    model = make_model()
    genome = make_genome({f"r{i}": random_text(9, seed=i) for i in range(records)})
    with torch.no_grad():
        model.norm_f.weight[0] = math.nan
    readings = [whole(genome, f"r{i}") for i in range(records)]
    with pytest.raises(RunError, match="r0:1-9: the model's log-likelihoods are not finite"):
        list(itertools.islice(log_likelihoods(model, readings), 1))
