"""`genomamba split CALLS`: a VCF in shards, which are scored apart and put together by `genomamba merge`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from genomamba.cli.parsing import Parser
from genomamba.errors import ConfigError, RunError
from genomamba.settings import settings_of

if TYPE_CHECKING:
    from genomamba.data.vcf_split import Shard

__all__ = ["SplitConfig", "parser", "run"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitConfig:
    """Everything that `genomamba split` can be told, beside the VCF."""

    SECTIONS: ClassVar[Mapping[str, str]] = {"fasta": "Data", "records": "Shards", "table": "Output"}
    """First setting of each section, and the section's heading in the help."""

    # Data
    fasta: tuple[str, ...] = field(default=(), metadata={"splits": False})
    """FASTA files, folders or globs of the reference: a VCF none of whose contigs they have is refused."""
    chrom_map: str | None = None
    """Two-column file: contig as in the VCF, name in the FASTA."""
    cache_dir: str | None = None
    """Where caches of FASTA files are kept. Default: GENOMAMBA_CACHE_DIR, else the user's cache folder."""

    # Shards
    records: int = 20_000
    """Most records of a shard. A contig with more is cut into equal parts; short ones in a row share one."""

    # Output
    table: str | None = None
    """TSV of the shards: number, contigs, records."""
    out: str | None = None
    """Folder of the shards, 1.vcf.gz and so on. Without it they are counted alone."""
    force: bool = False
    """Replace --table and --out."""

    def __post_init__(self) -> None:
        if self.records < 1:
            raise ConfigError(f"is {self.records}; it must be above 0, such as 20000", option="records")


SETTINGS: Final = settings_of(SplitConfig)
# What the environment may give, since it means the same to every command.
SHARED: Final = {name: SETTINGS[name] for name in ("chrom_map", "cache_dir")}


def parser() -> Parser:
    """Return the parser of this command."""
    made = Parser(
        "split",
        "CALLS.vcf.gz [--records N] [--fasta REF.fa] [--table FILE] [--out FOLDER]",
        description="Part a VCF by contig and size into shards, to be scored apart; merge puts the results together.",
    )
    made.add_argument("vcf", metavar="CALLS", help="VCF, plain, gzip or BGZF, or BCF, sorted")
    made.add_settings(SETTINGS.values())
    return made


def run(argv: Sequence[str]) -> int:
    """Count, write what is asked for, say what there is, and return the exit code."""
    made = parser()
    namespace = made.parse(argv)
    config = SplitConfig(**made.given(SETTINGS, SHARED, namespace))
    _check_outputs(config)
    from genomamba.alphabet import get_alphabet
    from genomamba.data.genome import Genome
    from genomamba.data.vcf_split import check_contigs, count_by_contig, plan_shards, write_shards

    if namespace.vcf == "-":
        raise ConfigError("the VCF is '-'; it is read twice, so name a file")
    counts = count_by_contig(namespace.vcf)
    if config.fasta:
        dna = get_alphabet("dna")
        genome = Genome.open(
            config.fasta, dna, cache_dir=config.cache_dir, contigs=("*",), chrom_map=config.chrom_map
        )  # fmt: skip
        if told := check_contigs(namespace.vcf, counts, genome):
            print(told, flush=True)
    shards = plan_shards(counts, config.records)
    if config.table is not None:
        _write_table(Path(config.table), shards)
    if config.out is not None:
        write_shards(namespace.vcf, shards, Path(config.out))
    contigs, records = len(counts), sum(counts.values())
    print(
        f"{namespace.vcf}: {records:,} records of {contigs:,} contig{'s'[: contigs != 1]} in {len(shards):,}"
        f" shard{'s'[: len(shards) != 1]}"
    )
    return 0


def _check_outputs(config: SplitConfig) -> None:
    for option, path in (("--table", config.table), ("--out", config.out)):
        if path is None:
            continue
        if Path(path).exists() and not config.force:
            raise RunError(f"{path}: exists; give --force to replace it, or another {option}")
        if not Path(path).absolute().parent.is_dir():
            raise RunError(f"{path}: there is no folder {Path(path).parent}; make it, or give another {option}")


def _write_table(path: Path, shards: Sequence[Shard]) -> None:
    from genomamba.files import atomic_file

    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write("shard\tcontigs\trecords\n")
        file.writelines(
            f"{number}\t{','.join(one.contigs)}\t{one.records}\n" for number, one in enumerate(shards, 1)
        )  # fmt: skip
