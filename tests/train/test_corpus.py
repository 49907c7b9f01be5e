"""Runs over several genomes: what is drawn from each, what the model is told, and the figures of each."""

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.errors import ConfigError, DataError
from genomamba.train.corpus import open_corpus
from genomamba.train.loop import pretrain
from genomamba.train.plan import make_plan
from genomamba.train.resume import checkpoints
from genomamba.train.words import describe_plan
from runs import assert_same, fingerprint

DNA = get_alphabet("dna")


@pytest.fixture
def write_sheet(tmp_path):
    """Genomes of made contigs, each with a contig `chr1` and a small `chr2`, and a sheet of them."""

    def make(*rows, sizes=(12_000, 3_000, 6_000), name="sheet.tsv"):
        generator = np.random.default_rng(0)
        for number, size in enumerate(sizes):
            text = generator.choice(list("ACGTacgt"), size + 1_000)
            sequence = "".join(text)
            (tmp_path / f"{'abcdefgh'[number]}.fa").write_text(f">chr1\n{sequence[:size]}\n>chr2\n{sequence[size:]}\n")
        path = tmp_path / name
        path.write_text("".join("\t".join(row) + "\n" for row in rows))
        return str(path)

    return make


@pytest.fixture
def three(write_sheet):
    return write_sheet(
        ("name", "fasta", "weight", "species", "softmask_weight", "valid", "test"),
        ("one", "a.fa", "1", "x", "", "chr2", ""),
        ("two", "b.fa", "2", "y", "0.5", "", "chr2"),
        ("three", "c.fa", "1", "x", "", "", ""),
    )


def mixed(make_config, sheet, **changes):
    return make_config(**({"fasta": (), "test": (), "genomes": sheet, "valid_share": 0.1, "test_share": 0.1} | changes))


def drawn(stream, count):
    return Counter(stream[i].interval.contig.split("/")[0] for i in range(count))


def test_windows_are_drawn_by_weight(make_config, three):
    plan = make_plan(mixed(make_config, three))
    counts = drawn(plan.stream, 4_000)
    assert [counts[name] / 4_000 for name in ("one", "two", "three")] == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    assert "one 25.0%, two 50.0%, three 25.0% of the windows" in describe_plan(plan)


@pytest.mark.parametrize(("power", "ratio"), [(None, 4.0), (0.5, 2.0), (0.0, 1.0), (-1.0, 0.25)])
def test_windows_are_drawn_by_size_to_a_power(make_config, write_sheet, power, ratio):
    sheet = write_sheet(("name", "fasta"), ("one", "a.fa"), ("two", "b.fa"), sizes=(15_000, 3_000))
    members = make_plan(mixed(make_config, sheet, mix_power=power, valid_share=0.0, test_share=0.0)).corpus.members
    assert members[0].share / members[1].share == pytest.approx(ratio)


def test_held_out_bases_are_those_of_the_rows_and_never_drawn(make_config, three):
    plan = make_plan(mixed(make_config, three))
    valid = Counter(interval.contig for interval in plan.split.valid)
    test = Counter(interval.contig for interval in plan.split.test)
    assert "one/chr2" in valid
    assert not any(contig.startswith("one/chr1") for contig in valid)
    assert "two/chr2" in test
    held = [*plan.split.valid, *plan.split.test]
    for i in range(500):
        interval = plan.stream[i].interval
        assert not any(interval.overlaps(other) for other in held)


def test_bases_are_those_of_the_genome_named_and_weigh_as_its_row_says(make_config, three):
    plan = make_plan(mixed(make_config, three, strand="forward"))
    for i in range(200):
        sample = plan.stream[i]
        name, contig = sample.interval.contig.split("/")
        path = plan.genome.inputs[("one", "two", "three").index(name)]["path"]
        records = dict(part.split("\n", 1) for part in Path(path).read_text().split(">")[1:])
        text = records[contig].replace("\n", "")[sample.interval.start : sample.interval.end]
        size = len(text)
        assert DNA.decode(sample.tokens[:size]).decode() == text.upper()
        soft = 0.5 if name == "two" else 1.0
        assert sample.weights[:size].tolist() == [soft if letter.islower() else 1.0 for letter in text]


