"""Reading: FASTA into the cache, random windows of 1 Mb from it, training samples, and the memory that takes.

    python benchmarks/stream.py --fasta chr20.fa.gz [MORE ...] [--repeats 5]

The first FASTA is timed; it is BGZF or plain, for the peer is pyfaidx on the same file. All of them are read where
memory is measured, as Linux counts it. Everything runs in one thread.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyfaidx
from record import seconds, write

from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Interval
from genomamba.data.cache import build_cache
from genomamba.data.genome import Genome
from genomamba.data.source import compression
from genomamba.data.stream import SampleStream

WINDOW = 1_000_000
DNA = get_alphabet("dna")

# Run on its own, so that what else a benchmark imports does not count.
MEMORY = """
import json, sys
from pathlib import Path
import numpy as np
from genomamba.alphabet import get_alphabet
from genomamba.data.genome import Genome

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

start = peak()
genome = Genome.open(sys.argv[2:], get_alphabet("dna"), cache_dir=sys.argv[1], progress=False)
built = peak()
draws = np.random.default_rng(0)
for contig in genome.contigs:
    for at in draws.integers(0, max(1, contig.length - 1_000_000), 2000).tolist():
        genome.fetch(contig.name, at, min(at + 1_000_000, contig.length))
bases = sum(contig.length for contig in genome.contigs)
print(json.dumps({"bases": bases, "imports_mib": start, "after_index_mib": built, "after_windows_mib": peak()}))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--fasta", required=True, nargs="+", type=Path, help="FASTA, the first BGZF or plain")
    arguments.add_argument("--repeats", type=int, default=5, help="timed repeats of each case (default: 5)")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / options.fasta[0].name
        link.symlink_to(options.fasta[0].resolve())
        index(link, Path(folder), options.repeats)
        genome = Genome.open([link], DNA, cache_dir=folder, progress=False)
        windows(genome, link, options.repeats)
        samples(genome, options.repeats)
        memory(options.fasta)


def index(fasta: Path, folder: Path, repeats: int) -> None:
    """Bases a second from FASTA to cache, beside pyfaidx's index and beside reading the bytes alone."""
    bases = sum(contig.length for contig in build_cache(fasta, DNA, cache_dir=folder, progress=False).contigs.values())

    def read_alone() -> None:
        with gzip.open(fasta) if compression(fasta) != "none" else open(fasta, "rb") as file:
            while file.read(1 << 21):
                pass

    ours = seconds(lambda: build_cache(fasta, DNA, cache_dir=folder, rebuild=True, progress=False), repeats=repeats)
    ceiling = seconds(read_alone, repeats=repeats)
    peer = seconds(lambda: peer_index(fasta, folder), repeats=1, warmup=0)
    write(
        "stream", "index", who="genomamba", bases=bases, mb_per_s=bases / 1e6 / ours["p50_s"],
        ceiling_reading_mb_per_s=bases / 1e6 / ceiling["p50_s"], pyfaidx_index_mb_per_s=bases / 1e6 / peer["p50_s"],
        ratio_to_pyfaidx=peer["p50_s"] / ours["p50_s"], **ours,
    )  # fmt: skip


def peer_index(fasta: Path, folder: Path) -> pyfaidx.Faidx:
    """Let pyfaidx index the file from nothing."""
    for name in ("peer.fai", "peer.gzi"):
        (folder / name).unlink(missing_ok=True)
    return pyfaidx.Faidx(str(fasta), str(folder / "peer.fai"), gzi_indexname=str(folder / "peer.gzi"), as_raw=True)


def windows(genome: Genome, fasta: Path, repeats: int) -> None:
    """Random windows a second from the cache, beside pyfaidx and beside copying memory; equal to pyfaidx first."""
    contig = max(genome.contigs, key=lambda c: c.length)
    size = min(WINDOW, contig.length)
    starts = np.random.default_rng(0).integers(0, contig.length - size + 1, 200).tolist()
    peer = pyfaidx.Faidx(str(fasta), str(fasta.parent / "peer.fai"), gzi_indexname=str(fasta.parent / "peer.gzi"),
                         as_raw=True)  # fmt: skip
    few = starts[:5]
    for start in few:
        text = peer.fetch(contig.name, start + 1, start + size)
        np.testing.assert_array_equal(genome.fetch(contig.name, start, start + size), DNA.symbols(text))
    memory_of_ones = np.ones(64 * size, np.uint8)

    def copy() -> None:
        for start in starts:
            memory_of_ones[start % 63 * size :][:size].copy()

    def fetch() -> None:
        for start in starts:
            genome.fetch(contig.name, start, start + size)

    ours = seconds(fetch, repeats=repeats)["p50_s"] / len(starts)
    ceiling = seconds(copy, repeats=repeats)["p50_s"] / len(starts)
    theirs = seconds(lambda: [peer.fetch(contig.name, s + 1, s + size) for s in few], repeats=1)["p50_s"] / len(few)
    write(
        "stream", "windows-1Mb", who="genomamba", window=size, windows_per_s=1 / ours, gb_per_s=size / 1e9 / ours,
        ceiling_copy_gb_per_s=size / 1e9 / ceiling, share_of_ceiling=ceiling / ours,
        pyfaidx_windows_per_s=1 / theirs, pyfaidx_gb_per_s=size / 1e9 / theirs, ratio_to_pyfaidx=theirs / ours,
    )  # fmt: skip


def samples(genome: Genome, repeats: int) -> None:
    """Training samples a second, tokens and weights included."""
    regions = [Interval(contig.name, 0, contig.length) for contig in genome.contigs]
    for context in (1_024, 131_072):
        stream = SampleStream(genome, regions, context=context, seed=0, max_n=0.2)
        count = max(10, 2_000_000 // context)
        spent = seconds(lambda s=stream, n=count: [s[i] for i in range(n)], repeats=repeats)["p50_s"] / count
        write(
            "stream", f"samples-{context}", who="genomamba", us_per_sample=spent * 1e6, mb_per_s=context / 1e6 / spent
        )


def memory(fasta: list[Path]) -> None:
    """Peak resident memory of a process that builds the caches and reads 2,000 windows of 1 Mb of each contig."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", MEMORY, folder, *map(str, fasta)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    write("stream", "memory", who="genomamba", **json.loads(output))


if __name__ == "__main__":
    main()
