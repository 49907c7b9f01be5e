"""Scores of variants from Python: as brute force has them, in the order given, whatever form they are given in."""

import numpy as np
import pandas as pd
import pytest

import genomamba
from genomamba.alphabet import get_alphabet
from genomamba.coordinates import Variant
from genomamba.data.genome import Genome
from genomamba.errors import ConfigError, DataError
from genomamba.score.variants.brute_force import score_variant
from genomamba.score.variants.causal import CausalSettings
from genomamba.score.variants.marginal import MarginalSettings, score_marginal

OPTIONS = {"context": 64, "horizon": 16}
ROWS = [
    ("chr2", 90, "", ""), ("chr1", 150, "", "A"), ("chr1", 20, "", "AC"), ("chrM", 5, "A", "C"), ("chr1", 20, "", "T"),
    ("chr1", 1_000, "A", "C"), ("chr1", 30, "", "<DEL>"),
]  # fmt: skip


@pytest.fixture
def fasta(tmp_path, draw_text, monkeypatch):
    monkeypatch.setenv("GENOMAMBA_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "made.fa"
    path.write_text(f">chr1\n{draw_text(300)}\n>chr2\n{draw_text(200, seed=1)}\n")
    return path


@pytest.fixture
def texts(draw_text):
    return {"chr1": draw_text(300), "chr2": draw_text(200, seed=1)}


@pytest.fixture
def rows(texts):
    """Variants in no order: substitutions, an insertion, and some that have no score."""
    found = []
    for chrom, pos, ref, alt in ROWS:
        base = ref or texts[chrom][pos - 1]
        other = "ACGT"[("ACGT".index(base) + 1) % 4]
        found.append((chrom, pos, base, {"": other, "A": other, "T": other, "AC": base + "AC"}.get(alt, alt)))
    return found


STATUSES = ["OK", "OK", "OK", "NO_CONTIG", "OK", "OUT_OF_RANGE", "SYMBOLIC"]


def test_rows_are_those_of_brute_force_in_the_order_given(make_model, fasta, rows):
    model = make_model()
    table = genomamba.score_variants(model, fasta, rows, **OPTIONS)
    assert list(table.columns) == ["chrom", "pos", "id", "ref", "alt", "llr", "llr_lc", "status"]
    assert table["status"].tolist() == STATUSES
    assert list(zip(table["chrom"], table["pos"], table["ref"], table["alt"], strict=True)) == rows
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        "chrom": "string", "pos": "int64", "id": "string", "ref": "string", "alt": "string",
        "llr": "float64", "llr_lc": "float64", "status": "string",
    }  # fmt: skip
    genome = Genome.open([fasta], model.alphabet, progress=False)
    for row, found in zip(rows, table.itertuples(), strict=True):
        if found.status == "OK":
            expected = score_variant(
                model.network, genome, row[0], Variant(row[0], row[1] - 1, *row[2:]), CausalSettings(**OPTIONS)
            )
            assert (found.llr, found.llr_lc) == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(found.llr)
            assert np.isnan(found.llr_lc)


def test_a_file_a_table_and_a_list_give_the_same(make_model, fasta, rows, tmp_path):
    scorer = genomamba.VariantScorer(make_model(), [fasta], **OPTIONS)
    assert scorer.columns == ("llr", "llr_lc")
    of_rows = scorer.score(iter(rows))
    of_variants = scorer.score([Variant(chrom, pos - 1, ref, alt) for chrom, pos, ref, alt in rows])
    pd.testing.assert_frame_equal(of_rows, of_variants)

    table = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"], index=list("tuvwxyz"))
    table["id"] = ["rs1", None, "rs3", "rs4", "rs5", "rs6", "rs7"]
    of_table = scorer.score(table.assign(pos=table["pos"].astype("Int64"), other=1))
    assert of_table["id"].tolist() == ["rs1", ".", "rs3", "rs4", "rs5", "rs6", "rs7"]
    assert of_table.index.tolist() == list("tuvwxyz")
    pd.testing.assert_frame_equal(of_table.reset_index(drop=True).assign(id=of_rows["id"]), of_rows)

    vcf = tmp_path / "calls.vcf"
    ordered = sorted(rows)
    lines = [f"{chrom}\t{pos}\trs{i}\t{ref}\t{alt}\t.\t.\t.\n" for i, (chrom, pos, ref, alt) in enumerate(ordered)]
    # The two alleles of chr1:20 share a record.
    assert ordered[0][1:3] == ordered[1][1:3]
    lines[:2] = [lines[0].replace(f"\t{ordered[0][3]}\t", f"\t{ordered[0][3]},{ordered[1][3]}\t")]
    vcf.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines))
    of_file = scorer.score(vcf)
    assert of_file["id"].tolist() == ["rs0", "rs0", "rs2", "rs3", "rs4", "rs5", "rs6"]
    expected = of_rows.sort_values(["chrom", "pos", "ref", "alt"], ignore_index=True)
    pd.testing.assert_frame_equal(of_file.assign(id="."), expected.assign(id="."), check_dtype=False)


