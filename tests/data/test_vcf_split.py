"""Shards of a VCF: what goes where, by hand and as a law; and their records, one after the other, are the file's."""

import gzip
from itertools import pairwise

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.data.genome import Genome
from genomamba.data.vcf_split import Shard, check_contigs, count_by_contig, plan_shards, write_shards
from genomamba.errors import DataError

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=a>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def make_vcf(path, counts):
    rows = [f"{contig}\t{pos + 1}\t.\tA\tC\t.\t.\t.\n" for contig, count in counts.items() for pos in range(count)]
    path.write_text(HEADER + "".join(rows))
    return rows


def test_by_hand():
    assert plan_shards({"a": 7, "b": 2, "c": 1, "d": 2}, 3) == [
        Shard(("a",), 2),
        Shard(("a",), 2),
        Shard(("a",), 3),
        Shard(("b", "c"), 3),
        Shard(("d",), 2),
    ]
    assert plan_shards({}, 3) == [Shard((), 0)]


@pytest.mark.parametrize("seed", range(20))
def test_shards_keep_the_order_are_full_and_mix_no_contig_that_is_cut(seed):
    generator = np.random.default_rng(seed)
    counts = {f"c{number}": int(generator.integers(1, 60)) for number in range(generator.integers(1, 30))}
    size = int(generator.integers(1, 40))
    shards = plan_shards(counts, size)
    assert sum(shard.records for shard in shards) == sum(counts.values())
    assert all(1 <= shard.records <= size for shard in shards)
    assert list(dict.fromkeys(contig for shard in shards for contig in shard.contigs)) == list(counts)
    for shard in shards:
        assert len(shard.contigs) == 1 or shard.records == sum(counts[contig] for contig in shard.contigs)
    for one, next_one in pairwise(shards):
        whole = all(counts[contig] <= size for contig in (*one.contigs, *next_one.contigs))
        assert not whole or one.records + counts[next_one.contigs[0]] > size


def test_records_of_the_shards_are_those_of_the_file(tmp_path):
    counts = {"a": 11, "b": 3, "c": 2}
    rows = make_vcf(tmp_path / "calls.vcf", counts)
    assert count_by_contig(tmp_path / "calls.vcf") == counts
    shards = plan_shards(counts, 5)
    write_shards(tmp_path / "calls.vcf", shards, tmp_path / "shards")
    texts = [gzip.decompress((tmp_path / f"shards/{number}.vcf.gz").read_bytes()).decode() for number in (1, 2, 3, 4)]
    assert len(list((tmp_path / "shards").iterdir())) == len(shards) == 4
    assert all(text.startswith(HEADER) for text in texts)
    assert "".join(text.removeprefix(HEADER) for text in texts) == "".join(rows)


def test_contigs_that_the_genome_lacks_are_told_and_refused_where_it_has_none(tmp_path):
    (tmp_path / "made.fa").write_text(">chr1\nACGT\n>2\nACGT\n")
    genome = Genome.open([tmp_path / "made.fa"], get_alphabet("dna"), cache_dir=tmp_path)
    assert check_contigs("calls.vcf", {"1": 4, "chr2": 5}, genome) is None
    assert (
        check_contigs("calls.vcf", {"1": 4, "X": 5}, genome)
        == "calls.vcf: 5 records lie on 'X', which the FASTA has not"
    )
    with pytest.raises(
        DataError, match=r"calls.vcf: its records lie on 'X', 'Y', and the FASTA has 'chr1', '2'; is this"
    ):
        check_contigs("calls.vcf", {"X": 4, "Y": 5}, genome)
