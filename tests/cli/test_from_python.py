"""What the commands write is what Python gives."""

import csv
import gzip
import re

import numpy as np
import pytest

import genomamba
from genomamba.cli.main import main

CONTIGS = ["one", "two", "tiny", "three"]


@pytest.fixture
def model(trained_on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return genomamba.from_pretrained(trained_on / "run")


def test_likelihood_of_records_and_bases(model, trained_on, tmp_path):
    fasta = str(trained_on / "made.fa")
    for out, option in (("records.tsv", ["--per-record"]), ("bases.tsv.gz", [])):
        command = ["likelihood", str(trained_on / "run"), "--fasta", fasta, "--strand", "both", "--out", out, *option]
        assert main(command) == 0
    with open("records.tsv") as file:
        rows = {row["contig"]: row for row in csv.DictReader(file, delimiter="\t")}
    totals = model.log_likelihood((fasta, CONTIGS), strand="both")
    expected = [float(rows[contig]["log2_likelihood"]) for contig in CONTIGS]
    # The command packs other contigs together: the last digits of float32 differ.
    assert totals.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-4)
    with gzip.open("bases.tsv.gz", "rt") as file:
        written = [row for row in csv.DictReader(file, delimiter="\t") if row["contig"] == "one"]
    bits = model.log_likelihood((fasta, "one"), per_base=True, strand="both").numpy()
    found = np.array([float(row["log2_likelihood"]) for row in written])
    np.testing.assert_allclose(found, bits[[int(row["start"]) for row in written]], atol=1e-4)
    assert len(written) == np.isfinite(bits).sum()


def test_sequences_that_are_drawn(model, trained_on):
    fasta = str(trained_on / "made.fa")
    drawing = ["--length", "70", "-n", "2", "--seed", "3", "--temperature", "0.8", "--top-k", "3"]
    assert main(["generate", str(trained_on / "run"), "--prompt-fasta", fasta, *drawing, "--out", "drawn.fa"]) == 0
    with open("drawn.fa") as file:
        records = re.findall(r">(\S+) log2_likelihood=(\S+) .*\n([ACGT\n]+)", file.read())
    contigs = ["one", "two", "tiny", "none", "three"]
    drawn = model.generate((fasta, contigs), length=70, samples=2, seed=3, temperature=0.8, top_k=3)
    assert [(name, bits, text.replace("\n", "")) for name, bits, text in records] == [
        (f"{contigs[one.prompt]}_{one.sample + 1}", f"{one.log_likelihood:.4f}", one.sequence) for one in drawn
    ]