@pytest.mark.parametrize("objective", ["next_token", "masked"])
def test_the_model_is_told_the_species(make_config, make_trainer, three, objective):
    trainer = make_trainer(mixed(make_config, three, species_token=True, objective=objective))
    plan = trainer.plan
    assert plan.model.config.vocab_size == 16
    samples = [plan.stream[i] for i in range(60)]
    batch = trainer.collate(samples)
    tokens = {"one": 12, "two": 13, "three": 12}
    for row, sample in enumerate(samples):
        expected = tokens[sample.interval.contig.split("/")[0]]
        if sample.species is None:
            assert int(batch.inputs[row, 0]) not in (12, 13)
            continue
        assert (sample.species, int(batch.inputs[row, 0])) == (expected, expected)
        assert (float(batch.weights[row, 0]) == 0) == (objective == "masked" or not sample.weights[0])
    assert plan.training_facts()["species_tokens"] == tokens
    # Held-out windows are read with it, too.
    inputs = []
    residual = plan.model.residual
    plan.model.residual = lambda tokens, *rest: inputs.append(tokens[:, 0]) or residual(tokens, *rest)
    trainer.scorer(plan.model, plan.split.valid)
    assert set(torch.cat(inputs).tolist()) == {12, 13}


def test_more_species_than_there_is_room_for_take_more_rows(make_config, write_sheet):
    rows = [(f"g{k}", f"{'abcdef'[k]}.fa") for k in range(6)]
    sheet = write_sheet(("name", "fasta"), *rows, sizes=(3_000,) * 6)
    model = make_plan(mixed(make_config, sheet, species_token=True, objective="masked", strand="equivariant")).model
    assert model.config.vocab_size == 24
    tokens = torch.tensor([[17, 7, 8, 9, 10]])
    assert model(tokens).shape == (1, 5, 24)


def test_weights_without_room_are_refused(make_config, make_trainer, write_sheet, tmp_path):
    first = make_trainer(make_config(max_steps=1, out=str(tmp_path / "first")))
    first.train()
    rows = [(f"g{k}", f"{'abcdef'[k]}.fa") for k in range(6)]
    sheet = write_sheet(("name", "fasta"), *rows, sizes=(3_000,) * 6)
    settings = {"d_model": None, "num_layers": None, "d_state": None, "init": str(checkpoints(first.folder.path)[0])}
    with pytest.raises(ConfigError, match=r"needs 6 token ids, and the weights of --init have 4 .* from 12 on"):
        make_plan(mixed(make_config, sheet, species_token=True, **settings))


def test_resume_of_a_mixture_in_turns_is_bit_equal(make_config, make_trainer, three, tmp_path):
    config = mixed(
        make_config, three, species_token=True, checkpoint_every=1, keep=30, context=None, batch_size=None,
        max_steps=None, context_schedule=("16:4", "64:4"),
    )  # fmt: skip
    unbroken = make_trainer(config)
    assert unbroken.train()
    expected = fingerprint(unbroken)
    for k in (2, 4, 7):
        folder = tmp_path / f"from-{k}"
        shutil.copytree(unbroken.folder.path, folder)
        for path in checkpoints(folder)[k:]:
            shutil.rmtree(path)
        resumed = make_trainer(dataclasses.replace(config, out=str(folder)), resume=True)
        assert resumed.train()
        assert_same(fingerprint(resumed), expected)


def test_a_whole_run_gives_the_figures_of_each_genome(make_config, three):
    config, lines = mixed(make_config, three), []
    assert pretrain(config, command="genomamba pretrain", emit=lines.append) == 0
    folder = Path(config.out)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    valid = evaluation["splits"]["valid"]
    assert set(valid["by_genome"]) == {"one", "two", "three"}
    assert sum(one["bases"] for one in valid["by_genome"].values()) == valid["bases"]
    mean = sum(one["bases"] * one["bits_per_base"] for one in valid["by_genome"].values()) / valid["bases"]
    assert mean == pytest.approx(valid["bits_per_base"])
    card = json.loads((folder / "dataset.json").read_text())
    assert [one["name"] for one in card["genomes"]] == ["one", "two", "three"]
    for part in ("train", "valid", "test"):
        assert sum(one["splits"][part]["bases"] for one in card["genomes"]) == card["splits"][part]["bases"]
    facts = json.loads((folder / "run.json").read_text())
    assert any(one["path"].endswith("sheet.tsv") for one in facts["inputs"])
    page = (folder / "report.html").read_text()
    for name in ("one", "two", "three"):
        bits = valid["by_genome"][name]["bits_per_base"]
        bases = valid["by_genome"][name]["bases"]
        row = f'<tr><th>{name}</th><td>validation</td><td class="number">{bases:,}</td><td class="number">{bits:.4f}'
        assert row in page
        assert f'<tr><th>{name}</th><td class="number">{"50" if name == "two" else "25"}' in page
    assert "three" in lines[-2]


