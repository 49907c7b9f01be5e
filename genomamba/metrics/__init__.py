"""Figures that people read: bits per base, ranks and classes against the truth, with bootstrap intervals."""

from genomamba.metrics.bits import bits_per_base, perplexity, resampled_means
from genomamba.metrics.bootstrap import Difference, Estimate, compare, estimate
from genomamba.metrics.values import (
    accuracy,
    auprc,
    auroc,
    expected_calibration_error,
    f1,
    macro_f1,
    mcc,
    pearson,
    spearman,
)

__all__ = [
    "Difference",
    "Estimate",
    "accuracy",
    "auprc",
    "auroc",
    "bits_per_base",
    "compare",
    "estimate",
    "expected_calibration_error",
    "f1",
    "macro_f1",
    "mcc",
    "pearson",
    "perplexity",
    "resampled_means",
    "spearman",
]
