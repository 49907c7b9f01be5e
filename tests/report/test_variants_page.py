"""The page of scored variants: what it says, and what a browser makes of it."""

import html
import re
import shutil
import subprocess

import numpy as np
import pytest

from genomamba.report.variant_plots import draw_curves, draw_label_against_score, quantiles
from genomamba.report.variants_page import Labelled, TopRow, VariantsPage, render, write_variants_page


def counted(values):
    middles, counts = np.unique(values, return_counts=True)
    return middles, counts


@pytest.fixture
def make_page():
    def make(**changes):
        generator = np.random.default_rng(0)
        truth = (generator.random(300) < 0.3).astype(float)
        scores = {"-llr": generator.normal(truth, 1), "CADD": generator.normal(2 * truth, 1)}
        fields = {
            "name": "calls.vcf.gz",
            "verdict": "Half of 300 scored alleles lie between \u22122 and 1 nats.",
            "records": 300,
            "alleles": 303,
            "scored": 300,
            "refused": 3,
            "score": "llr",
            "axis": "llr, nats",
            "meaning": "Below 0 is less likely.",
            "counts": {"snv": {"OK": 300, "NO_CONTIG": 1}, "symbolic": {"SYMBOLIC": 2}},
            "statuses": {"OK": "scored", "NO_CONTIG": "no such contig", "SYMBOLIC": "no sequence"},
            "histograms": {
                "transition, CpG": counted(generator.normal(-3, 1, 100)),
                "transversion": counted(generator.normal(0, 2, 200)),
            },
            "columns": ("llr", "llr_lc"),
            "fields": ("FC",),
            "top": [
                TopRow("chr1:41,200", "rs1", "C", "T", "transition, CpG", (-12.25, -12.25), ("LOF",)),
                TopRow("chr1:9,100", "rs22", "A", "<b>&", "insertion, 1 base", (7.5, None), (".",)),
                TopRow("chr2:77", ".", "G", "A" * 80, "insertion, 6 bases or more", (0.25, 0.5), ("FUNC",)),
            ],
            "unscored": [(12, "NO_CONTIG", "chrQ:5 A>C: no such contig")],
            "labelled": Labelled(
                of="FC: LOF against the rest",
                sentence="300 alleles have FC.",
                differences=["AUROC of \u2212llr less that of CADD: \u22120.292"],
                header=("score", "alleles", "AUROC"),
                rows=[("-llr", True, ("300", "0.512 [0.490, 0.534]")), ("CADD", False, ("300", "0.804"))],
                figure=draw_curves(truth, scores),
                caption="Dashed is chance.",
                notes=("Of 1,000 resamples",),
            ),
            "facts": {"model": "runs/demo", "command": "genomamba score runs/demo"},
        }
        return VariantsPage(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def browser():
    """Open a page in a browser without a screen, and return what it makes of it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium")

    def run(*options, folder):
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=2000", *options,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    return run


def rows_of(dom):
    """Cells of the rows of the table that are shown, and the text beside the search."""
    (table,) = re.findall(r'<table id="top">(.*?)</table>', dom, re.S)
    rows = [
        [html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)]
        for attributes, row in re.findall(r"<tr([^>]*)>(.*?)</tr>", table.split("<tbody>")[1], re.S)
        if "hidden" not in attributes
    ]
    (shown,) = re.findall(r'id="shown"[^>]*>([^<]*)<', dom)
    return rows, shown


def test_the_page_says_all_and_loads_nothing(make_page):
    text = render(make_page())
    for said in (
        "calls.vcf.gz", "FC: LOF against the rest", "0.512 [0.490, 0.534]", "transition, CpG", "chrQ:5 A&gt;C",
        "&lt;b&gt;&amp;", "genomamba score runs/demo", "(80 bases)", "\u221212.25", "Of 1,000 resamples.",
    ):  # fmt: skip
        assert said in text, said
    assert text.count("<svg") == 2
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//|@import|url\((?!#)""", text)


def test_an_empty_file_has_a_page_that_says_so(make_page):
    nothing = {
        "records": 0,
        "alleles": 0,
        "scored": 0,
        "refused": 0,
        "counts": {},
        "statuses": {},
        "histograms": {},
        "columns": (),
        "top": (),
        "unscored": (),
    }
    text = render(make_page(verdict="The file has no record, so nothing was scored.", labelled=None, **nothing))
    assert "The file has no record" in text
    assert "<svg" not in text
    assert "<script" not in text


def test_what_has_no_score_is_told_apart(make_page):
    text = render(make_page(alleles=308))
    assert "5 alleles whose status is OK have no llr, which is defined for substitutions alone." in text
    assert "The first 1 of 3 alleles; <code>--warnings FILE.tsv</code> lists them all." in text
    assert "whose status is OK" not in render(make_page())
    assert "All 1 of them." in render(make_page(refused=1))


def test_a_single_score_has_a_histogram(make_page):
    assert render(make_page(histograms={"transversion": counted(np.array([0.0]))})).count("<svg") == 2


def test_quantiles_of_counts_are_those_of_the_numbers():
    values = np.random.default_rng(3).integers(0, 50, 999).astype(float)
    found = quantiles(counted(values), (0.05, 0.5, 1.0))
    assert found == pytest.approx(np.quantile(values, (0.05, 0.5, 1.0), method="inverted_cdf"))


def test_numbers_are_drawn_against_scores():
    generator = np.random.default_rng(4)
    svg = draw_label_against_score(generator.normal(size=500), generator.normal(size=500), ("FS", "-llr"))
    assert "FS" in svg
    assert "-llr" in svg


def test_a_browser_shows_searches_and_sorts_the_table(make_page, browser, tmp_path):
    write_variants_page(make_page(), tmp_path / "scored.html")
    address = f"file://{tmp_path}/scored.html"
    rows, shown = rows_of(browser("--dump-dom", address, folder=tmp_path))
    assert [row[0] for row in rows] == ["chr1:41,200", "chr1:9,100", "chr2:77"]
    assert rows[0] == ["chr1:41,200", "rs1", "C>T", "transition, CpG", "\u221212.25", "\u221212.25", "LOF"]
    assert shown == "3 rows"
    for query, places in (("-12.25 41200 lof", ["chr1:41,200"]), ("nothing", [])):
        rows, shown = rows_of(browser("--dump-dom", f"{address}#search={query.replace(' ', '+')}", folder=tmp_path))
        assert [row[0] for row in rows] == places, query
        assert shown == f"{len(places)} of 3 shown"
    # By the sixth column, descending; what has no number comes last.
    rows, shown = rows_of(browser("--dump-dom", f"{address}#search=chr&sort=-6", folder=tmp_path))
    assert [row[0] for row in rows] == ["chr2:77", "chr1:41,200", "chr1:9,100"]
    assert shown == "3 of 3 shown"


def test_a_browser_draws_it(make_page, browser, tmp_path):
    from matplotlib.image import imread

    write_variants_page(make_page(), tmp_path / "scored.html")
    picture = tmp_path / "page.png"
    address = f"file://{tmp_path}/scored.html"
    browser(f"--screenshot={picture}", "--window-size=1000,2600", "--hide-scrollbars", address, folder=tmp_path)
    pixels = (imread(picture)[..., :3] * 255).round().astype(int)
    assert pixels.shape[:2] == (2600, 1000)
    # The green of the model's curve and of the histograms, and the orange of medians and of the other curve.
    for color in ((15, 118, 110), (180, 83, 9)):
        assert (np.abs(pixels - color).max(-1) < 12).sum() > 100, color
    assert (np.abs(pixels - 255).max(-1) < 3).mean() > 0.6
