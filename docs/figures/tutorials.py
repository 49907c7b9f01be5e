"""Draw the pictures of the tutorials from what their commands have left in a folder.

`python docs/console.py FOLDER docs/tutorials/first-model.md ...` runs them, and this draws: `python
docs/figures/tutorials.py FOLDER`. Where FOLDER holds what docs/tutorials/workflows.md leaves, those are drawn.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from genomamba.data.fasta import Fasta
from genomamba.report.plots import MARKOV, MODEL, RAW, SMOOTH, STYLE, as_svg, draw_learning

HERE = Path(__file__).parent


def save(name: str, draw: Any, inches: tuple[float, float], label: str) -> None:
    """Write a drawing as SVG."""
    (HERE / f"tutorial-{name}.svg").write_text(as_svg(draw, inches, label) + "\n")


def learning(folder: Path) -> None:
    """Bits per base against training bases."""
    rows = pd.read_csv(folder / "runs/yeast/metrics.csv")
    orders = json.loads((folder / "runs/yeast/evaluation.json").read_text())["markov"]["orders"]
    best = min(orders, key=lambda one: one["valid"])
    pairs = [(part["bases"].to_numpy(float), part["bits_per_base"].to_numpy(float)) for part in parts(rows)]
    svg = draw_learning(pairs[0], pairs[1], (f"Markov, order {best['order']}", best["valid"]))
    (HERE / "tutorial-learning.svg").write_text(svg + "\n")


def parts(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of training and those of validation."""
    return [rows[rows["kind"] == kind] for kind in ("train", "valid")]


def scores(folder: Path) -> None:
    """Histograms of the scores, and of their percentiles."""
    scored = pd.read_csv(folder / "percentiles.tsv", sep="\t")

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.hist(scored["llr"], bins=40, color=MODEL)
        left.set(title="score", xlabel="llr, nats", ylabel="variants")
        right.hist(scored["pct"], bins=20, range=(0, 100), color=MODEL)
        right.axhline(len(scored) / 20, color=MARKOV, linestyle=(0, (5, 3)), linewidth=1.2)
        right.set(title="its place in its class", xlabel="percentile", ylabel="variants")

    save("scores", draw, (6.8, 2.6), "scores of variants, and their percentiles by class")


def region(folder: Path) -> None:
    """The picture of the command, with 64 colours."""
    with Image.open(folder / "cdc19.png") as image:
        image.quantize(64).save(HERE / "tutorial-region.png", optimize=True)


def genes(folder: Path, axes: Axes, name: str, contig: str, start: int, end: int) -> None:
    """Draw the genes of a stretch as bars on two rows, those of + above."""
    with gzip.open(folder / name, "rt") as file:
        for row in csv.reader(file, delimiter="\t"):
            if len(row) == 9 and row[0] == contig and row[2] == "CDS":
                first, last = int(row[3]) - 1, int(row[4])
                if last > start and first < end:
                    axes.broken_barh([(first, last - first)], (0.55 if row[6] == "+" else 0.05, 0.4), color=SMOOTH)
    axes.set(ylim=(0, 1), yticks=[0.25, 0.75], yticklabels=["CDS -", "CDS +"], xlim=(start, end))
    axes.grid(False)


def along(folder: Path, name: str, x: Any, y: Any, label: str, stretch: tuple[int, int], level: float) -> None:
    """Draw values along a stretch of S. mikatae above its genes."""

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        above.axhline(level, color=MARKOV, linewidth=1, linestyle=(0, (5, 3)))
        above.plot(x, y, color=MODEL, linewidth=1)
        above.set_ylabel(label)
        genes(folder, below, "smikatae_1.gff.gz", "NC_079256.1", *stretch)
        below.set_xlabel("position on chromosome 1 of S. mikatae")
        below.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")

    save(name, draw, (6.8, 2.9), f"{label} along a chromosome, above its genes")


def track(folder: Path) -> None:
    """Mean log-likelihood of windows along a stretch, above the genes."""
    import pyBigWig

    start, end = 60_000, 90_000
    with pyBigWig.open(str(folder / "smikatae.bw")) as file:
        values = np.array(file.values("NC_079256.1", start, end))
    means = np.nanmean(values.reshape(-1, 100), axis=1)
    along(folder, "track", start + 50 + 100 * np.arange(means.size), means, "bits, mean of 100 bases", (start, end), -2)


def coding(folder: Path) -> None:
    """Probability of coding sequence along a stretch, above the genes."""
    start, end = 60_000, 80_000
    names = ["contig", "start", "end", "p"]
    rows = pd.read_csv(folder / "coding.bedgraph.gz", sep="\t", names=names).query(f"start < {end} and end > {start}")
    along(folder, "coding", (rows["start"] + rows["end"]) / 2, rows["p"], "p(CDS)", (start, end), 0.5)


def embeddings(folder: Path) -> None:
    """The two directions in which embeddings differ most."""
    file = np.load(folder / "coding.npz")
    classes, labels = file["classes"].tolist(), file["labels"]
    centred = (file["embeddings"] - file["embeddings"].mean(0)) / file["embeddings"].std(0)
    places = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(5.4, 3.8), layout="constrained")
        for number, colour in enumerate((MODEL, MARKOV)):
            shown = places[labels == classes[number]]
            axes.scatter(*shown.T, s=5, color=colour, alpha=0.5, linewidths=0, label=classes[number])
        axes.set(xlabel="first direction", ylabel="second direction")
        axes.legend(markerscale=3)
        figure.savefig(HERE / "tutorial-embeddings.png", dpi=110, facecolor="white", metadata={"Software": None})
        pyplot.close(figure)