def test_a_masked_model_has_its_own_columns(make_model, fasta, rows):
    model = make_model("bidirectional")
    model.provenance["context"] = 32
    table = genomamba.score_variants(model, str(fasta), rows[:2], scores=["wt_marginal", "distance"], flank=4)
    assert list(table.columns[5:-1]) == ["wt_marginal", "l2_site", "cosine_site", "l2_pooled", "cosine_pooled"]
    genome = Genome.open([fasta], model.alphabet, progress=False)
    settings = MarginalSettings(context=32, scores=("wt_marginal", "distance"), flank=4)
    for i, (chrom, pos, ref, alt) in enumerate(rows[:2]):
        (found,) = score_marginal(model.network, genome, chrom, [Variant(chrom, pos - 1, ref, alt)], settings)
        assert table.loc[i, list(found)].to_dict() == pytest.approx(found)


def test_a_mismatch_is_skipped_or_kept(make_model, fasta, texts):
    wrong = "ACGT"[("ACGT".index(texts["chr1"][49]) + 1) % 4]
    alt = "ACGT"[("ACGT".index(texts["chr1"][49]) + 2) % 4]
    skipped = genomamba.score_variants(make_model(), fasta, [("1", 50, wrong, alt)], **OPTIONS)
    kept = genomamba.score_variants(make_model(), fasta, [("1", 50, wrong, alt)], ref_mismatch="keep", **OPTIONS)
    assert skipped["status"].tolist() == kept["status"].tolist() == ["REF_MISMATCH"]
    assert np.isnan(skipped["llr"][0])
    assert np.isfinite(kept["llr"][0])


@pytest.mark.parametrize("variants", [[], pd.DataFrame(columns=["chrom", "pos", "ref", "alt"])])
def test_nothing_gives_an_empty_table_of_the_same_columns(make_model, fasta, variants):
    table = genomamba.score_variants(make_model(), fasta, variants, **OPTIONS)
    assert len(table) == 0
    assert [str(dtype) for dtype in table.dtypes] == [
        "string", "int64", "string", "string", "string", "float64", "float64", "string",
    ]  # fmt: skip


BAD = {
    "no path": ("none.vcf", DataError, "none.vcf: "),
    "a number": (7, DataError, "variants is int; give the path of a VCF"),
    "a mapping": ({"chrom": "1"}, DataError, "variants is dict"),
    "short row": ([("chr1", 1, "A")], DataError, r"variants\[0\]: \('chr1', 1, 'A'\) is neither a Variant nor"),
    "text for a position": ([("chr1", "1", "A", "C")], DataError, r"variants\[0\]: pos is '1'; it must be a whole"),
    "a fraction": ([("chr1", 1.5, "A", "C")], DataError, r"pos is 1.5; it must be a whole number"),
    "no number": ([("chr1", float("nan"), "A", "C")], DataError, "pos is nan"),
    "a position beyond any contig": ([("chr1", 10**19, "A", "C")], DataError, r"variants\[0\]: pos is 10,000,000"),
    "a start beyond any contig": ([Variant("chr1", -(10**30), "A", "C")], DataError, "it must have fewer than 19"),
    "two alleles": ([("chr1", 1, "A", "C,G")], DataError, "alt is 'C,G'; give each allele a row of its own"),
    "no text": ([("chr1", 1, "A", None)], DataError, "alt is None; it must be text"),
    "no column": (pd.DataFrame({"chrom": ["1"], "pos": [1], "ref": ["A"]}), DataError, "the table has no column alt"),
    "a missing cell": (
        pd.DataFrame({"chrom": ["1"], "pos": [1], "ref": ["A"], "alt": [None]}, index=["x"]), DataError,
        "variants, row x: alt is .*; it must be text",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_variant_is_told_with_its_place(make_model, fasta, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variants, kind, message = BAD[case]
    with pytest.raises(kind, match=message) as caught:
        genomamba.score_variants(make_model(), fasta, variants, **OPTIONS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": "all"}, "context is 'all'; it must be a number of bases"),
        ({"context": 0}, "context is 0; it must be a whole number, 2 or more"),
        ({"context": -5}, "context is -5; it must be"),
        ({"horizon": 64.5}, "horizon is 64.5; it must be a whole number, 2 or more"),
        ({"flank": -1}, "flank is -1; it must be a whole number, 0 or more"),
        ({"batch_size": 0}, "batch_size is 0; it must be"),
        ({"scores": "wt_marginal"}, "scores has 'wt_marginal'; made is a causal model, which has llr"),
        ({"strand": "x"}, "strand is 'x'; it must be"),
        ({"ref_mismatch": "x"}, "ref_mismatch is 'x'; it must be"),
        # A table has no place where to stop.
        ({"ref_mismatch": "error"}, "ref_mismatch is 'error'; it must be skip or keep"),
    ],
)
def test_options_are_named_as_python_has_them(make_model, fasta, options, message):
    with pytest.raises(ConfigError, match=message):
        genomamba.VariantScorer(make_model(), fasta, **options)


@pytest.mark.parametrize(
    ("alphabet", "options", "message"),
    [
        ("bytes", {}, "the genome was opened with bytes, and the model has dna"),
        ("dna", {"chrom_map": "names.tsv"}, "chrom_map is names.tsv, and the genome is open; give it to Genome.open"),
        ("dna", {"cache_dir": "here"}, "cache_dir is here, and the genome is open"),
    ],
)
def test_a_genome_that_is_open_is_taken_as_it_is(make_model, fasta, alphabet, options, message):
    genome = Genome.open([fasta], get_alphabet(alphabet), progress=False)
    with pytest.raises(ConfigError, match=message):
        genomamba.VariantScorer(make_model(), genome, **options)
