"""What the tests of variants share: random variants of all kinds, and an oracle that edits the string."""

import random

import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.model import LanguageModel
from genomamba.model.streaming import token_log_likelihood

DNA = get_alphabet("dna")


@pytest.fixture
def make_genome(tmp_path):
    """Open a genome of the records given, as text by name."""

    def make(records, alphabet="dna"):
        path = tmp_path / "made.fa"
        path.write_text("".join(f">{name}\n{text}\n" for name, text in records.items()))
        return Genome.open([path], get_alphabet(alphabet), cache_dir=tmp_path / "cache", progress=False)

    return make


@pytest.fixture
def make_model():
    """Make a causal model of random weights whose predictions are far from uniform."""

    def make(dtype=torch.float64, **shape):
        torch.manual_seed(0)
        model = LanguageModel(ModelConfig(**{"d_model": 8, "num_layers": 2, "d_state": 4} | shape))
        with torch.no_grad():
            model.embedding.weight.mul_(40)
        return model.to(dtype).eval().requires_grad_(False)

    return make


@pytest.fixture
def draw_text():
    """Draw a contig: bases of both cases, and runs of N."""

    def draw(length, seed=0, runs=1):
        generator = random.Random(seed)
        letters = generator.choices("ACGTacgt", k=length)
        for _ in range(runs):
            start = generator.randrange(length)
            end = min(length, start + generator.randrange(1, length // 10))
            letters[start:end] = "N" * (end - start)
        return "".join(letters)

    return draw


@pytest.fixture
def draw_variants():
    """Draw variants of all kinds, by position: most within the text, some at its ends, none on an N."""

    def draw(text, count, seed=0, longest=12):
        generator = random.Random(seed)
        found = []
        while len(found) < count:
            start = generator.choice(
                [generator.randrange(len(text)), generator.randrange(3), len(text) - 1 - generator.randrange(3)]
                if generator.random() < 0.1
                else [generator.randrange(len(text))]
            )
            size = generator.choice([1, 1, 1, 2, 3, generator.randint(1, longest)])
            ref = text[start : start + size].upper()
            alt = {
                "substitution": lambda ref=ref: "".join(generator.choices("ACGT", k=len(ref))),
                "insertion": lambda ref=ref: (
                    ref[0] + "".join(generator.choices("ACGT", k=generator.randint(1, longest - 1)))
                ),
                "deletion": lambda ref=ref: ref[0],
                "complex": lambda: "".join(generator.choices("acgtACGT", k=generator.randint(1, longest))),
            }[generator.choice(["substitution", "insertion", "deletion", "complex"])]()
            if alt.upper() != ref and "N" not in ref:
                found.append(Variant("one", start, ref if generator.random() < 0.8 else ref.lower(), alt))
        return sorted(found, key=lambda variant: variant.start)

    return draw


class Oracle:
    """The definition over again, on strings of a whole contig: edit, turn, cut, one pass of the model, add up."""

    def __init__(self, model, text):
        self.model, self.text = model, text.upper()

    def __call__(self, variant, settings):
        edited = self.text[: variant.start] + variant.alt.upper() + self.text[variant.start + len(variant.ref) :]
        scores = [self._one_strand(strand, variant, edited, settings) for strand in settings.strands]
        return tuple(sum(column) / len(column) for column in zip(*scores, strict=True))

    def _one_strand(self, strand, variant, edited, settings):
        ref, alt, at = self.text, edited, variant.start
        if strand == "-":
            ref, alt = (text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in (ref, alt))
            at = len(self.text) - variant.start - len(variant.ref)
        first = 0
        if settings.context is not None:
            half = settings.context // 2
            blocks = [k for k in range(len(ref) // half + 2) if k * half <= at < (k + 1) * half]
            first = max(0, (blocks[0] - 1) * half)
        horizon, longer = settings.horizon, len(alt) - len(ref)
        # What lies farther is compared with nothing.
        of_ref, of_alt = (self._terms(text[first : at + horizon])[at - first :] for text in (ref, alt))
        equal = min(horizon, len(of_ref), len(of_alt))
        llr = sum(of_alt[:equal]) - sum(of_ref[:equal])
        count = horizon - longer if longer > 0 else horizon
        count = min(count, len(of_ref))
        total = sum(of_ref[:count])
        return llr, sum(of_alt[: count + longer]) - total - longer * total / count

    def _terms(self, text):
        tokens = torch.from_numpy(DNA.encode(text))[None]
        inputs = torch.cat([torch.full((1, 1), DNA.bos), tokens[:, :-1]], dim=1)
        return token_log_likelihood(self.model(inputs), tokens, DNA)[0].double().nan_to_num().tolist()


@pytest.fixture
def make_oracle():
    return Oracle
