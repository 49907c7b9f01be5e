"""A genome finds contigs under the names people use, and reads the same from every thread and process."""

import logging
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from genomamba.alphabet import get_alphabet
from genomamba.data.fasta import Fasta
from genomamba.data.genome import Genome
from genomamba.data.names import header_aliases
from genomamba.errors import ConfigError, DataError

SGD = {
    "ref|NC_001136| [org=Saccharomyces cerevisiae] [strain=S288C] [moltype=genomic] [chromosome=IV]": "ACGT",
    "ref|NC_001224| [org=Saccharomyces cerevisiae] [location=mitochondrion] [top=circular]": "GGGG",
}
NCBI = {
    "NC_001133.9 Saccharomyces cerevisiae S288C chromosome I, complete sequence": "ACGT",
    "NC_079272.1 Saccharomyces kudriavzevii IFO 1802 genome assembly, chromosome: 2": "AC",
    "NC_012920.1 Homo sapiens mitochondrion, complete genome": "GG",
    "gi|9626243|ref|NC_001416.1| Enterobacteria phage lambda, complete genome": "TT",
    "NT_113901.1 Homo sapiens chromosome Y unlocalized genomic scaffold, GRCh38": "A",
}
UCSC, ENSEMBL = {"chr1": "ACGT", "chrM": "GG"}, {"1": "ACGT", "MT": "GG"}


@pytest.mark.parametrize(
    ("records", "name", "expected"),
    [
        (UCSC, "chr1", "chr1"),
        (UCSC, "1", "chr1"),
        (UCSC, "MT", "chrM"),
        (ENSEMBL, "chr1", "1"),
        (ENSEMBL, "chrM", "MT"),
        (SGD, "IV", "ref|NC_001136|"),
        (SGD, "chrIV", "ref|NC_001136|"),
        (SGD, "NC_001136", "ref|NC_001136|"),
        (SGD, "chrM", "ref|NC_001224|"),
        (NCBI, "chrI", "NC_001133.9"),
        (NCBI, "NC_001133", "NC_001133.9"),
        (NCBI, "2", "NC_079272.1"),
        (NCBI, "MT", "NC_012920.1"),
        (NCBI, "NC_001416", "gi|9626243|ref|NC_001416.1|"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)).split()[0],
)
def test_names_people_use(records, name, expected, made_genome):
    genome = made_genome(records)
    assert genome.resolve(name) == expected
    np.testing.assert_array_equal(genome.fetch(name, 0, 2), genome.fetch(expected, 0, 2))


def test_a_scaffold_of_a_chromosome_is_not_the_chromosome(made_genome):
    with pytest.raises(DataError, match="no sequence 'chrY'"):
        made_genome(NCBI).resolve("chrY")


def test_aliases_by_hand():
    name, _, description = next(iter(SGD)).partition(" ")
    assert header_aliases(name, description) == {"NC_001136", "IV"}
    assert header_aliases("chr1", "") == set()


def test_a_name_that_several_headers_give_is_refused(made_genome):
    genome = made_genome({"A.1 x, chromosome: 1": "AC", "B.1 y, chromosome: 1": "GT"})
    with pytest.raises(ConfigError, match=r"'chr1' may be any of 'A.1', 'B.1'; give the name in"):
        genome.resolve("chr1")


def test_the_map_comes_last_and_is_said_once(made_genome, tmp_path, caplog):
    caplog.set_level(logging.INFO, "genomamba")
    table = tmp_path / "names.tsv"
    table.write_text("# given\tin the FASTA\nfirst\t1\nMT\t1\nsecond\tchrMT\n")
    genome = made_genome(ENSEMBL, chrom_map=table)
    assert [genome.resolve(name) for name in ("first", "first", "second", "MT")] == ["1", "1", "MT", "MT"]
    assert [r.message.split(": ")[1] for r in caplog.records] == ["'first' is read as '1'", "'second' is read as 'MT'"]
    table.write_text("a b c\n")
    with pytest.raises(DataError, match=r"names.tsv:1: 3 columns, expected 2"):
        made_genome(ENSEMBL, chrom_map=table)


LEFT_OUT = [
    "chr1_KI270706v1_alt", "chr1_KI270706v1_random", "chrUn_GL000195v1", "chr9_KN196479v1_fix", "chr6_apd_hap1",
    "chrEBV", "NC_007605", "hs37d5", "chrUn_KN707606v1_decoy", "HLA-A*01:01:01:01", "GL000207.1", "KI270728.1",
]  # fmt: skip
KEPT = ["chr1", "1", "chrX", "chrM", "MT", "NC_001133.9", "scaffold_12", "X"]


def test_contigs_left_out_by_default(made_genome):
    records = dict.fromkeys(LEFT_OUT + KEPT, "ACGT")
    genome = made_genome(records)
    assert [c.name for c in genome.contigs] == KEPT
    assert [c.name for c in genome.excluded] == LEFT_OUT
    with pytest.raises(DataError, match="'chrEBV' is left out; name it in --contigs"):
        genome.fetch("chrEBV", 0, 1)


@pytest.mark.parametrize(
    ("contigs", "expected"),
    [
        (["*"], LEFT_OUT + KEPT),
        (["chr?", "MT"], ["chr1", "chrX", "chrM", "MT"]),
        (["HLA-A*01:01:01:01"], [LEFT_OUT[9]]),
    ],
    ids=str,
)
def test_contigs_that_are_named_override(contigs, expected, made_genome):
    assert [c.name for c in made_genome(dict.fromkeys(LEFT_OUT + KEPT, "ACGT"), contigs=contigs).contigs] == expected


