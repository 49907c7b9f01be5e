"""What `info` prints is what the run's files say, and what it measured; the model card says the same everywhere."""

import json
import re

import huggingface_hub
import pytest

import genomamba
from genomamba.cli.main import main
from genomamba.config import ModelConfig
from genomamba.model import LanguageModel, count_parameters
from genomamba.report.words import figure


@pytest.fixture
def info(trained_on, capsys, monkeypatch):
    """The command in the folder of the model; gives what it prints."""
    monkeypatch.chdir(trained_on)

    def run(*arguments, code=0):
        capsys.readouterr()
        assert main(["info", *map(str, arguments), "--threads", "1"]) == code
        return capsys.readouterr()

    return run


def test_what_is_known_stands_above_what_is_measured(info, trained_on):
    shown = info("run", "--length", "100", "50000000", "--max-seconds", "0.5").out
    known, measured = shown.split("\n\none sequence read ")
    valid = json.loads((trained_on / "run/evaluation.json").read_text())["splits"]["valid"]
    rows = dict(re.findall(r"^(\w[\w ]*?) {2,}(.*)$", known, re.M))
    assert known.startswith("run: A causal Mamba language model: it predicts each base from those before it.\n")
    assert rows["layout"] == "genomamba"
    shape = ModelConfig(num_layers=2, d_model=16, d_state=4)
    assert rows["parameters"] == f"{count_parameters(LanguageModel(shape)):,}"
    assert rows["network"].startswith("2 layers, d_model 16, d_inner 32, d_state 4, ")
    assert rows["trained on"] == "predicting the next base, windows of 128 bases, a strand drawn for each"
    assert rows["on the validation"].startswith(f"{valid['bits_per_base']:.4f} bits per base, of {valid['bases']:,}; ")
    lengths = re.findall(r"^ +([\d,]+) +[\d.]+ (?:ms|s|min \d+ s|h \d+ min) +[\d,]+ +[\d,]+ MiB  (.*)$", measured, re.M)
    assert [length for length, _ in lengths] == ["100", "1,024", "16,384", "50,000,000"]
    assert lengths[0][1] == "measured"
    assert lengths[-1][1].startswith("extrapolated from ")


def test_json_holds_the_same_and_more(info, trained_on):
    found = json.loads(info("run", "--length", "100", "--max-seconds", "0", "--json").out)
    evaluation = json.loads((trained_on / "run/evaluation.json").read_text())
    dataset = json.loads((trained_on / "run/dataset.json").read_text())
    run = found["provenance"]["run"]
    assert found["config"] == json.loads((trained_on / "run/config.json").read_text())["model"]
    assert run["evaluation"]["splits"]["valid"]["bits_per_base"] == evaluation["splits"]["valid"]["bits_per_base"]
    best = evaluation["markov"]["best_order"]
    assert run["evaluation"]["splits"]["valid"]["markov"] == evaluation["markov"]["orders"][best]["valid"]
    assert run["splits"]["train"]["bases"] == dataset["splits"]["train"]["bases"]
    assert [cost["extrapolated_from"] for cost in found["costs"]] == [None, 100, 100]
    one, _, last = found["costs"]
    assert last["seconds"] == pytest.approx(one["seconds"] * 163.84)
    assert found["machine"]["threads"] == 1


def test_a_masked_model_is_described_as_one(info, masked_on):
    shown = info("masked", "--length", "50", "--max-seconds", "0").out
    assert shown.startswith(
        "masked: A bidirectional Mamba language model: it predicts a hidden base from both its sides"
    )
    assert re.search(r"^on the validation +\d\.\d{4} bits per masked base, of \d+$", shown, re.M)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 1, "nowhere: no such folder"),
        (["run", "--length", "0"], 2, "--length is 0; it must be 1 or more"),
        (["run", "--length", "1,024"], 2, "--length is '1,024'; it must be a whole number"),
        (["run", "--max-seconds", "-1"], 2, "--max-seconds is -1.0; it must be 0 or more"),
        (["run", "--revision", "v1"], 2, "--revision v1 is of a name on the hub"),
        (["run", "--device", "tpu"], 2, "--device is 'tpu'"),
        ([], 2, "the following arguments are required: MODEL"),
    ],
    ids=["absent", "length", "comma", "seconds", "revision", "device", "no-model"],
)
def test_refusals_are_one_line(info, arguments, code, message):
    shown = info(*arguments, code=code)
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_the_card_of_a_run_has_its_figures_and_no_path(trained_on):
    text = (trained_on / "run/README.md").read_text()
    card = huggingface_hub.ModelCard(text)
    evaluation = json.loads((trained_on / "run/evaluation.json").read_text())
    (source,) = json.loads((trained_on / "run/run.json").read_text())["inputs"]
    dataset = json.loads((trained_on / "run/dataset.json").read_text())["splits"]
    best, valid = evaluation["markov"]["best_order"], evaluation["splits"]["valid"]
    orders = evaluation["markov"]["orders"]
    figures = (f"{orders[order]['valid']:.4f}" for order in (best, 0))
    assert f"| validation | {valid['bases']:,} | {figure(valid)} | " + " | ".join(figures) + " |" in text
    assert f"| Markov order {best} |" in text
    assert f"| `{source['sha256']}` |" in text
    assert f"| training | {dataset['train']['bases']:,} | 2 | {100 * dataset['train']['gc']:.1f} % |" in text
    assert "windows of 128 bases" in text
    assert card.data.library_name == "genomamba"
    assert str(trained_on) not in text
    assert str(trained_on) not in json.dumps(genomamba.from_pretrained(trained_on / "run").provenance)


def test_the_card_is_the_same_whoever_writes_it(trained_on, tmp_path):
    of_the_run = (trained_on / "run/README.md").read_text()
    for name in ("converted", "saved", "saved-again"):
        (tmp_path / name).mkdir()
    assert main(["convert", str(trained_on / "run"), str(tmp_path / "converted/run")]) == 0
    genomamba.from_pretrained(trained_on / "run").save_pretrained(tmp_path / "saved/run")
    # What is known of the run goes along with the weights.
    genomamba.from_pretrained(tmp_path / "converted/run").save_pretrained(tmp_path / "saved-again/run")
    for name in ("converted", "saved", "saved-again"):
        assert (tmp_path / name / "run/README.md").read_text() == of_the_run, name


def test_a_card_for_transformers_says_so_and_whence_it_came(trained_on, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    assert main(["convert", str(trained_on / "run"), str(there), "--to", "huggingface"]) == 0
    assert "`MambaForCausalLM`" in (there / "README.md").read_text()
    assert main(["convert", str(there), str(back)]) == 0
    text = (back / "README.md").read_text()
    assert "| from | there, huggingface layout |" in text
    assert "`MambaForCausalLM`" not in text
    assert "What it was trained on is not recorded" in text


def test_a_damaged_record_is_one_line(info, trained_on, tmp_path):
    assert main(["convert", str(trained_on / "run"), str(tmp_path / "copy")]) == 0
    path = tmp_path / "copy/config.json"
    values = json.loads(path.read_text())
    values["training"]["run"]["evaluation"] = "good"
    path.write_text(json.dumps(values))
    shown = info(tmp_path / "copy", code=1)
    assert shown.err.startswith(f"{tmp_path}/copy: what config.json says of its training is damaged (")
    assert shown.err.count("\n") == 1