def roc(folder: Path) -> None:
    """The curve of the test part, by the fine-tuned network."""
    from sklearn.metrics import roc_curve

    said = pd.read_csv(folder / "runs/coding/members/seed-0/predictions.tsv", sep="\t")
    wrong, right, _ = roc_curve(said["label"] == "CDS", said["p_CDS"], drop_intermediate=True)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=RAW, linewidth=1)
        axes.plot(wrong, right, color=MODEL, linewidth=1.6)
        axes.set(xlabel="share of background called CDS", ylabel="share of CDS found", aspect="equal")

    save("roc", draw, (3.6, 3.4), "receiver operating characteristic of the classifier on the held-out species")


def words(folder: Path) -> None:
    """Share of each word of four letters in drawn and in real sequence."""
    genome = Fasta(folder / "scerevisiae_I.fa.gz")
    ((name, length),) = genome.lengths.items()
    drawn = "".join(line for line in (folder / "drawn.fa").read_text().splitlines() if line[0] != ">")
    texts = (genome.fetch(name, 0, length).upper(), drawn)
    real, made = (Counter(text[i : i + 4] for i in range(len(text) - 3)) for text in texts)
    listed = sorted(word for word in real if set(word) <= set("ACGT"))
    shares = [[100 * counts[word] / sum(counts.values()) for word in listed] for counts in (real, made)]
    top = 1.05 * max(max(shares[0]), max(shares[1]))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, top], [0, top], color=RAW, linewidth=1)
        axes.scatter(*shares, s=8, color=MODEL, linewidths=0)
        for word in ("AAAA", "TTTT", "CGCG", "GAAG", "TATA"):
            at = listed.index(word)
            axes.annotate(word, (shares[0][at], shares[1][at]), textcoords="offset points", xytext=(5, -3), fontsize=7)
        axes.set(xlabel="% of words in yeast", ylabel="% of words drawn", aspect="equal")

    save("words", draw, (3.9, 3.6), "words of four letters in drawn and in real sequence")


def workflow_scores(folder: Path) -> None:
    """Histogram of the scores of the cohort."""
    with gzip.open(folder / "my_scores/results/yeast/scores/made.vcf.gz", "rt") as file:
        found = [float(re.search(r"GM_LLR=([^;,]+)", line)[1]) for line in file if "GM_LLR=" in line and line[0] != "#"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.hist(found, bins=40, color=MODEL)
        axes.set(xlabel="GM_LLR, nats", ylabel="variants")

    save("workflow-scores", draw, (4.6, 2.3), "scores of the made variants")


def workflow_track(folder: Path) -> None:
    """Mean of the track over windows of a stretch."""
    import pyBigWig

    start, end = 60_000, 90_000
    with pyBigWig.open(str(folder / "my_track/results/yeast/track.bw")) as file:
        values = np.array(file.values("NC_001133.9", start, end))
    means = np.nanmean(values.reshape(-1, 100), axis=1)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axhline(-2, color=MARKOV, linewidth=1, linestyle=(0, (5, 3)))
        axes.plot(start + 50 + 100 * np.arange(means.size), means, color=MODEL, linewidth=1)
        axes.set(xlabel="position on chromosome I", ylabel="bits, mean of 100 bases")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")

    save("workflow-track", draw, (6.8, 2.1), "log-likelihood along 30,000 bases")


def workflow_classifiers(folder: Path) -> None:
    """Accuracy on the test part, with intervals: what was trained, and its baselines."""
    tables = [
        pd.read_csv(folder / f"my_labels/results/yeast/{name}/coding/figures.tsv", sep="\t", keep_default_na=False)
        for name in ("probed", "finetuned")
    ]
    rows = pd.concat(tables).query("`class` == '' and over == 'all' and figure == 'accuracy'")
    rows["name"] = rows["contender"].where(rows["contender"] != "random", "random weights")
    rows = rows.drop_duplicates("name")[::-1]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for at, row in enumerate(rows.to_dict("records")):
            colour = MARKOV if str(row["baseline"]).lower() == "true" else MODEL
            axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=2)
            axes.plot(row["value"], at, "o", color=colour, markersize=5)
        axes.set(yticks=range(len(rows)), yticklabels=rows["name"], xlabel="accuracy on the test part, 95 % intervals")

    save("workflow-classifiers", draw, (5.6, 2.2), "accuracy of classifiers and baselines, with intervals")


def workflow_report(folder: Path) -> None:
    """Snakemake's report as headless Chromium shows it, with 64 colours."""
    page, out = (folder / "my_genome/report.html").resolve(), HERE / "tutorial-workflow-report.png"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,620")
    wait = "--virtual-time-budget=8000"
    subprocess.run(["chromium", *options, wait, f"--screenshot={out}", page.as_uri()], check=True)
    with Image.open(out) as image:
        image.quantize(64).save(out, optimize=True)


def main(folder: Path) -> None:
    """Draw all pictures of the tutorials."""
    shutil.copy(folder / "contexts/contexts.svg", HERE / "tutorial-contexts.svg")
    for draw in (learning, scores, region, track, embeddings, roc, coding, words):
        draw(folder)


def of_workflows(folder: Path) -> None:
    """Draw the pictures of the tutorial of workflows."""
    shutil.copy(folder / "my_model/results/yeast/contexts/contexts.svg", HERE / "tutorial-workflow-contexts.svg")
    for draw in (workflow_scores, workflow_track, workflow_classifiers, workflow_report):
        draw(folder)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (of_workflows if (folder / "my_model").exists() else main)(folder)
