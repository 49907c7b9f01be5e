"""Workflows as a user runs them: all of them on a genome, a plan of very many shards, and one shard beside eight.

    python benchmarks/workflows.py all --fasta genome.fa.gz --gff genes.gff3.gz --test 'ref|NC_001136|'
    python benchmarks/workflows.py plan                          # a made VCF of a million records, in 1,000 shards
    python benchmarks/workflows.py shards --fasta chr20.fa.gz    # 20,000 made SNVs, in one shard and in eight

`all` sets up a new folder by `genomamba pipeline init`, puts the genome, 2,000 made variants and the annotation into
its configuration, runs it, makes Snakemake's report, and runs it again, which has to do nothing. Names of the
annotation are those that headers give as [chromosome=NAME], where they give any. `plan` is a dry run; `shards` stops
where the two do not leave the same bytes. A line of
benchmarks/results/<machine>/workflows.jsonl holds the seconds that passed, and those that CPUs were busy, which other
work on the machine changes less.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import yaml
from record import write

from genomamba.config import ModelConfig
from genomamba.data.vcf_output import write_vcf
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import save_model

CONTIGS: Final = 22
SHARDS: Final = 1_000


def main() -> None:
    """Run what was asked for, in a folder that is kept where it was named."""
    options = read_options()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        {"all": run_all, "plan": plan, "shards": compare_shards}[options.what](options, folder)


def run_all(options: argparse.Namespace, folder: Path) -> None:
    """Time `all` from a clean folder, its report, and a second run."""
    home = set_up("all", folder / "all")
    texts, names = read_fasta(options.fasta)
    for name in ("made.vcf", "scerevisiae_I.fa.gz", "scerevisiae_I.gff.gz"):
        (home / "data" / name).unlink()
    write_made(home / "data/made.vcf", texts, options.variants)
    (home / "config/names.tsv").write_text("".join(f"{short}\t{name}\n" for name, short in names.items()))
    configure(home, settings_of_all(home, options) | {"chrom_map": "config/names.tsv" if names else None})
    first = call(home, "run", "all", "--config", "config/config.yaml", "--", "--cores", str(options.cores))
    report = call(home, "run", "all", "--config", "config/config.yaml", "--", "--report", "report.html")
    again = call(home, "run", "all", "--config", "config/config.yaml", "--", "--cores", str(options.cores))
    if "Nothing to be done" not in again["said"]:
        raise SystemExit(f"a second run did something:\n{again['said']}")
    jobs = len(list((home / "benchmarks").rglob("*.tsv")))
    facts = {"bases": sum(map(len, texts.values())), "variants": options.variants, "jobs": jobs, "cores": options.cores}
    keep("all", first, **facts, network=options.preset or "that of the example", steps=options.steps)
    keep("all-report", report, mib=(home / "report.html").stat().st_size / 2**20)
    keep("all-again", again)


def settings_of_all(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return what takes the place of settings of the example: files, parts that test, and how much is done."""
    training = {"max_steps": options.steps, "valid_every": max(1, options.steps // 4), "test": options.test}
    example = yaml.safe_load((home / "config/config.yaml").read_text())["pretrain"]
    return {
        "name": "genome", "fasta": [str(options.fasta.resolve())],
        "gff": str(options.gff.resolve()), "classes": str(options.gff.resolve()),
        "shard_records": 500, "track_bases": 4_000_000, "threads": options.threads,
        "pretrain": ({"preset": options.preset} if options.preset else example) | training,
        "evaluate": {"contexts": [1024, 8192], "blocks": 32}, "score": {"context": 1024, "horizon": 128},
        "tasks": {"coding": {"feature": "CDS", "length": 200, "limit": 1_000, "test": options.test}},
        "predict": {"window": 200, "stride": 200},
    }  # fmt: skip


def plan(options: argparse.Namespace, folder: Path) -> None:
    """Time a dry run that scores a made VCF of very many records, once the number of its shards is known."""
    home = set_up("score_variants", folder / "plan")
    generator = np.random.default_rng(0)
    length = options.records // CONTIGS * 2 + 2_000
    texts = {f"chr{i + 1}": "".join(generator.choice(list("ACGT"), length)) for i in range(CONTIGS)}
    with gzip.open(home / "data/made.fa.gz", "wt", compresslevel=1) as file:
        file.writelines(f">{name}\n{text}\n" for name, text in texts.items())
    write_made(home / "data/made.vcf", texts, options.records)
    save_made_model(home / "model")
    records = options.records // SHARDS
    configure(home, {"fasta": ["data/made.fa.gz"], "model": "model", "shard_records": records, "pretrain": None})
    run = ("run", "score_variants", "--config", "config/config.yaml", "--", "--cores", str(options.cores))
    call(home, *run, "results/yeast/scores/made.shards.tsv", "results/yeast/info.json")
    shards = len((home / "results/yeast/scores/made.shards.tsv").read_text().splitlines()) - 1
    done = call(home, *run, "--dry-run", "--quiet", "rules")
    (jobs,) = re.findall(r"^total +(\d+)", done["said"], re.MULTILINE)[:1]
    keep("plan", done, records=options.records, shards=shards, jobs=int(jobs))


def compare_shards(options: argparse.Namespace, folder: Path) -> None:
    """Score the same variants in one shard and in eight; stop where the bytes differ."""
    texts, _ = read_fasta(options.fasta)
    written = {}
    for count in (1, 8):
        home = set_up("score_variants", folder / f"shards-{count}")
        write_made(home / "data/made.vcf", texts, options.variants, snvs=True)
        save_made_model(home / "model")
        records = -(-options.variants // count)
        change = {"fasta": [str(options.fasta.resolve())], "model": "model", "shard_records": records}
        configure(home, change | {"pretrain": None, "threads": options.threads})
        run = ("run", "score_variants", "--config", "config/config.yaml", "--", "--cores", str(options.cores))
        done = call(home, *run)
        shards = len((home / "results/yeast/scores/made.shards.tsv").read_text().splitlines()) - 1
        keep("shards", done, variants=options.variants, shards=shards)
        written[count] = (home / "results/yeast/scores/made.vcf.gz").read_bytes()
    if written[1] != written[8]:
        raise SystemExit("eight shards left other bytes than one")


def set_up(name: str, folder: Path) -> Path:
    """Return a new folder as `genomamba pipeline init` leaves it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    call(folder.parent, "init", name, str(folder))
    return folder


def configure(home: Path, change: Mapping[str, Any]) -> None:
    """Put settings into the configuration of a folder in the place of those of the example."""
    path = home / "config/config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | dict(change)))


def call(folder: Path, *words: str) -> dict[str, Any]:
    """Run `genomamba pipeline`; return what it said, and seconds that passed and those of CPUs."""
    before, began = os.times(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "genomamba", "pipeline", *words], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    after = os.times()
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return {"said": done.stdout, "wall_s": time.monotonic() - began, "cpu_s": used}


def keep(case: str, done: Mapping[str, Any], **facts: Any) -> None:
    """Append one line of what took how long."""
    write("workflows", case, wall_s=done["wall_s"], cpu_s=done["cpu_s"], **facts)


def read_fasta(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the sequences of a FASTA file by name, and what an annotation calls them, where headers say so."""
    with gzip.open(path, "rt") as file:
        entries = file.read().split(">")[1:]
    texts, names = {}, {}
    for entry in entries:
        header, _, lines = entry.partition("\n")
        name = header.split()[0]
        texts[name] = lines.replace("\n", "")
        if found := re.search(r"\[chromosome=(\w+)\]", header):
            names[name] = found.group(1)
    return texts, names


def write_made(path: Path, texts: Mapping[str, str], count: int, *, snvs: bool = False) -> None:
    """Write sorted variants, spread as the bases are: single bases, and without `snvs` a tenth of insertions."""
    lines = made_lines(texts, count, snvs=snvs)
    with write_vcf(path, "vcf", longest_contig=0) as sink:
        sink.write(b"##fileformat=VCFv4.2\n")
        for name, text in texts.items():
            sink.write(f"##contig=<ID={name},length={len(text)}>\n".encode())
        sink.write(b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for line in lines:
            sink.write(line.encode())


def made_lines(texts: Mapping[str, str], count: int, *, snvs: bool) -> Iterator[str]:
    """Yield records of made variants."""
    draw, left, bases = random.Random(0), count, sum(map(len, texts.values()))
    for name, text in texts.items():
        share = round(left * len(text) / bases)
        left, bases = left - share, bases - len(text)
        inside = range(600, len(text) - 600)
        known = [place for place in draw.sample(inside, min(len(inside), 2 * share)) if text[place].upper() in "ACGT"]
        if len(known) < share:
            raise SystemExit(f"{name}: {len(known)} known bases were drawn for {share} variants; ask for fewer")
        for place in sorted(known[:share]):
            ref = text[place].upper()
            alt = draw.choice([base for base in "ACGT" if base != ref])
            if not snvs and draw.random() < 0.1:
                alt = ref + "".join(draw.choices("ACGT", k=draw.randint(1, 5)))
            yield f"{name}\t{place + 1}\t.\t{ref}\t{alt}\t.\tPASS\t.\n"


def save_made_model(folder: Path) -> None:
    """Save a small causal model of random weights."""
    torch.manual_seed(0)
    folder.mkdir()
    shape = ModelConfig(d_model=16, num_layers=1, d_state=4)
    save_model(folder, LanguageModel(shape), {"objective": "next_token", "context": 512, "strand": "random"})


def read_options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("what", choices=("all", "plan", "shards"))
    made.add_argument("--fasta", type=Path, help="all, shards: the genome, gzip or BGZF")
    made.add_argument("--gff", type=Path, help="all: its annotation")
    made.add_argument("--test", nargs="+", default=[], help="all: contigs that test the model and the classifier")
    made.add_argument("--steps", type=int, default=400, help="all: steps of training (default: 400)")
    made.add_argument("--preset", help="all: network, such as tiny (default: that of the example, smaller)")
    made.add_argument("--variants", type=int, help="all, shards: made variants (default: 2,000; 20,000)")
    made.add_argument("--records", type=int, default=1_000_000, help="plan: made records (default: 1,000,000)")
    made.add_argument("--cores", type=int, default=2, help="of Snakemake (default: 2)")
    made.add_argument("--threads", type=int, default=2, help="of a job (default: 2)")
    made.add_argument("--folder", type=Path, help="where to run, and to leave all of it; default: a folder that goes")
    options = made.parse_args(words)
    if options.what != "plan" and options.fasta is None:
        made.error(f"{options.what} needs --fasta")
    if options.what == "all" and options.gff is None:
        made.error("all needs --gff, from which labels are made")
    if options.variants is None:
        options.variants = {"all": 2_000, "shards": 20_000}.get(options.what, 0)
    return options


if __name__ == "__main__":
    main()
