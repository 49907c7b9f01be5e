"""Scores of variants that share what they can, beside each variant scored by itself.

    python benchmarks/variants.py [sharing] [marginals] --fasta chr20.fa.gz [--contig 20] [--start 30000000]

`sharing`: log-likelihood ratios of a causal model, alleles sharing states, against brute force. `marginals`:
wt_marginal of a bidirectional model, 30 variants a window. Random SNVs within a stretch, both strands, weights random.
Both ways are timed in one process and compared; each variant by itself on some of them, spread evenly, half before the
other way and half after it. Results are appended to benchmarks/results/<machine>/variants.jsonl.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Final

import numpy as np
import torch
from record import write

from genomamba.alphabet import get_alphabet
from genomamba.config import PRESETS, ModelConfig
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.model import LanguageModel
from genomamba.model.process import keep_freed_memory, peak_memory_mib, set_threads
from genomamba.score.variants.brute_force import score_variant
from genomamba.score.variants.causal import CausalSettings, score_causal
from genomamba.score.variants.marginal import MarginalSettings, score_marginal
from genomamba.score.variants.tail import TailSample

ALLOWED = 1e-3
MARGINAL_CONTEXT = 8_192
A_WINDOW = 30


def main() -> None:
    """Run the cases that are asked for, or both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="default: both")
    parser.add_argument("--fasta", required=True, type=Path)
    parser.add_argument("--contig", help="name in the FASTA (default: the first)")
    parser.add_argument("--start", type=int, default=30_000_000, help="first base of the stretch, 0-based")
    parser.add_argument("--span", type=int, default=2_000_000, help="bases of the stretch")
    parser.add_argument("--variants", type=int, default=2_000)
    parser.add_argument("--brute-force", type=int, default=12, help="variants that brute force is timed on")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--context", type=int, default=131_072)
    parser.add_argument("--horizon", type=int, default=2_048)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    set_threads(options.threads)
    keep_freed_memory()
    genome = Genome.open([options.fasta], get_alphabet("dna"), progress=False)
    contig = genome.resolve(options.contig) if options.contig else genome.contigs[0].name
    for case in options.cases or CASES:
        CASES[case](genome, contig, options)


def sharing(genome: Genome, contig: str, options: argparse.Namespace) -> None:
    """Time both ways of a causal model, compare what they give, and append one line."""
    model = make_model(options.preset, "causal")
    variants = draw_snvs(genome, contig, options.start, options.span, options.variants)
    settings = CausalSettings(context=options.context, horizon=options.horizon, batch_size=options.batch_size)

    # What is compiled or cached on first use is not timed.
    warm = CausalSettings(context=4_096, horizon=options.horizon, batch_size=options.batch_size)
    score_variant(model, genome, contig, variants[0], warm)
    list(score_causal(model, genome, contig, variants[:4], warm))

    sample = [int(i) for i in np.linspace(0, len(variants) - 1, options.brute_force)]
    half = len(sample) // 2
    alone: dict[int, float] = {}
    alone_s = brute_force(model, genome, contig, variants, sample[:half], settings, alone)
    began = time.perf_counter()
    scores = list(score_causal(model, genome, contig, variants, settings))
    sharing_s = time.perf_counter() - began
    alone_s += brute_force(model, genome, contig, variants, sample[half:], settings, alone)

    differences = [abs(scores[i].llr - llr) for i, llr in alone.items()]
    if not max(differences) <= ALLOWED:
        raise SystemExit(f"scores differ by up to {max(differences):.3g} nats; no speed is reported")
    beyond = TailSample(len(sample))
    for i in sample:
        beyond.see(contig, variants[i], scores[i].llr)
    tail = beyond.measure(model, genome, settings)
    write(
        "variants",
        "sharing",
        preset=options.preset,
        context=options.context,
        horizon=options.horizon,
        span=options.span,
        variants=len(variants),
        brute_force_variants=len(sample),
        threads=options.threads,
        batch_size=options.batch_size,
        sharing_s=sharing_s,
        brute_force_s=alone_s,
        sharing_variants_per_s=len(variants) / sharing_s,
        brute_force_variants_per_s=len(sample) / alone_s,
        ratio=len(variants) / sharing_s * alone_s / len(sample),
        largest_difference_nats=max(differences),
        typical_llr_nats=float(np.median(np.abs([one.llr for one in scores]))),
        largest_tail_nats=float(tail.max()),
        peak_mib=peak_memory_mib(),
    )