def test_contigs_that_match_nothing_or_leave_nothing_are_told(made_genome):
    with pytest.raises(DataError, match=r"no sequence that matches 'x\*'; it has 'chr1', 'chrM'"):
        made_genome(UCSC, contigs=["x*"])
    with pytest.raises(ConfigError, match=r"all 2 contigs are left out by default .*--contigs '\*'"):
        made_genome({"GL000207.1": "A", "hs37d5": "C"})


def test_directories_globs_and_doubles(write_fasta, dna, tmp_path):
    one, two = write_fasta({"a": "AC"}, "one.fa"), write_fasta({"b": "GT"}, "two.fna.gz")
    (tmp_path / "notes.txt").write_text("no FASTA")
    for given in (
        [tmp_path],
        [one, two],
        [tmp_path / "*.f*a*"],
        [one, tmp_path / ".." / tmp_path.name, tmp_path / "t*"],
    ):
        genome = Genome.open(given, dna, progress=False)
        assert [(c.name, c.path.name) for c in genome.contigs] == [("a", "one.fa"), ("b", "two.fna.gz")]
    assert [record["bytes"] for record in genome.inputs] == [one.stat().st_size, two.stat().st_size]


def test_fetch_by_hand(made_genome, dna):
    genome = made_genome({"a": "ACGTNacgt", "b": "GG"})
    assert genome.fetch("a", 3, 7).tolist() == [10, 11, 11 - 4 | 0x80, 8 | 0x80]
    assert genome.fetch("a", 4, 4).size == 0
    assert genome.fetch("b", 1, 5, pad=True).tolist() == [9, 11, 11, 11]
    assert genome.fetch("b", 7, 9, pad=True).tolist() == [11, 11]


def test_what_cannot_be_fetched_is_refused(made_genome, tmp_path):
    genome = made_genome({"a": "ACGT"})
    with pytest.raises(DataError, match=r"a has 4 bases, and 0-based \[2, 5\) was asked; stay within it, or ask for"):
        genome.fetch("a", 2, 5)
    for start, end in ((-1, 2), (3, 2)):
        with pytest.raises(ValueError, match="is not 0 <= start <= end"):
            genome.fetch("a", start, end)
    (tmp_path / "x.txt").write_bytes(b"text")
    with pytest.raises(ConfigError, match="bytes alphabet has no symbol to pad with"):
        Genome.open([tmp_path / "x.txt"], get_alphabet("bytes")).fetch("x.txt", 0, 9, pad=True)


@pytest.fixture
def readers(random_records, write_fasta, dna):
    """The same records by cache and by index, plain and BGZF, with jobs and what each must give."""
    records = random_records({"a": 200_000, "b": 70_001, "c": 130})
    generator = np.random.default_rng(1)
    jobs, texts = [], []
    for _ in range(6000):
        name = str(generator.choice(["a", "b", "c"]))
        start, end = sorted(generator.integers(0, len(records[name]) + 1, 2).tolist())
        end = min(end, start + 500)
        jobs.append((name, start, end))
        texts.append(records[name][start:end])
    plain, packed = write_fasta(records), write_fasta(records, "packed.fa.bgz")
    symbols = [dna.symbols(text).tobytes() for text in texts]
    return {
        "cache": (Genome.open([plain], dna, progress=False).fetch, jobs, symbols),
        "plain": (Fasta(plain).fetch, jobs, texts),
        "bgzf": (Fasta(packed).fetch, jobs, texts),
    }


def wrong(found, expected):
    found = [x if isinstance(x, str) else x.tobytes() for x in found]
    return sum(x != y for x, y in zip(found, expected, strict=True))


@pytest.mark.parametrize("kind", ["cache", "plain", "bgzf"])
def test_four_threads_read_right(kind, readers):
    fetch, jobs, expected = readers[kind]
    with ThreadPoolExecutor(4) as pool:
        assert wrong(pool.map(lambda job: fetch(*job), jobs), expected) == 0


@pytest.mark.parametrize("kind", ["cache", "plain", "bgzf"])
def test_four_workers_by_forkserver_read_right(kind, readers):
    fetch, jobs, expected = readers[kind]
    with multiprocessing.get_context("forkserver").Pool(4) as pool:
        assert wrong(pool.starmap(fetch, jobs, chunksize=500), expected) == 0


@pytest.mark.parametrize("kind", ["cache", "plain", "bgzf"])
def test_four_forked_processes_with_what_was_open_read_right(kind, readers):
    fetch, jobs, expected = readers[kind]
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    start = context.Barrier(5)

    def work(part):
        start.wait()
        try:
            results.put(wrong((fetch(*job) for job in jobs[part::5]), expected[part::5]))
        except Exception as error:
            results.put(repr(error))

    processes = [context.Process(target=work, args=(part,)) for part in range(4)]
    for process in processes:
        process.start()
    start.wait()
    here = wrong((fetch(*job) for job in jobs[4::5]), expected[4::5])
    assert [here, *(results.get() for _ in processes)] == [0] * 5
    for process in processes:
        process.join()


def test_a_pickle_is_small_and_reads_the_same(made_genome, random_records):
    genome = made_genome(random_records({"a": 1_000_000}))
    pickled = pickle.dumps(genome)
    assert len(pickled) < 10_000
    np.testing.assert_array_equal(pickle.loads(pickled).fetch("a", 5, 999), genome.fetch("a", 5, 999))
