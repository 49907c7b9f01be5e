"""`calibrate` on a Markov model, whose score of an SNV is known from its three bases."""

import itertools
import json
import math
import random
from types import SimpleNamespace

import pytest

from genomamba.errors import DataError
from genomamba.score.variants import calibrate as module
from genomamba.score.variants.calibrate import calibrate
from genomamba.score.variants.config import CalibrateConfig
from toys import MarkovModel, dna_table

ROWS = {"A": [0.1, 0.2, 0.3, 0.4], "C": [0.3, 0.5, 0.05, 0.15], "G": [0.25, 0.25, 0.4, 0.1], "T": [0.6, 0.1, 0.1, 0.2]}
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def along_plus(left, ref, alt, right):
    """Log-likelihood ratio of an SNV: the base that changes, and the one behind it."""
    probability = {(a, b): ROWS[a]["ACGT".index(b)] for a in ROWS for b in "ACGT"}
    return math.log(
        probability[left, alt] * probability[alt, right] / (probability[left, ref] * probability[ref, right])
    )


def along_both(left, ref, alt, right):
    turned = "".join((right, ref, alt, left)).translate(COMPLEMENT)
    return (along_plus(left, ref, alt, right) + along_plus(*turned)) / 2


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Calibrate the Markov model on a text, and return what the file holds."""

    def run(text, **options):
        model = MarkovModel(dna_table(ROWS))
        checkpoint = SimpleNamespace(
            name="toy", weights=tmp_path / "model.safetensors", training={}, load=lambda device: model
        )
        monkeypatch.setattr(module, "open_checkpoint", lambda *given, **named: checkpoint)
        (tmp_path / "made.fa").write_text(f">one\n{text}\n")
        config = CalibrateConfig(fasta=(str(tmp_path / "made.fa"),), context="64", horizon=8, threads=1, **options)
        calibrate("toy", config, emit=run.said.append)
        return json.loads((tmp_path / "calibration.json").read_text())

    run.said = []
    return run


def draw(length, seed=0):
    bases = random.Random(seed).choices("ACGT", k=length)
    return "".join(bases[: length // 2]) + "".join(bases[length // 2 :]).lower()


@pytest.mark.parametrize(("strand", "known"), [("both", along_both), ("+", along_plus)], ids=["both", "plus"])
def test_every_class_has_the_score_that_is_known(make, strand, known):
    found = make(draw(6_000), number=1, strand=strand)
    assert found["folded"] is (strand == "both")
    refs = "CT" if found["folded"] else "ACGT"
    names = {
        f"{left}[{ref}>{alt}]{right}": known(left, ref, alt, right)
        for left, ref, alt, right in itertools.product("ACGT", refs, "ACGT", "ACGT")
        if ref != alt
    }
    classes = {name: one for name, one in found["classes"].items() if "[" in name and not name.endswith("masked")}
    assert classes.keys() == names.keys()
    assert {one["count"] for one in classes.values()} == {2}
    # Too few for a table of their own, which is no matter here: the kinds have the means.
    kinds = {"CpG transition": [], "other transition": [], "transversion": []}
    for name, score in names.items():
        kinds[classes[name]["parent"]].append(score)
    for name, scores in kinds.items():
        one = found["classes"][name]
        assert one["count"] == 2 * len(scores)
        if one["count"] >= found["fewest"]:
            assert one["scores"]["llr"]["mean"] == pytest.approx(sum(scores) / len(scores), abs=1e-5)
    assert (len(kinds["CpG transition"]), len(kinds["other transition"])) == ((4, 28) if strand == "both" else (8, 56))


def test_a_class_of_its_own_has_the_score_that_is_known(make):
    found = make(draw(10_000).upper(), number=50)
    snvs = {name: one for name, one in found["classes"].items() if "[" in name and name.endswith("masked")}
    assert len(snvs) == 96
    for name, one in snvs.items():
        left, ref, alt, right = (name[i] for i in (0, 2, 4, 6))
        assert one["scores"]["llr"]["count"] == 50
        # Of an SNV the form that is corrected for length is the same.
        for column in ("llr", "llr_lc"):
            assert one["scores"][column]["median"] == pytest.approx(along_both(left, ref, alt, right), abs=1e-5)
        assert one["scores"]["llr"]["sd"] < 1e-5
    assert "variants in " in make.said[2]
    assert found["number"], found["seed"] == (50, 0)


def test_what_cannot_be_drawn_from_is_refused(make):
    with pytest.raises(DataError, match=r"made\.fa: 0 variants can be scored, and a background has 50 or more"):
        make("N" * 500)
    with pytest.raises(DataError, match=r"made\.fa: 3\d variants can be scored"):
        make("ACGTT", number=50)