def marginals(genome: Genome, contig: str, options: argparse.Namespace) -> None:
    """Time both ways of a bidirectional model, compare what they give, and append one line."""
    model = make_model(options.preset, "bidirectional")
    settings = MarginalSettings(context=MARGINAL_CONTEXT, scores=("wt_marginal",))
    windows = 10
    span = windows * MARGINAL_CONTEXT // 2
    variants = draw_snvs(genome, contig, options.start // span * span, span, windows * A_WINDOW)
    sample = [int(i) for i in np.linspace(0, len(variants) - 1, 3 * windows)]

    def alone(chosen: list[int]) -> list[float]:
        return [
            next(iter(score_marginal(model, genome, contig, [variants[i]], settings)))["wt_marginal"] for i in chosen
        ]

    alone(sample[:1])
    began = time.perf_counter()
    found = alone(sample[: len(sample) // 2])
    middle = time.perf_counter()
    scores = [one["wt_marginal"] for one in score_marginal(model, genome, contig, variants, settings)]
    after = time.perf_counter()
    found += alone(sample[len(sample) // 2 :])
    alone_s, together_s = middle - began + time.perf_counter() - after, after - middle
    largest = max(abs(scores[i] - one) for i, one in zip(sample, found, strict=True))
    if not largest <= ALLOWED:
        raise SystemExit(f"scores differ by up to {largest:.3g} nats; no speed is reported")
    write(
        "variants",
        "marginals",
        preset=options.preset,
        context=MARGINAL_CONTEXT,
        variants_a_window=A_WINDOW,
        variants=len(variants),
        threads=options.threads,
        together_variants_per_s=len(variants) / together_s,
        alone_variants_per_s=len(sample) / alone_s,
        ratio=len(variants) / together_s * alone_s / len(sample),
        largest_difference_nats=largest,
        typical_nats=float(np.median(np.abs(scores))),
    )


def make_model(preset: str, direction: str) -> LanguageModel:
    """Make a model of random weights."""
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(**PRESETS[preset] | {"direction": direction})).eval().requires_grad_(False)
    # At their initial size, weights hardly move a prediction from uniform.
    model.embedding.weight.mul_(40)
    return model


def draw_snvs(genome: Genome, contig: str, start: int, span: int, count: int) -> list[Variant]:
    """Draw sites and one of the other bases for each, where the genome has a base."""
    draws = np.random.default_rng(0)
    alphabet = genome.alphabet
    letters = alphabet.text_of_token[alphabet.token_of_symbol[genome.fetch(contig, start, start + span)]]
    sites = np.sort(draws.choice(np.flatnonzero(np.isin(letters, list(b"ACGT"))), count, replace=False))
    variants = []
    for site in sites.tolist():
        ref = chr(letters[site])
        variants.append(Variant(contig, start + site, ref, str(draws.choice([base for base in "ACGT" if base != ref]))))
    return variants


def brute_force(
    model: LanguageModel,
    genome: Genome,
    contig: str,
    variants: list[Variant],
    sample: list[int],
    settings: CausalSettings,
    found: dict[int, float],
) -> float:
    """Score some variants by brute force into `found`; return seconds."""
    began = time.perf_counter()
    for i in sample:
        found[i], _ = score_variant(model, genome, contig, variants[i], settings)
    return time.perf_counter() - began


CASES: Final = {"sharing": sharing, "marginals": marginals}

if __name__ == "__main__":
    main()
