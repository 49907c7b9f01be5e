"""Draw the pictures of the method pages: `python docs/figures/method.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genomamba.model.mixer import DELTA_MAX, DELTA_MIN
from genomamba.report.plots import INK, MARKOV, MODEL, RAW, SMOOTH, as_svg

HERE = Path(__file__).parent


def save(name: str, draw: Any, inches: tuple[float, float], label: str) -> None:
    """Write a drawing as SVG."""
    (HERE / f"method-{name}.svg").write_text(as_svg(draw, inches, label) + "\n")


def discretisation(figure: Figure) -> None:
    """Decays of the state at the start of training, and the factor of the input in both forms."""
    left, right = figure.subplots(1, 2)
    bases = np.geomspace(1, 1e6, 200)
    for delta, colour in ((DELTA_MIN, MODEL), (DELTA_MAX, MARKOV)):
        for rate, style in ((1, "-"), (16, (0, (4, 2)))):
            name = f"step {delta:g}, A = -{rate}"
            left.plot(bases, np.exp(-delta * rate * bases), color=colour, linestyle=style, label=name)
    left.set(xscale="log", xlabel="bases later", ylabel="left of what was written", title="decay")
    left.legend(fontsize=7)
    exponent = np.linspace(1e-3, 3, 200)
    right.plot(exponent, -np.expm1(-exponent) / exponent, color=MODEL, label="zero-order hold")
    right.plot(exponent, np.ones_like(exponent), color=MARKOV, linestyle=(0, (5, 3)), label="first order")
    right.set(xlabel="|step x A|", ylabel="factor of the input / step", title="what is written", ylim=(0, 1.15))
    right.legend(fontsize=7, loc="lower left")


def box(axes: Axes, x: float, y: float, width: float, text: str, colour: str = SMOOTH, height: float = 0.55) -> None:
    """Draw a box with words in it."""
    axes.add_patch(plain_box(x, y, width, height, colour))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", color="white", fontsize=8)


def plain_box(x: float, y: float, width: float, height: float, colour: str) -> Any:
    """Return a filled rectangle with a white border."""
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=colour, edgecolor="white", linewidth=1)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = INK) -> None:
    """Draw an arrow."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.1})


