"""One page of several runs: their figures, what differs, and when they cannot be held against one another."""

import copy

import pytest

from genomamba.cli.main import main
from genomamba.errors import RunError
from genomamba.report.comparison_page import write_comparison


@pytest.fixture
def text_of(make_run, tmp_path):
    """Make runs of these changes, and return the page that compares them."""

    def make(**changes):
        folders = []
        for name, change in changes.items():
            files = copy.deepcopy(make_run.files)
            files["evaluation"]["splits"]["test"] |= change.get("test", {})
            for file in ("evaluation", "config", "facts"):
                files[file] |= change.get(file, {})
            folders.append(make_run(**files, name=name))
        return write_comparison(folders, tmp_path / "page.html").read_text()

    return make


def cells(page, row):
    (line,) = (line for line in page.splitlines() if f"<th>{row}</th>" in line)
    return [part.split("<")[0] for part in line.split('<td class="number">')[1:]]


def test_figures_settings_and_the_best_run(text_of):
    page = text_of(
        first={"config": {"learning_rate": 0.008}, "facts": {"threads": 4}},
        second={"test": {"bits_per_base": 1.9012}},
    )
    assert "On the test, second needs the fewest bits per base: 1.9012, against first 1.9213." in page
    assert cells(page, "learning_rate") == ["0.008", "0.004"]
    assert cells(page, "threads") == ["4", "2"]
    for same in ("context", "fasta", "cpu"):
        assert f"<th>{same}</th>" not in page
    valid, test, parameters, *_, status = cells(page, "second")
    assert (status, parameters, valid, test) == ("finished", "512,640", "1.9236", "1.9012")
    # Against bases and against time, both runs in each.
    assert page.count("<svg") == 2
    assert page.count(">second</text>") >= 2
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_what_is_a_setting_and_a_fact_stands_there_once(text_of):
    page = text_of(
        first={"config": {"device": "auto", "precision": "float32"}},
        second={
            "config": {"device": "cuda", "precision": "bfloat16"},
            "facts": {"device": "cuda:0", "precision": "bfloat16", "gpu": "An Example GPU", "processes": 2},
        },
    )
    assert cells(page, "device") == ["cpu", "cuda:0"]
    assert cells(page, "precision") == ["float32", "bfloat16"]
    assert cells(page, "gpu") == ["\u2013", "An Example GPU"]
    assert cells(page, "processes") == ["\u2013", "2"]


def test_of_files_the_names_are_told(text_of):
    page = text_of(first={"config": {"fasta": ["/of/me/a.fa", "/of/me/b.fa"]}}, second={"config": {"init": "/x/w"}})
    assert cells(page, "fasta")[0] == "a.fa, b.fa"
    assert cells(page, "init") == ["\u2013", "w"]
    assert "/of/me" not in page


def test_parts_that_one_run_lacks_are_dashes(text_of):
    one = {"by_class": {"exon": {"bases": 70, "bits_per_base": 1.5}, "other": {"bases": 30, "bits_per_base": 1.9}}}
    other = {"by_class": {"exon": {"bases": 70, "bits_per_base": 1.25}}}
    page = text_of(first={"test": one}, second={"test": other})
    assert cells(page, "exon, test") == ["1.5000", "1.2500"]
    assert cells(page, "other, test") == ["1.9000", "\u2013"]


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"evaluation": {"objective": "masked"}, "config": {"objective": "masked"}}, "figures of two kinds"),
        ({"test": {"bases": 5}}, "hold out the same bases"),
        ({"config": {"seed": 3}}, "hold out the same bases"),
        ({"facts": {"inputs": [{"path": "x", "bytes": 1, "sha256": "cd" * 32}]}}, "hold out the same bases"),
    ],
    ids=["masked", "sizes", "seed", "files"],
)
def test_runs_that_cannot_be_compared_have_no_best(text_of, change, warning):
    page = text_of(first={}, second=change)
    assert "none is the best of them" in page
    assert warning in page


def test_a_run_that_goes_on_is_told_and_drawn(text_of):
    page = text_of(first={}, second={"facts": {"status": "running"}})
    assert "second: the run is running." in page


def test_names_are_told_apart_by_their_paths(make_run, tmp_path, capsys, monkeypatch):
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        make_run(name=f"{parent}/run")
    monkeypatch.chdir(tmp_path)
    assert main(["report", "a/run", "b/run"]) == 0
    assert capsys.readouterr().out == "comparison.html\n"
    assert "<h1>a/run, b/run</h1>" in (tmp_path / "comparison.html").read_text()
    assert main(["report", "a/run", "--out", "deep.html"]) == 0
    assert "</html>" in (tmp_path / "deep.html").read_text()
    assert not (tmp_path / "a/run/report.html").exists()
    assert main(["report", "a/run", "b/run", "--out", "new/page.html"]) == 0
    assert (tmp_path / "new/page.html").is_file()


@pytest.mark.parametrize("given", [["a/run", "--out", "comparison.html"], ["a/run", "b/run"]], ids=["one", "several"])
def test_a_file_that_is_there_is_replaced_where_that_is_asked_for(make_run, tmp_path, capsys, monkeypatch, given):
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        make_run(name=f"{parent}/run")
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "comparison.html"
    page.write_text("mine")
    assert main(["report", *given]) == 1
    assert capsys.readouterr().err == "comparison.html: exists; give --force to replace it, or another --out\n"
    assert page.read_text() == "mine"
    assert main(["report", *given, "--force"]) == 0
    assert page.read_text().startswith("<!doctype html>")


def test_a_run_that_is_named_twice_is_refused(make_run, tmp_path):
    with pytest.raises(RunError, match="given twice"):
        write_comparison([make_run(), tmp_path / "yeast"], tmp_path / "page.html")
