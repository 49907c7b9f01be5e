"""Files of a configuration that lie on no contig of its FASTA are refused before a job runs, and no others."""

import gzip

import pytest
import yaml

from genomamba.cli.main import main
from genomamba.errors import DataError
from genomamba.workflow import contigs
from genomamba.workflow.contigs import check_contigs

VCF = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{}\t5\t.\tA\tC\t.\t.\t.\n"
)
GFF = "##gff-version 3\n{}\tx\tgene\t1\t9\t.\t+\t.\tID=a"


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Check the configuration of `all` with these settings, in a folder with one FASTA."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.fa").write_text(">chr1\nACGT\nACGT\n>NC_2.1 Homo sapiens chromosome 2, whole\nACGT\n")

    def run(name="all", **settings):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"fasta": "g.fa"} | settings))
        check_contigs(name, tmp_path / "config.yaml")

    run.folder = tmp_path
    return run


def write(folder, contig):
    """Write one file of each kind on a contig; return the settings that name it, by kind."""
    (folder / "a.vcf").write_text(VCF.format(contig))
    (folder / "cohorts.tsv").write_text("cohort\tvcf\n#no\tno.vcf\nours\ta.vcf\n")
    (folder / "a.gff.gz").write_bytes(gzip.compress(GFF.format(contig).encode()))
    (folder / "a.bed").write_text(f"track name=a\n{contig}\t1\t2\texon\n")
    return {
        "sheet": {"cohorts": "cohorts.tsv"},
        "mapping": {"cohorts": {"ours": "a.vcf"}},
        "background": {"background": "a.vcf"},
        "gff": {"gff": "a.gff.gz"},
        "classes": {"classes": "a.bed"},
        "data": {"data": {"peaks": {"data": "a.bed"}}},
    }


KINDS = ["sheet", "mapping", "background", "gff", "classes", "data"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_on_no_contig_of_the_fasta_is_named(check, kind):
    with pytest.raises(DataError) as caught:
        check(**write(check.folder, "9")[kind])
    has = "its contigs are '9', and the FASTA has 'chr1', 'NC_2.1'; is this the right assembly? chrom_map matches names"
    assert str(caught.value).partition(": ")[2] == has


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("contig", ["chr1", "1", "chr2"], ids=["name", "spelling", "header"])
def test_a_file_on_one_of_them_is_not(check, kind, contig):
    check(**write(check.folder, contig)[kind])


def test_names_that_a_map_matches_are_known(check):
    settings = write(check.folder, "nine")["gff"]
    (check.folder / "map.tsv").write_text("nine\tchr1\n")
    check(**settings, chrom_map="map.tsv")


def test_a_workflow_without_a_map_is_not_sent_to_it(check):
    with pytest.raises(DataError, match=r"right assembly\?$"):
        check("pretrain", **write(check.folder, "9")["classes"])


@pytest.mark.parametrize("fasta", ["g.fa", "large.fa.gz"])
def test_what_takes_long_is_left_to_the_jobs(check, monkeypatch, fasta):
    settings = write(check.folder, "9")["gff"]
    (check.folder / "large.fa.gz").write_bytes(gzip.compress((check.folder / "g.fa").read_bytes()))
    monkeypatch.setattr(contigs, "_MOST_BYTES", {"none": 1000, "gzip": 20})
    check(**settings, fasta=fasta)


def test_what_snakemake_refuses_is_left_to_it(check):
    check(cohorts="no.tsv", gff="no.gff", fasta="g.fa", data=[1])
    check(**write(check.folder, "9")["gff"], fasta="no.fa")
    (check.folder / "bad.yaml").write_text("a: [")
    check_contigs("all", check.folder / "bad.yaml")


def test_the_command_ends_with_it_and_starts_nothing(check, capsys):
    config = {"name": "a", "fasta": "g.fa"} | write(check.folder, "9")["sheet"]
    (check.folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["pipeline", "run", "score_variants", "--config", "config.yaml"]) == 1
    assert capsys.readouterr().err.startswith("a.vcf: its contigs are '9'")
    assert not (check.folder / ".snakemake").exists()