def bare(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Leave an axis without a frame."""
    axes.set(xlim=x, ylim=y)
    axes.axis("off")


def strands(figure: Figure) -> None:
    """Both strands through one network."""
    axes = figure.subplots()
    bare(axes, (0, 10), (0, 3.2))
    for y, text, name in ((2.2, "ACGTT", "the sequence"), (0.6, "AACGT", "its reverse complement")):
        axes.text(0.9, y + 0.27, text, family="monospace", ha="center", va="center", fontsize=11, color=INK)
        axes.text(0.9, y - 0.2, name, ha="center", va="center", fontsize=7, color=INK)
        arrow(axes, (1.6, y + 0.27), (2.4, y + 0.27))
        box(axes, 2.5, y, 2.4, "network g", MODEL)
        arrow(axes, (5.0, y + 0.27), (5.8, y + 0.27))
    axes.text(3.7, 1.68, "the same weights, a batch of two", ha="center", va="center", fontsize=7, color=INK)
    box(axes, 5.9, 0.6, 1.9, "reverse, complement", SMOOTH)
    axes.plot([5.8, 8.6], [2.47, 2.47], color=INK, linewidth=1.1)
    arrow(axes, (8.6, 2.47), (8.6, 1.85))
    axes.plot([7.8, 8.6], [0.87, 0.87], color=INK, linewidth=1.1)
    arrow(axes, (8.6, 0.87), (8.6, 1.45))
    axes.text(8.6, 1.65, "+", ha="center", va="center", fontsize=13, color=INK)
    arrow(axes, (8.8, 1.65), (9.3, 1.65))
    axes.text(9.4, 1.65, "logits", va="center", fontsize=8, color=INK)


def state(figure: Figure) -> None:
    """One pass, a stream, and a shared prefix."""
    axes = figure.subplots()
    bare(axes, (-1.6, 10.2), (0, 4.4))
    for y, name in ((3.5, "one pass"), (2.2, "a stream"), (0.6, "a prefix, shared")):
        axes.text(-1.5, y + 0.27, name, va="center", fontsize=8, color=INK)
    box(axes, 0.5, 3.5, 9.5, "a million bases", MODEL)
    for number in range(4):
        box(axes, 0.5 + 2.45 * number, 2.2, 2.0, f"piece {number + 1}", MODEL)
        if number:
            arrow(axes, (0.05 + 2.45 * number, 2.47), (0.5 + 2.45 * number, 2.47), MARKOV)
    axes.text(2.73, 2.9, "state", ha="center", fontsize=7, color=MARKOV)
    box(axes, 0.5, 0.6, 5.0, "prefix, read once", MODEL)
    for y, text in ((1.25, "continuation 1"), (0.6, "continuation 2"), (-0.05, "continuation 3")):
        arrow(axes, (5.5, 0.87), (6.3, y + 0.27), MARKOV)
        box(axes, 6.3, y, 3.7, text, SMOOTH)


def sharing(figure: Figure) -> None:
    """The grid of blocks, and alleles that leave the reference at the border before them."""
    axes = figure.subplots()
    bare(axes, (-1.7, 10.2), (-0.4, 3.6))
    axes.text(-1.6, 3.0, "contig", va="center", fontsize=8, color=INK)
    for number, name in enumerate(("block k - 2", "block k - 1", "block k", "block k + 1")):
        box(axes, 2.5 * number, 2.75, 2.5, name, RAW if number in (0, 3) else SMOOTH)
    axes.text(-1.6, 2.02, "reference", va="center", fontsize=8, color=INK)
    box(axes, 2.5, 1.75, 5.6, "read once, from block k - 1 on", MODEL)
    for place, y in ((5.6, 0.9), (6.1, 0.25), (7.0, -0.4)):
        border = np.floor(place / 0.4) * 0.4
        axes.plot([border, border], [y + 0.27, 1.75], color=MARKOV, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.add_patch(plain_box(border, y, 2.4, 0.42, MODEL))
        axes.add_patch(plain_box(place, y, 0.12, 0.42, MARKOV))
    axes.text(-1.6, 0.7, "alleles", va="center", fontsize=8, color=INK)
    words = "each from the state at the\nborder before it, as far\nas the horizon"
    axes.text(2.4, 0.7, words, va="center", fontsize=7, color=INK)


def cost(figure: Figure) -> None:
    """Bases read for the variants of a block, by themselves and shared; one strand."""
    axes = figure.subplots()
    variants = np.geomspace(1, 1_000, 50)
    for context, horizon, style in ((131_072, 2_048, "-"), (1_024, 128, (0, (4, 2)))):
        alone = variants * 2 * (0.75 * context + horizon)
        shared = context + horizon + variants * (32 + horizon)
        label = f"context {context:,}, horizon {horizon:,}"
        axes.plot(variants, alone / shared, color=MODEL, linestyle=style, label=label)
    axes.set(xscale="log", yscale="log", xlabel="variants in a block", ylabel="bases read, alone / shared")
    axes.legend(fontsize=7)


def main() -> None:
    """Draw all pictures of the method pages."""
    save("discretisation", discretisation, (6.8, 2.7), "decay of the state, and the factor of the input")
    save("strands", strands, (6.8, 2.3), "two strands through one network, combined at the head")
    save("state", state, (6.8, 2.6), "one pass, a stream of pieces, and a shared prefix")
    save("sharing", sharing, (6.8, 2.6), "blocks of a contig, the reference read once, alleles from borders on")
    save("cost", cost, (4.6, 2.9), "bases read for the variants of a block, alone against shared")


if __name__ == "__main__":
    main()
