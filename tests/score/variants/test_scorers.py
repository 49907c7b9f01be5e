"""What a scorer says of itself is all that its numbers and statuses depend on."""

import pytest

from genomamba.score.variants.config import Scoring
from genomamba.score.variants.scorers import choose_scorer


@pytest.mark.parametrize(("context", "longest"), [(64, 16), ("contig", 2_048)])
def test_a_masked_model_knows_no_horizon(make_model, make_genome, context, longest):
    model, genome = make_model(direction="bidirectional"), make_genome({"one": "ACGT" * 20})
    near, far = (
        choose_scorer(model, "made", genome, Scoring(context=context, horizon=horizon), None) for horizon in (16, 4_096)
    )
    assert near.settings == far.settings
    assert near.longest == far.longest == longest
