"""Commands that pages show and do not run: the parsers take all of them, and those of the README's tour run."""

import contextlib
import gzip
import importlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from genomamba.cli.main import COMMANDS, main
from genomamba.config import ModelConfig
from genomamba.data.examples import example_paths
from genomamba.errors import ConfigError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import save_model

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "commands")]
# What makes the tour quick.
SMALLER = {
    "--max-minutes 60": "--num-layers 1 --d-model 16 --context 256 --max-steps 4",
    "--objective masked": "--objective masked --num-layers 1 --d-model 16 --context 256 --max-steps 2 --out runs/both",
    "--out scored": "--horizon 16 --out scored",
    "genomamba calibrate runs/mine": "genomamba calibrate runs/mine --number 1 --horizon 16",
    "31,500-31,600": "31,500-31,520",
    "1024,8192,65536": "256,512 --blocks 2",
    "--length 1000 -n 10": "--length 20 -n 1",
    "--out donors.tsv": "--limit 60 --out donors.tsv",
    "--out runs/probed": "--baselines majority --out runs/probed",
    "--out runs/donors": "--epochs 1 --baselines none --out runs/donors",
    "--protocol caduceus-5fold": "--epochs 1 --baselines none --protocol caduceus-5fold",
    "--feature splice_donor": "--feature CDS",
}


def calls(page):
    """Yield the words of every call of genomamba in the fenced blocks of a page."""
    for block in re.findall(r"^```(?:sh|console)?\n(.*?)^```", page, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"(?:\$ )?(?:cd \S+ && )?(?:srun )?(?:\.venv/bin/)?genomamba (.*)", line)
            if found and found[1].count('"') % 2 == 0:
                words = shlex.split(found[1], comments=True)
                marks = [at for at, word in enumerate(words) if re.match(r"[|;>&]|2>", word) or word.endswith(";")]
                yield words[: marks[0]] if marks else words


def refusal(words):
    """Return why the parser of a command does not take these words; nothing where it does."""
    command, *options = words
    if command.startswith("-"):
        return ""
    if command not in COMMANDS:
        return f"no command {command}"
    try:
        importlib.import_module(f"genomamba.cli.{command.replace('-', '_')}").parser().parse(options)
    except ConfigError as error:
        return str(error)
    return ""


def test_every_command_of_a_page_is_one_that_there_is():
    found = [(page, words) for page in PAGES for words in calls(page.read_text())]
    assert len({page for page, _ in found}) > 20
    # The page on errors shows what is refused, and is run as it stands.
    wrong = [(page.name, said) for page, words in found if page.name != "errors.md" and (said := refusal(words))]
    assert wrong == []


def test_commands_are_found_and_wrong_ones_seen():
    page = "```sh\n.venv/bin/genomamba score m --vcf 'a b' # what\n$ genomamba pretrain --fast a | cat\n```\n"
    right, wrong = calls(page)
    assert right == ["score", "m", "--vcf", "a b"]
    assert refusal(right) == ""
    assert "--fast" in refusal(wrong)
    assert refusal(["trian"]) == "no command trian"


@pytest.fixture
def tour(tmp_path, monkeypatch):
    """A genome of two chromosomes with genes, variants, a folder of tasks, and published weights in the hub's place."""
    monkeypatch.chdir(tmp_path)
    yeast, other = example_paths()["scerevisiae"], example_paths()["smikatae"]
    genes = []
    with gzip.open("genome.fa.gz", "wt") as fasta:
        for name, files in (("chrI", yeast), ("chrIV", other)):
            with gzip.open(files["fasta"], "rt") as file:
                header, _, text = file.read().partition("\n")
            fasta.write(f">{name}\n{text}")
            with gzip.open(files["gff"], "rt") as file:
                genes.append(file.read().replace(header[1:].split()[0], name))
    Path("genes.gff3").write_text("".join(genes))
    with gzip.open("genes.gff3.gz", "wt") as file:
        file.write("".join(genes))
    made = (ROOT / "pipelines/example/made.vcf").read_text().replace("NC_001133.9", "chrI").splitlines(keepends=True)
    with gzip.open("calls.vcf.gz", "wt") as file:
        file.writelines(made[:24])
    Path("tasks").mkdir()
    rows = [f"{'ACGT' * 5 if at % 2 else 'AATT' * 5}\t{at % 2}\t{'test' if at > 30 else 'train'}\n" for at in range(40)]
    Path("tasks/toy.tsv").write_text("sequence\tlabel\tsplit\n" + "".join(rows))
    Path("published").mkdir()
    torch.manual_seed(0)
    save_model(Path("published"), LanguageModel(ModelConfig(d_model=8, num_layers=1, d_state=4)), {})
    return tmp_path


@pytest.mark.slow
def test_the_tour_of_the_readme_runs(tour):
    text = (ROOT / "README.md").read_text().partition("## A tour")[2].partition("## ")[0]
    for before, after in SMALLER.items():
        assert before in text, f"{before} is not in the tour"
        text = text.replace(before, after)
    text = text.replace("kuleshov-group/PlantCaduceus_l32", "published")
    for words in calls(text):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(words)
        assert code == 0, f"genomamba {' '.join(words)}\n{said.getvalue()}"
    for name in ("runs/mine/report.html", "genome.bw", "scored.vcf.gz", "ism.tsv", "donors.bedgraph.gz", "drawn.fa"):
        assert Path(name).stat().st_size, name
    assert Path("my_scores/config/config.yaml").exists()
    shutil.rmtree("runs")
