"""`genomamba generate` on a model that was trained: FASTA that other commands read, the same for a seed."""

import re

import numpy as np
import pytest

from genomamba.cli.main import main


@pytest.fixture
def generate(trained_on, tmp_path, monkeypatch, capsys):
    """Run the command in the model's folder; return records as (name, log2-likelihood, bits per base, sequence)."""
    monkeypatch.chdir(trained_on)

    def run(*options):
        assert main(["generate", "run", "--threads", "1", *map(str, options)]) == 0
        return records(capsys.readouterr().out)

    return run


def records(text):
    pattern = r"^>(\S+) log2_likelihood=(\S+) bits_per_base=(\S+)\n([^>]*)"
    found = [(name, float(a), float(b), body) for name, a, b, body in re.findall(pattern, text, re.M)]
    assert len(found) == text.count(">")
    return found


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.fa"
    path.write_text(">a first\nACGTNACG\nTTGACG\n>x_alt\nTTT\n")
    return path


def test_without_a_prompt_sequences_begin_from_nothing(generate):
    drawn = generate("--length", 130, "-n", 3)
    assert [name for name, *_ in drawn] == ["generated_1", "generated_2", "generated_3"]
    for _, bits, per_base, body in drawn:
        assert [len(line) for line in body.splitlines()] == [60, 60, 10]
        assert set(body) == set("ACGT\n")
        assert per_base == pytest.approx(-bits / 130, abs=1e-4)
    assert len({body for *_, body in drawn}) == 3
    assert [one[3] for one in generate("--length", 130, "--samples", 2)] == [one[3] for one in drawn[:2]]


def test_every_prompt_is_gone_on_with_whatever_its_name(generate, prompts):
    drawn = generate("--prompt-fasta", prompts, "--length", 40, "-n", 2)
    assert [name for name, *_ in drawn] == ["a_1", "a_2", "x_alt_1", "x_alt_2"]
    again = generate("--prompt-fasta", prompts, "--length", 40, "-n", 2, "--batch-size", 4)
    assert again == drawn
    assert generate("--prompt-fasta", prompts, "--length", 40, "-n", 2, "--seed", 1) != drawn


def test_the_header_says_what_likelihood_says(generate, prompts, tmp_path):
    ((_, bits, per_base, body),) = generate("--prompt-fasta", prompts, "--length", 50, "--temperature", 0.7)[:1]
    whole = tmp_path / "whole.fa"
    whole.write_text(f">w\nACGTNACGTTGACG{body}")
    table = tmp_path / "table.tsv"
    options = ["--fasta", str(whole), "--region", "w:15-64", "--lead", "14", "--per-record", "--out", str(table)]
    assert main(["likelihood", "run", *options]) == 0
    _, row = table.read_text().splitlines()
    assert float(row.split("\t")[3]) == pytest.approx(bits, abs=2e-3)
    assert float(row.split("\t")[4]) == pytest.approx(per_base, abs=1e-4)


@pytest.mark.thorough
def test_a_trained_model_writes_what_it_was_trained_on(generate):
    """In the training genome, a base is followed by the next of A, C, G, T in 60 % of cases."""
    ((*_, body),) = generate("--length", 2_000)
    steps = np.diff(["ACGT".index(base) for base in body.replace("\n", "")]) % 4
    assert abs(np.mean(steps == 1) - 0.6) < 0.1


def test_out_is_the_same_text_whole_or_absent(generate, tmp_path, capsys):
    out = tmp_path / "out.fa"
    shown = generate("--length", 30, "-n", 2)
    assert main(["generate", "run", "--length", "30", "-n", "2", "--out", str(out)]) == 0
    assert records(out.read_text()) == shown
    costs = [-float(re.search(r"log2_likelihood=(\S+)", line)[1]) / 30 for line in out.read_text().splitlines()[::2]]
    told = re.fullmatch(rf"{out}: 2 sequences of 30 bases, (\S+) bits per base\n", capsys.readouterr().out)
    assert float(told[1]) == pytest.approx(sum(costs) / 2, abs=2e-4)
    assert main(["generate", "run", "--out", str(out)]) == 1
    assert capsys.readouterr().err == f"{out}: exists; give --force to replace it, or another --out\n"
    assert main(["generate", "run", "--out", str(tmp_path), "--force"]) == 1
    assert capsys.readouterr().err == f"{tmp_path}: is a folder; name a file by --out\n"
    generate("--length", 20, "--out", out, "--force")
    assert len(records(out.read_text())[0][3]) == 21


def test_bytes_that_would_break_the_file_are_written_as_in_a_python_string(tmp_path, monkeypatch, capsys):
    (tmp_path / "text.txt").write_text(">ab\n" + "\\c>\n" * 2000)
    shape = "--alphabet bytes --fasta text.txt --d-model 8 --num-layers 1 --context 32 --max-steps 1 --threads 1"
    monkeypatch.chdir(tmp_path)
    assert main(["pretrain", *shape.split(), "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["generate", "run", "--length", "400", "--threads", "1"]) == 0
    header, body = capsys.readouterr().out.splitlines()
    assert header.startswith(">generated_1 ")
    assert ">" not in body
    assert body.isascii()
    assert len(body.encode().decode("unicode_escape")) == 400


REFUSED = {
    "absent model": (["absent"], 1, "absent: "),
    "masked model": (["masked"], 2, "a masked model fills gaps between bases"),
    "absent prompt": (["run", "--prompt-fasta", "no.fa"], 1, "no.fa: no such file"),
    "top-k": (["run", "--top-k", "5"], 2, "--top-k is 5; there are 4 tokens to draw from"),
    "length": (["run", "--length", "0"], 2, "--length is 0; it must be 1 or more"),
    "temperature": (["run", "--temperature", "hot"], 2, "--temperature is 'hot'; it must be a number"),
    "samples": (["run", "-n", "few"], 2, "--samples is 'few'; it must be a whole number"),
    "threads": (["run", "--threads", "0"], 2, "--threads is 0; it must be above 0"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_one_line(masked_on, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(masked_on)
    assert main(["generate", *arguments]) == code
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert message in line
    assert shown.out == ""
