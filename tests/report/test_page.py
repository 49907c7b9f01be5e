import copy
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from genomamba.errors import RunError
from genomamba.report.page import MAX_ROWS, write_report

VOID = {"meta", "br", "path", "use", "rect"}


class Page(HTMLParser):
    """Collects tags, attributes and text; refuses tags that are closed out of order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def page_of(run: Path) -> Page:
    path = write_report(run)
    assert path == run / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_whole_run(make_run) -> None:
    page = page_of(make_run())
    for text in (
        "On 2,610,110 held-out bases the model needs 1.921 bits per base; the best Markov model (order 8)",
        "finished",
        "Markov, order 12 1.9791 1.9760",
        "genomamba 1.9236 1.9213",
        "chr XII test 1,078,177 1.9196",
        "weight 16; fitted on 8,513,150 bases",
        "training 8,513,150 13 13 8,320 8,513,150 0.0 % 12.5 % 38.2 %",
        "mitochondrion 85,779",
        "learning_rate 0.004",
        "fasta yeast.fa, other.fa",
        "max_steps not set",
        "resume yes",
        "dry_run no",
        "commit 0f1e2d3c4b5a",
        "--test 'chr IV' --out runs/yeast",
        "ended 2025-11-03 10:02:05 UTC",
        "12.3 MB yeast.fa sha256 " + "ab" * 32,
        "parameters 512,640",
        "time 1 h 2 min",
    ):
        assert text in page.text
    assert "Not in the run folder" not in page.text
    assert page.tags.count("svg") == 4


def test_the_order_to_beat_is_in_colour(make_run) -> None:
    html = write_report(make_run()).read_text(encoding="utf-8")
    assert re.findall(r'number best">([^<]*)<', html) == ["1.9352", "1.9321"]


def test_page_stands_alone(make_run) -> None:
    page = page_of(make_run())
    assert not {"script", "link", "img", "iframe", "object", "a"} & set(page.tags)
    links = [value or "" for name, value in page.attributes if name in ("href", "src", "xlink:href")]
    assert links
    assert all(link.startswith("#") for link in links)
    styles = "".join(page.texts) + "".join(value or "" for _, value in page.attributes)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)", styles))
    assert "@import" not in styles


def test_masked_figures_stand_alone(make_run) -> None:
    run = make_run()
    evaluation = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps({**evaluation, "objective": "masked"}))
    page = page_of(run)
    assert "not comparable" in page.text
    # Heads of two tables, and the axis of the curve.
    assert page.texts.count("bits per masked base") == 3
    assert "1.9213" in page.text
    assert "Markov" not in page.text
    assert page.tags.count("svg") == 3


@pytest.mark.parametrize("status", ["running", "stopped", "trained", "failed"])
def test_run_that_has_not_finished_says_so(make_run, status: str) -> None:
    run = make_run(evaluation=None)
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "status": status, "finished": None, "steps": 17}))
    page = page_of(run)
    assert f"The run is {status}." in page.text
    assert "evaluation.json : there are no held-out figures" in page.text
    assert "at step 300 validation stood at 1.928 bits per base" in page.text
    assert "ended not yet" in page.text
    # run.json of a run that goes on holds the totals of an earlier stop, if any; the last row knows better.
    assert ("steps 300" if status == "running" else "steps 17") in page.text


@pytest.mark.parametrize(
    "absent", ["facts", "config", "card", "evaluation", "rows"], ids=lambda name: f"without-{name}"
)
def test_every_file_may_be_missing(make_run, absent: str) -> None:
    page = page_of(make_run(**{absent: [] if absent == "rows" else None}))
    files = {"facts": "run", "card": "dataset", "rows": "metrics"}
    assert f"Not in the run folder: {files.get(absent, absent)}." in page.text
    assert "sha256" in page.text
    assert ("Settings" in page.text) == (absent != "config")
    assert ("No step has been logged yet." in page.text) == (absent == "rows")
    assert ("Held-out sequence" in page.text) == (absent != "evaluation")


def test_names_from_outside_are_escaped(make_run) -> None:
    run = make_run(name="<b>run")
    card = json.loads((run / "dataset.json").read_text())
    hostile = "<script>alert(1)</script>"
    card["contigs"][0]["name"] = hostile
    (run / "dataset.json").write_text(json.dumps(card))
    page = page_of(run)
    assert hostile in page.text
    assert not {"script", "b"} & set(page.tags)


def test_bytes_are_called_bytes(make_run) -> None:
    run = make_run()
    card = json.loads((run / "dataset.json").read_text())
    for split in card["splits"].values():
        split |= {"acgt": None, "n_share": None, "softmask_share": None, "gc": None}
    (run / "dataset.json").write_text(json.dumps(card))
    (run / "config.yaml").write_text("alphabet: bytes\n")
    page = page_of(run)
    assert "bits per byte" in page.text
    assert "bits per base" not in page.text
    assert "GC" not in page.text


def test_page_stays_small(make_run) -> None:
    rows = [
        {"kind": kind, "step": i, "bases": i * 8_192, "bits_per_base": 2 + i % 7 / 100, "learning_rate": 1e-3 / i}
        for i in range(1, 50_001)
        for kind in ("train", "valid")
    ]
    run = make_run(rows=rows)
    card = json.loads((run / "dataset.json").read_text())
    card["contigs"] = [{"name": f"scaffold_{i}", "length": i, "split": "train"} for i in range(20_000)]
    evaluation = json.loads((run / "evaluation.json").read_text())
    one = {"bases": 5, "bits_per_base": 2.0}
    evaluation["splits"]["test"]["by_contig"] = {f"held_{i}": {**one, "bases": i} for i in range(20_000)}
    (run / "dataset.json").write_text(json.dumps(card))
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    page = page_of(run)
    assert (run / "report.html").stat().st_size < 1_000_000
    assert f"20,000 contigs, the {MAX_ROWS} longest shown" in page.text
    assert "scaffold_19999" in page.text
    assert f"scaffold_{19_999 - MAX_ROWS} " not in page.text
    assert "held_19999" in page.text


def test_long_lists_are_folded_and_short_ones_are_not(make_run) -> None:
    run = make_run()
    page = page_of(run)
    assert page.tags.count("details") == 1
    assert "16 contigs" in page.text
    card = json.loads((run / "dataset.json").read_text())
    short = copy.deepcopy(card)
    short["contigs"] = card["contigs"][:12]
    (run / "dataset.json").write_text(json.dumps(short))
    assert page_of(run).tags.count("details") == 0


def test_page_that_cannot_be_written_leaves_the_old_one(make_run) -> None:
    run = make_run()
    (run / "report.html").mkdir()
    with pytest.raises(RunError, match=r"report.html: cannot be written"):
        write_report(run)
    assert sorted(path.name for path in run.glob(".tmp*")) == []


def test_report_needs_neither_torch_nor_pyplot(make_run) -> None:
    code = (
        "import sys; from pathlib import Path; from genomamba.report.page import write_report; "
        "write_report(Path(sys.argv[1])); "
        "print(*({'torch', 'matplotlib.pyplot', 'pandas', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, make_run()], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_region_classes_are_told_drawn_and_followed(make_run) -> None:
    evaluation, card = make_run.files["evaluation"], make_run.files["card"]
    evaluation["splits"]["test"]["by_class"] = {
        "CDS": {"bases": 1_900_000, "bits_per_base": 1.9312, "low": 1.92, "high": 1.94, "perplexity": 3.8},
        "intergenic": {"bases": 710_110, "bits_per_base": 1.8961, "perplexity": 3.7},
    }
    evaluation["markov"]["by_class"] = {"test": {"CDS": 1.9444, "intergenic": 1.9001}}
    card["classes"] = {"train": {"CDS": 11, "genic": 7}, "valid": {"CDS": 5}, "test": {"CDS": 3_000_000}}
    rows = [
        {"kind": "valid_part", "step": step, "bases": 8 * step, "bits_per_base": 2 - step / 100, "class": "CDS"}
        for step in range(1, 9)
    ]
    page = page_of(make_run(evaluation=evaluation, card=card, rows=[*make_run.metrics(300), *rows]))
    for text in (
        "By region class", "CDS test 1,900,000 1.9312 1.9200 to 1.9400 1.9444",
        "intergenic test 710,110 1.8961 \u2013 1.9001",
        "Validation by region class", "class training validation test CDS 11 5 3,000,000 genic 7",
    ):  # fmt: skip
        assert text in page.text
    assert "Validation by genome" not in page.text
