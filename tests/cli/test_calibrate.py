"""`genomamba calibrate`, and what `genomamba score` makes of it, on models that were trained."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import percentileofscore

import genomamba
from genomamba.alphabet import get_alphabet
from genomamba.cli.main import main
from genomamba.coordinates import Interval, Variant
from genomamba.data.genome import Genome
from genomamba.errors import RunError
from genomamba.score.variants import steps
from genomamba.score.variants.background import draw_background
from genomamba.score.variants.classes import Classes
from genomamba.score.variants.config import CalibrateConfig, ScoreConfig
from genomamba.settings import settings_of

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
OPTIONS = ("--context", "64", "--horizon", "16", "--threads", "1")
FEW = (*OPTIONS, "--region", "three:1-400", "--number", "4")


@pytest.fixture(autouse=True)
def folder(masked_on, tmp_path, monkeypatch):
    """A folder with copies of the models, the genome, and some of its variants as a VCF."""
    for name in ("run", "masked"):
        shutil.copytree(masked_on / name, tmp_path / name)
    shutil.copy(masked_on / "made.fa", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def genome():
    return Genome.open(["made.fa"], get_alphabet("dna"), contigs=("*",), progress=False)


@pytest.fixture
def background(genome, folder):
    """A VCF of random variants of some classes, up to 60 of each."""
    drawn = draw_background(genome, [Interval("three", 0, 2_000)], 60, 0, folded=True, longest=8)
    kept = [one for one in drawn if one.kind == "insertion" or (one.ref, one.alt) in (("A", "G"), ("T", "C"))]
    rows = [f"{one.contig}\t{one.start + 1}\t.\t{one.ref}\t{one.alt}\t.\t.\tDP=3\n" for one in kept]
    (folder / "background.vcf").write_text(HEADER + "".join(rows))
    return "background.vcf"


def calibrate(*options, model="run", code=0):
    assert main(["calibrate", model, "--fasta", "made.fa", *map(str, options)]) == code


def score(vcf, out, *options, model="run", code=0):
    assert main(["score", model, "--fasta", "made.fa", "--vcf", vcf, "--out", out, *map(str, options)]) == code


def records_of(name):
    return [line.split("\t") for line in Path(name).read_text().splitlines() if line[0] != "#"]


def info_of(row):
    return dict(field.partition("=")[::2] for field in row[7].split(";"))


def test_the_background_itself_is_spread_evenly_over_each_class(background, genome):
    calibrate("--vcf", background, *OPTIONS)
    score(background, "scored.parquet", *OPTIONS)
    table = pd.read_parquet("scored.parquet")
    assert list(table.columns[5:]) == ["llr", "llr_lc", "pct", "z", "status"]
    classes = Classes(genome, folded=True)
    rows = zip(table.chrom, table.pos - 1, table.ref, table.alt, strict=True)
    table["chain"] = [classes.of(row[0], Variant(*row)) for row in rows]
    table = table[table.status == "OK"]
    stored = json.loads(Path("run/calibration.json").read_text())
    assert stored["variants"] == len(table) > 1_000
    own = wide = 0
    for chain, group in table.groupby("chain"):
        uses = chain[0]
        while "uses" in stored["classes"][uses]["scores"]["llr"]:
            uses = stored["classes"][uses]["parent"]
        of = np.sort(table.llr[[uses in one for one in table.chain]])
        assert stored["classes"][uses]["count"] == len(of)
        exact = 1e-4 if len(of) <= 400 else 0.26
        expected = [percentileofscore(of, value, kind="mean") for value in group.llr]
        assert group.pct.tolist() == pytest.approx(expected, abs=exact)
        width = 1.4826 * np.median(np.abs(of - np.median(of)))
        assert group.z.tolist() == pytest.approx(((group.llr - np.median(of)) / width).tolist(), rel=1e-5, abs=1e-6)
        if uses == chain[0] and len(set(of)) == len(of):
            even = 100 * (np.arange(len(of)) + 0.5) / len(of)
            assert np.sort(group.pct) == pytest.approx(even, abs=1e-4)
        own += uses == chain[0]
        wide += uses != chain[0]
    assert own > 10
    assert wide > 5


def test_python_has_the_same_columns(background):
    calibrate("--vcf", background, *OPTIONS)
    rows = Path(background).read_text().splitlines(True)
    Path("calls.vcf").write_text("".join([*rows[:60], "chrQ\t1\t.\tA\tC\t.\t.\t.\n"]))
    score("calls.vcf", "scored.parquet", *OPTIONS)
    expected = pd.read_parquet("scored.parquet")
    asked = {"context": 64, "horizon": 16, "calibration": "run/calibration.json"}
    scorer = genomamba.VariantScorer("run", "made.fa", **asked)
    table = scorer.score("calls.vcf")
    assert scorer.columns == ("llr", "llr_lc", "pct", "z")
    assert list(table.columns) == list(expected.columns)
    for name in ("pct", "z"):
        assert table[name].tolist() == pytest.approx(expected[name].tolist(), nan_ok=True)
        assert table[name].isna().tolist() == (table.status != "OK").tolist()
    assert {str(table[name].dtype) for name in scorer.columns} == {"float64"}
    assert str(scorer.score([])["pct"].dtype) == "float64"
    with pytest.raises(RunError, match="json: has horizon 16, and this command 8; make one that fits"):
        genomamba.VariantScorer("run", "made.fa", **asked | {"horizon": 8})


def test_labels_and_page_take_what_a_background_says(background, folder):
    calibrate("--vcf", background, *OPTIONS)
    rows = [row.replace("DP=3", f"DP={i % 7}") for i, row in enumerate(Path(background).read_text().splitlines(True))]
    (folder / "calls.vcf").write_text("".join(rows[:200]))
    asked = ("--labels", "DP", "--baselines", "none")
    score("calls.vcf", "scored.vcf", *OPTIONS, *asked, "--metrics", "m.tsv", "--report", "r.html")
    table = pd.read_table("m.tsv")
    assert table["score"].tolist() == ["-llr", "-llr_lc", "-pct", "-z"]
    scored = (
        pd.DataFrame([info_of(row) for row in records_of("scored.vcf")])
        .replace(".", None)
        .astype(float, errors="ignore")
    )
    found = scored[scored.GM_STATUS == "OK"].astype({"GM_PCT": float, "DP": float})
    expected = -found.GM_PCT.corr(found.DP, method="spearman")
    assert table.set_index("score").loc["-pct", "spearman"] == pytest.approx(expected, abs=1e-3)
    assert ">pct<" in Path("r.html").read_text()
    assert main(["merge", "scored.vcf", "--labels", "DP", "--metrics", "again.tsv"]) == 0
    assert pd.read_table("again.tsv")["score"].tolist() == table["score"].tolist()


def test_tags_are_written_where_there_is_a_score_and_a_calibration(background, folder, capsys):
    calibrate("--vcf", background, *OPTIONS)
    assert "strands\nbackground.vcf: " in capsys.readouterr().out
    text = (folder / "made.fa").read_text()
    bases = text.split(">three\n")[1].replace("\n", "").upper()
    ref = bases[99]
    alts = [base for base in "ACGT" if base != ref]
    row = f"three\t100\t.\t{ref}\t{alts[0]},<DEL>,{alts[1]}\t.\t.\tDP=1;GM_PCT=7\n"
    (folder / "calls.vcf").write_text(HEADER + row + "chrQ\t1\t.\tA\tC\t.\t.\t.\n")
    score("calls.vcf", "scored.vcf", *OPTIONS)
    first, second = map(info_of, records_of("scored.vcf"))
    assert list(first) == ["DP", "GM_LLR", "GM_LLR_LC", "GM_PCT", "GM_Z", "GM_STATUS"]
    assert [value == "." for value in first["GM_PCT"].split(",")] == [False, True, False]
    assert [value == "." for value in first["GM_Z"].split(",")] == [False, True, False]
    assert second["GM_PCT"] == second["GM_Z"] == "."
    header = Path("scored.vcf").read_text()
    assert '##INFO=<ID=GM_PCT,Number=A,Type=Float,Description="Percent, 0 to 100, of the background' in header
    assert "that have a lower GM_LLR; calibration " in header
    score("calls.vcf", "without.vcf", *OPTIONS, "--calibration", "none")
    assert "GM_PCT" not in Path("without.vcf").read_text().replace("GM_PCT=7", "")
    assert [info_of(one)["GM_LLR"] for one in records_of("without.vcf")] == [first["GM_LLR"], second["GM_LLR"]]


def test_what_does_not_fit_is_left_out_or_refused(background, capsys):
    calibrate("--vcf", background, *OPTIONS)
    capsys.readouterr()
    score(background, "scored.vcf", *OPTIONS, "--horizon", "20")
    shown = capsys.readouterr().err
    assert shown.count("warning") == 1
    assert "warning: run/calibration.json: has horizon 16, and this command 20; make one that fits" in shown
    assert "GM_PCT" not in Path("scored.vcf").read_text()
    named = ("--calibration", "run/calibration.json", "--force")
    score(background, "scored.vcf", *OPTIONS, *named, "--strand", "+", code=1)
    assert "run/calibration.json: has strand both, and this command +; make one that fits" in capsys.readouterr().err
    score(background, "scored.vcf", *OPTIONS, *named, model="masked", code=1)
    assert "is of a model with other weights" in capsys.readouterr().err
    score(background, "scored.vcf", *OPTIONS, "--calibration", "absent.json", "--force", code=1)
    assert "absent.json: no such file; check the name" in capsys.readouterr().err
    Path("run/calibration.json").write_text("{")
    score(background, "scored.vcf", *OPTIONS, "--force")
    assert "run/calibration.json: cannot be read as JSON" in capsys.readouterr().err


def test_parts_are_the_whole_and_other_backgrounds_are_told_apart(background, capsys):
    calibrate("--vcf", background, *OPTIONS)
    score(background, "whole.vcf", *OPTIONS)
    parts = [f"part{i}.vcf" for i in (1, 2, 3)]
    for i, part in enumerate(parts, 1):
        score(background, part, *OPTIONS, "--shard", f"{i}/3")
    assert main(["merge", *parts, "--out", "merged.vcf"]) == 0
    kept = [
        [line for line in Path(name).read_text().splitlines() if not line.startswith("##genomambaCommand")]
        for name in ("whole.vcf", "merged.vcf")
    ]
    assert kept[0] == kept[1]
    assert "GM_PCT=" in kept[0][-1]
    calibrate(*FEW, "--out", "other.json")
    score(background, "part2.vcf", *OPTIONS, "--shard", "2/3", "--calibration", "other.json", "--force")
    capsys.readouterr()
    assert main(["merge", *parts, "--out", "merged.vcf", "--force"]) == 1
    assert "part2.vcf" in capsys.readouterr().err


def stop_after(monkeypatch, parts):
    finish, done = steps.Partial.finish, []

    def stopped(self, part, sums):
        finish(self, part, sums)
        done.append(part)
        if len(done) == parts:
            raise KeyboardInterrupt

    monkeypatch.setattr(steps.Partial, "finish", stopped)
    return done


def test_interrupted_it_goes_on_to_the_same_bytes(folder, monkeypatch, capsys):
    monkeypatch.setattr(steps, "PART", 64)
    calibrate(*FEW, "--out", "unbroken.json")
    done = stop_after(monkeypatch, 3)
    calibrate(*FEW, code=130)
    assert not (folder / "run/calibration.json").exists()
    assert "192 of " in capsys.readouterr().err
    calibrate(*FEW, code=1)
    assert "run/calibration.json.partial: an interrupted command left it; --resume goes on" in capsys.readouterr().err
    calibrate(*FEW, "--resume", "--seed", "1", code=1)
    assert "with seed 0 where this one has 1" in capsys.readouterr().err
    calibrate(*FEW, "--resume")
    assert (folder / "run/calibration.json").read_bytes() == (folder / "unbroken.json").read_bytes()
    assert done == sorted(done)
    assert done[:3] == [64, 128, 192]
    assert not (folder / "run/calibration.json.partial").exists()


def test_scores_that_were_interrupted_get_the_same_tags(background, monkeypatch):
    calibrate("--vcf", background, *OPTIONS)
    score(background, "unbroken.vcf", *OPTIONS)
    monkeypatch.setattr(steps, "PART", 256)
    stop_after(monkeypatch, 2)
    score(background, "stopped.vcf", *OPTIONS, code=130)
    score(background, "stopped.vcf", *OPTIONS, "--resume")
    assert records_of("stopped.vcf") == records_of("unbroken.vcf")
    assert "GM_PCT=" in records_of("stopped.vcf")[-1][7]


def test_random_variants_belong_to_their_seed(folder, capsys):
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        calibrate(*FEW, "--seed", seed, "--out", f"{name}.json")
    one, again, other = ((folder / f"{name}.json").read_text() for name in ("one", "again", "other"))
    assert one == again
    assert one != other
    shown = capsys.readouterr().out
    assert "one.json: " in shown
    assert "GM_LLR of" in shown
    stored = json.loads(one)
    assert (stored["number"], stored["seed"], stored["vcf"], stored["region"]) == (4, 0, None, "three:1-400")
    assert stored["settings"] == {"scores": ["llr", "llr_lc"], "context": 64, "horizon": 16, "strand": "both"}


def test_a_masked_model_has_a_background_too(background, folder):
    common = ("--context", "64", "--threads", "1")
    lines = (folder / background).read_text().splitlines(keepends=True)
    (folder / background).write_text("".join([*lines[:2], *lines[2::4]]))
    calibrate("--vcf", background, *common, "--scores", "wt_marginal", "pseudo_llr", model="masked")
    score(background, "scored.vcf", *common, "--scores", "pseudo_llr", model="masked")
    assert "that have a lower GM_PSEUDO_LLR; calibration " in Path("scored.vcf").read_text()
    found = [info_of(row) for row in records_of("scored.vcf")]
    assert all(("." in one["GM_PCT"].split(",")) == (one["GM_STATUS"] != "OK") for one in found)
    score(background, "marginal.vcf", *common, model="masked")
    rows = records_of("marginal.vcf")
    substitutions = [len(row[3]) == len(row[4]) for row in rows]
    assert [info_of(row)["GM_PCT"] != "." for row in rows] == [
        same and info_of(row)["GM_STATUS"] == "OK" for same, row in zip(substitutions, rows, strict=True)
    ]
    assert 0 < sum(substitutions) < len(rows)


def test_random_variants_are_of_contigs_that_are_not_left_out(folder, genome, capsys):
    bases = (folder / "made.fa").read_text().split(">three\n")[1].replace("\n", "")
    chrom, unplaced = f">chr1\n{bases[:400]}\n", f">chrUn_KI270302v1\n{bases[400:900]}\n"
    (folder / "chrom.fa").write_text(chrom)
    (folder / "both.fa").write_text(chrom + unplaced)
    said = []
    for options in (("chrom.fa",), ("both.fa",), ("both.fa", "--region", "chrUn_KI270302v1")):
        assert main(["calibrate", "run", "--dry-run", *OPTIONS, "--fasta", *options]) == 0
        said.append(capsys.readouterr().out.partition(".fa: ")[2])
    assert said[0] == said[1] != said[2]


def test_a_dry_run_writes_nothing(folder, capsys):
    before = sorted(folder.rglob("*"))
    calibrate(*FEW, "--dry-run")
    assert "made.fa: " in capsys.readouterr().out
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--vcf", "background.vcf", "--number", "5"), "--number is of random variants, and --vcf names others"),
        (("--vcf", "background.vcf", "--seed", "0"), "--seed is of random variants, and --vcf names others"),
        (("--number", "0"), "--number is 0; it must be above 0, such as 200"),
        (("--seed", "-1"), "--seed is -1; it must be 0 or more"),
        (("--out", "-"), "--out is -; name a file"),
        (("--out", "run"), "run: is a folder; name a file by --out"),
        (("--out", "made.fa"), "made.fa: exists; give --force to replace it, or another --out"),
        (("--out", "no/where.json"), "no/where.json: there is no folder no; make it, or give another --out"),
        (("--scores", "wt_marginal"), "--scores has 'wt_marginal'; run is a causal model, which has llr"),
        (("--resume",), "calibration.json.partial: nothing to go on with; leave out --resume"),
        (("--region", "none"), "made.fa: 0 variants can be scored, and a background has 50 or more"),
        (("--vcf", "few.vcf"), "few.vcf: 1 variants can be scored, and a background has 50 or more"),
        (("--fasta", "empty.fa"), "empty.fa"),
        (("--fasta", "absent.fa"), "absent.fa"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_one_line(folder, genome, background, capsys, options, message):
    (folder / "empty.fa").write_text("")
    first = (folder / "background.vcf").read_text().splitlines()[:3]
    (folder / "few.vcf").write_text("\n".join(first) + "\n")
    before = sorted(path for path in folder.rglob("*"))
    fasta = () if "--fasta" in options else ("--fasta", "made.fa")
    assert main(["calibrate", "run", *fasta, *OPTIONS, *options]) in (1, 2)
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.strip().splitlines()) == 1
    assert sorted(path for path in folder.rglob("*")) == before


def test_settings_that_commands_share_may_be_said_otherwise():
    ours, theirs = settings_of(CalibrateConfig), settings_of(ScoreConfig)
    assert ours["context"] == theirs["context"]
    assert ours["vcf"].help.startswith("Background variants")
    assert theirs["vcf"].help.startswith("Variants: ")
    assert "shard" not in ours


def test_a_name_on_the_hub_needs_a_file_to_write(capsys):
    assert main(["calibrate", "someone/model", "--fasta", "made.fa"]) == 2
    assert "someone/model is on the hub, where nothing is written; name a file by --out" in capsys.readouterr().err
