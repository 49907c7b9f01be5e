"""Read, annotate and write a million made records, with scores held constant, beside pysam and cyvcf2.

    python benchmarks/vcf.py                                      # text to text, and BGZF to BGZF with its index
    python benchmarks/vcf.py --records 20000 --repeats 1 --dry-run

Every run is a process of its own; the tools take turns, so that what else the machine does falls on all of them. Each
adds the same numbers and a status to INFO. In BGZF, ours compresses on two threads beside the one that reads, and the
peers have two threads for their blocks; all of them index what they wrote by pysam. What the tools write is compared
first. Peak memory is that of the process, with what it imports, as Linux counts it; ours is measured at a tenth of the
records too. Lines are appended to benchmarks/results/<machine>/vcf.jsonl. cyvcf2 is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONTIGS = 22
TAGS = {"GM_LLR": "Float", "GM_STATUS": "String"}
NUMBERS = [random.Random(0).gauss(0, 2) for _ in range(1 << 16)]
"""Scores that every tool gives the alleles, over and over."""
THREADS = 2


def main() -> None:
    """Time every tool on both containers, then the memory of ours."""
    from record import child, quantiles, show, write

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="records (default: 1,000,000)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each tool (default: 3)")
    parser.add_argument("--dry-run", action="store_true", help="print, and append nothing")
    options = parser.parse_args()
    keep = (lambda _, case, **values: show(case, values)) if options.dry_run else write
    tools = [tool for tool in TOOLS if tool == "genomamba" or importlib.util.find_spec(tool)]
    with tempfile.TemporaryDirectory() as folder:
        for container in ("vcf", "vcf.gz"):
            source = make(Path(folder) / f"in.{container}", options.records)
            compare(tools, make(Path(folder) / f"few.{container}", 20_000), Path(folder))
            runs: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
            for _ in range(options.repeats):
                for tool in tools:
                    case = {"tool": tool, "source": str(source), "out": str(Path(folder) / f"{tool}.{container}")}
                    runs[tool].append(child(__file__, case))
            wall = {tool: quantiles([run["wall_s"] for run in runs[tool]]) for tool in tools}
            for tool in tools:
                cpu_s = min(run["cpu_s"] for run in runs[tool])
                keep(
                    "vcf", f"annotate-{container}", who=tool, records=options.records,
                    records_per_s=options.records / wall[tool]["p50_s"], cpu_s=cpu_s,
                    ratio_of_time_to_ours=wall[tool]["p50_s"] / wall["genomamba"]["p50_s"],
                    peak_mib=max(run["peak_mib"] for run in runs[tool]), **wall[tool],
                )  # fmt: skip
            tenth = make(Path(folder) / f"tenth.{container}", options.records // 10)
            case = {"tool": "genomamba", "source": str(tenth), "out": str(Path(folder) / f"tenth-out.{container}")}
            peaks = [child(__file__, case)["peak_mib"], max(run["peak_mib"] for run in runs["genomamba"])]
            keep(
                "vcf", f"memory-{container}", who="genomamba", records=[options.records // 10, options.records],
                peak_mib=peaks, growth_mib=peaks[1] - peaks[0],
            )  # fmt: skip


def make(path: Path, records: int) -> Path:
    """Write sorted records: single bases mostly, a tenth of them insertions and deletions, some of three alleles."""
    from genomamba.data.vcf_output import write_vcf

    fields = {"AC": "A,Type=Integer", "AF": "A,Type=Float", "AN": "1,Type=Integer", "DB": "0,Type=Flag"}
    head = ["##fileformat=VCFv4.2", '##FILTER=<ID=PASS,Description="All filters passed">']
    head += [f"##contig=<ID=chr{i + 1},length=250000000>" for i in range(CONTIGS)]
    head += [f'##INFO=<ID={name},Number={what},Description="made">' for name, what in fields.items()]
    head.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    with write_vcf(path, path.name.partition(".")[2], longest_contig=0) as sink:
        sink.write("".join(f"{line}\n" for line in head).encode())
        lines = _lines(records)
        while some := "".join(itertools.islice(lines, 1000)):
            sink.write(some.encode())
    return path


def _lines(records: int) -> Iterator[str]:
    draw = random.Random(1)
    pos = last_contig = 0
    for number in range(records):
        contig = number * CONTIGS // records + 1
        pos = pos + draw.randint(1, 200) if contig == last_contig else 10_000
        last_contig = contig
        ref, *others = draw.sample("ACGT", 4)
        alts = others[:1] if draw.random() > 0.03 else others
        kind, inserted = draw.random(), "".join(draw.choices("ACGT", k=draw.randint(1, 8)))
        if kind < 0.05:
            ref, alts = ref + inserted, [ref]
        elif kind < 0.1:
            alts = [ref + inserted]
        counts = [draw.randint(1, 5000) for _ in alts]
        info = f"AC={','.join(map(str, counts))};AF={','.join(f'{n / 5008:.6g}' for n in counts)};AN=5008;DB"
        yield f"chr{contig}\t{pos}\trs{number}\t{ref}\t{','.join(alts)}\t{draw.randint(20, 2000)}\tPASS\t{info}\n"


def compare(tools: list[str], source: Path, folder: Path) -> None:
    """Raise where the tools write other records; numbers may differ by what float32 rounds off."""
    written = {}
    for tool in tools:
        out = folder / f"compared-{tool}{''.join(source.suffixes)}"
        TOOLS[tool](str(source), str(out))
        written[tool] = [line.rstrip(b"\n").split(b"\t") for line in _open(out) if not line.startswith(b"#")]
    for tool, rows in written.items():
        for row, ours in zip(rows, written["genomamba"], strict=True):
            fields, our_fields = (dict(f.split(b"=") for f in info[7].split(b";") if b"=" in f) for info in (row, ours))
            scores, our_scores = (list(map(float, f.pop(b"GM_LLR").split(b","))) for f in (fields, our_fields))
            far = max(abs(a - b) for a, b in zip(scores, our_scores, strict=True))
            if row[:7] != ours[:7] or fields != our_fields or far > 1e-5:
                raise SystemExit(f"{tool} writes {row}, and genomamba {ours}")


def _open(path: Path) -> Any:
    import gzip

    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def by_genomamba(source: str, out: str) -> None:
    """Annotate with this package."""
    import numpy as np

    from genomamba.data.vcf import VcfReader
    from genomamba.data.vcf_header import Tag
    from genomamba.data.vcf_output import output_kind
    from genomamba.data.vcf_values import count_alleles
    from genomamba.data.vcf_write import open_scored

    tags = [Tag(id=name, number="A", type=kind, description="made") for name, kind in TAGS.items()]
    numbers = np.tile(NUMBERS, 2)
    at = 0
    with VcfReader(source) as reader, open_scored(out, output_kind(out), reader.header, tags, "benchmark") as scored:
        for records in reader.batches():
            count = sum(count_alleles(records))
            scored.write(records, {"GM_LLR": numbers[at : at + count], "GM_STATUS": ["OK"] * count})
            at = (at + count) % len(NUMBERS)


def by_pysam(source: str, out: str) -> None:
    """Annotate with pysam."""
    import pysam

    is_packed = out.endswith(".gz")
    threads = THREADS if is_packed else 1
    numbers, at = NUMBERS * 2, 0
    with pysam.VariantFile(source, threads=threads) as file:
        for name, kind in TAGS.items():
            file.header.add_line(f'##INFO=<ID={name},Number=A,Type={kind},Description="made">')
        with pysam.VariantFile(out, "wz" if is_packed else "w", header=file.header, threads=threads) as target:
            for record in file:
                count = len(record.alts)
                record.info["GM_LLR"] = numbers[at : at + count]
                record.info["GM_STATUS"] = ["OK"] * count
                at = (at + count) % len(NUMBERS)
                target.write(record)
    if is_packed:
        pysam.tabix_index(out, preset="vcf", force=True)


def by_cyvcf2(source: str, out: str) -> None:
    """Annotate with cyvcf2."""
    import cyvcf2
    import pysam

    is_packed = out.endswith(".gz")
    numbers, at = NUMBERS * 2, 0
    file = cyvcf2.VCF(source, threads=THREADS if is_packed else None)
    for name, kind in TAGS.items():
        file.add_info_to_header({"ID": name, "Number": "A", "Type": kind, "Description": "made"})
    target = cyvcf2.Writer(out, file, mode="wz" if is_packed else "w")
    if is_packed:
        target.set_threads(THREADS)
    for record in file:
        count = len(record.ALT)
        some = numbers[at : at + count]
        record.INFO["GM_LLR"] = some[0] if count == 1 else ",".join([f"{number:.6g}" for number in some])
        record.INFO["GM_STATUS"] = ",".join(["OK"] * count)
        at = (at + count) % len(NUMBERS)
        target.write_record(record)
    target.close()
    file.close()
    if is_packed:
        pysam.tabix_index(out, preset="vcf", force=True)


TOOLS = {"genomamba": by_genomamba, "pysam": by_pysam, "cyvcf2": by_cyvcf2}


def run_case(case: dict[str, str]) -> None:
    """Annotate once, and print what it took, as JSON."""
    # Imports are no part of what is timed.
    importlib.import_module("genomamba.data.vcf_write" if case["tool"] == "genomamba" else case["tool"])
    start, cpu = time.perf_counter(), time.process_time()
    TOOLS[case["tool"]](case["source"], case["out"])
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    # Not by getrusage, which counts the process that started this one, too.
    peak_mib = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak_mib}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        run_case(json.loads(sys.argv[2]))
    else:
        main()
