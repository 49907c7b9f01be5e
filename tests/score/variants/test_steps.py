"""Records are scored contig by contig, in the order of the file; what is read ahead of its score is not held."""

import gc

import pytest

from genomamba.coordinates import Variant
from genomamba.data.vcf import VcfReader
from genomamba.score.variants import steps
from genomamba.score.variants.config import Scoring, VariantsConfig
from genomamba.score.variants.scorers import choose_scorer
from genomamba.score.variants.selection import Selection


@pytest.fixture
def read_scored(make_genome, tmp_path):
    """Score the records of a VCF of one contig whose numbers come in an order of their own."""

    def read(model, rows, text, contig="one", **scoring):
        genome = make_genome({contig: text})
        vcf = tmp_path / "calls.vcf"
        vcf.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(rows))
        scorer = choose_scorer(model, "made", genome, Scoring(**scoring), None)
        selection = Selection(genome, VariantsConfig(fasta=("made.fa",), vcf=str(vcf)))
        with VcfReader(vcf) as reader:
            yield from steps._scored(reader, selection, scorer, skip=0)

    return read


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_variants_of_a_contig_are_not_held_while_they_wait(read_scored, make_model, draw_text, direction):
    text = draw_text(600, runs=0).upper()
    rows = [f"one\t{i + 1}\t.\t{base}\t{'A' if base != 'A' else 'C'}\t.\t.\t.\n" for i, base in enumerate(text)]
    model = make_model(**({} if direction == "causal" else {"direction": direction}))
    scored = read_scored(model, rows, text, context="contig", horizon=4)
    next(scored)
    assert sum(type(one) is Variant for one in gc.get_objects()) < 100
    assert len(list(scored)) == 599


def test_a_contig_may_go_by_two_names(read_scored, make_model):
    rows = [f"{name}\t{pos}\t.\tA\tC\t.\t.\t.\n" for name in ("chr1", "1") for pos in (5, 9)]
    found = list(read_scored(make_model(), rows, "ACGT" * 10, contig="chr1", context=8, horizon=4))
    assert [(one[0], one[1].start) for one in found] == [("chr1", 4), ("chr1", 8)] * 2
    assert found[:2] == found[2:]