def test_stretches_are_left_out_and_trained_on_by_weight(make_config, made_fasta, tmp_path):
    regions, excluded = tmp_path / "regions.bed", tmp_path / "excluded.bed"
    regions.write_text("one\t0\t2000\t1\none\t4000\t6000\t3\ntwo\t0\t100\n")
    excluded.write_text("one\t1000\t1500\ntwo\t3000\t4000\n")
    config = make_config(regions_bed=str(regions), exclude_bed=str(excluded), valid_share=0.0)
    corpus = open_corpus(config, DNA)
    assert [one["path"] for one in corpus.region_files] == [str(excluded), str(regions)]
    assert [(i.contig, i.start, i.end) for i in corpus.split.train] == [
        ("one", 0, 1000), ("one", 1500, 2000), ("one", 4000, 6000),
    ]  # fmt: skip
    assert [(i.start, i.end) for i in corpus.split.test] == [(0, 3000), (4000, 6000)]
    stream = make_plan(config).stream
    starts = [stream[i].interval.start for i in range(3_000)]
    # 22 windows that weigh 1, and 31 that weigh 3.
    heavy = sum(start >= 4_000 for start in starts) / 3_000
    assert heavy == pytest.approx(93 / (93 + 22), abs=0.04)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"test": ("chr1",)}, ConfigError, "and --genomes cannot be given together"),
        ({"carry_state": True}, ConfigError, "a mixture draws them"),
        ({"genomes": None, "species_token": True}, ConfigError, "is of a mixture of genomes"),
        ({"genomes": None, "mix_power": 0.5}, ConfigError, "is of a mixture of genomes"),
        ({"genomes": "absent.tsv"}, DataError, "absent.tsv: no such file"),
    ],
)
def test_what_does_not_go_together_is_refused(make_config, three, changes, error, message):
    with pytest.raises(error, match=message):
        make_plan(mixed(make_config, three, **changes))


def test_a_genome_that_is_held_out_whole_gives_no_window_and_is_scored(make_config, write_sheet):
    sheet = write_sheet(
        ("name", "fasta", "weight", "test"),
        ("one", "a.fa", "2", ""),
        ("two", "b.fa", "", "*"),
        ("three", "c.fa", "1", ""),
    )
    config = mixed(make_config, sheet, species_token=True)
    plan = make_plan(config)
    one, two, three = plan.corpus.members
    assert (one.share, two.share, three.share) == (pytest.approx(2 / 3), 0.0, pytest.approx(1 / 3))
    assert two.split.train == two.split.valid == ()
    assert sum(map(len, two.split.test)) == 4_000
    assert set(drawn(plan.stream, 90)) == {"one", "three"}
    pretrain(config, command="made", emit=lambda _: None)
    evaluation = json.loads((Path(config.out) / "evaluation.json").read_text())
    assert set(evaluation["splits"]["test"]["by_genome"]) == {"one", "two", "three"}
    weighted = write_sheet(("name", "fasta", "weight", "test"), ("one", "a.fa", "1", ""), ("two", "b.fa", "1", "*"))
    with pytest.raises(DataError, match="'two': it is held out whole, so no window is drawn from it"):
        open_corpus(mixed(make_config, weighted), DNA)
    nothing = write_sheet(("name", "fasta", "test"), ("one", "a.fa", "*"), ("two", "b.fa", "*"))
    with pytest.raises(ConfigError, match="every genome is held out whole"):
        open_corpus(mixed(make_config, nothing), DNA)


def test_padding_is_told_and_is_no_base_that_is_read(make_config, write_sheet, caplog):
    sheet = write_sheet(("name", "fasta", "valid", "test"), ("one", "a.fa", "chr2", "."), ("two", "b.fa", "chr2", "."))
    # Stretches of 12,000 and 3,000 bases, each as often as the other: windows of 6,000 are whole, and half full.
    settings = {"context": 6_000, "batch_size": 1, "mix_power": 0.0, "valid_share": 0.0, "test_share": 0.0}
    plan = make_plan(mixed(make_config, sheet, **settings))
    assert plan.corpus.padding(6_000) == pytest.approx(0.25)
    assert plan.corpus.padding(1_500) == 0.0
    assert plan.expected_bases(4) == 18_000
    read = [len(plan.stream[i].interval) for i in range(100)]
    assert np.mean(read) == pytest.approx(4_500, rel=0.05)
    assert "longer than 1 of 2 training stretches, the longest of 12,000 bases: 25% of the positions" in caplog.text
    assert "longer than the longest held-out stretch of validation (1,000):" in caplog.text
    caplog.clear()
    make_plan(mixed(make_config, sheet, **settings | {"context": 1_000}))
    assert not caplog.records


def test_what_is_wrong_with_a_genome_names_it_and_its_sheet(make_config, write_sheet):
    sheet = write_sheet(("name", "fasta", "test"), ("one", "a.fa", "."), ("two", "b.fa", "chr9"))
    with pytest.raises(DataError, match=r"sheet.tsv: genome 'two': .*b.fa: no sequence 'chr9'"):
        open_corpus(mixed(make_config, sheet), DNA)
