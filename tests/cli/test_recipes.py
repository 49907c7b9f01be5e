"""Recipes: published settings as defaults that every other source of a setting goes before."""

import sys
import types

import pytest

from genomamba.cli.main import main
from genomamba.config import PRESETS, PretrainConfig
from genomamba.recipes import RECIPES, defaults_of
from genomamba.settings import from_yaml
from genomamba.train.schedule import learning_rate


@pytest.fixture
def asked(monkeypatch):
    """Run pretrain with a trainer that only notes what it was asked."""
    noted = []
    noting = types.SimpleNamespace(pretrain=lambda config, **_: noted.append(config) or 0)
    monkeypatch.setitem(sys.modules, "genomamba.train.loop", noting)
    monkeypatch.delenv("GENOMAMBA_CACHE_DIR", raising=False)

    def run(*arguments):
        assert main(["pretrain", *arguments]) == 0
        return noted[-1]

    return run


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_printed_is_taken_back_and_names_its_source(name, asked, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("GENOMAMBA_CACHE_DIR", raising=False)
    assert main(["pretrain", "--recipe", name, "--print-config"]) == 0
    printed = capsys.readouterr().out
    config = PretrainConfig(**RECIPES[name].settings)
    assert from_yaml(PretrainConfig, printed) == config
    (tmp_path / "recipe.yaml").write_text(printed)
    assert asked("--config", str(tmp_path / "recipe.yaml")) == asked("--recipe", name) == config
    assert printed.startswith(f"# {name}. ")
    assert "arXiv:" in printed.partition("# Data")[0]


def test_flags_a_file_and_the_environment_go_before_a_recipe(asked, tmp_path, monkeypatch):
    (tmp_path / "run.yaml").write_text("d_state: 8\nwarmup: 0.2\n")
    monkeypatch.setenv("GENOMAMBA_RECIPE", "caduceus-small")
    monkeypatch.setenv("GENOMAMBA_WARMUP", "0.3")
    monkeypatch.setenv("GENOMAMBA_CLIP", "2")
    config = asked("--config", str(tmp_path / "run.yaml"), "--max-steps", "3", "--accumulate", "1")
    assert (config.max_steps, config.accumulate) == (3, 1)
    assert (config.d_state, config.warmup, config.clip) == (8, 0.2, 2.0)
    assert (config.d_model, config.objective, config.learning_rate) == (118, "masked", 8e-3)


def test_the_flag_names_another_recipe_than_the_environment(asked, monkeypatch):
    monkeypatch.setenv("GENOMAMBA_RECIPE", "caduceus-small")
    assert asked("--recipe", "caduceus-base").d_model == 256


def test_an_unknown_recipe_is_refused_with_the_nearest(capsys):
    assert main(["pretrain", "--recipe", "caduceus-smal"]) == 2
    assert "did you mean caduceus-small?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ({"preset": "large"}, {"num_layers", "d_model", "d_state"}),
        ({"init": "runs/mine"}, {"num_layers", "d_model", "d_state"}),
        ({"context_schedule": ("1024:10",)}, {"context", "batch_size", "max_steps"}),
    ],
    ids=["preset", "init", "schedule"],
)
def test_what_stands_for_several_settings_of_a_recipe_replaces_them(given, gone):
    whole = set(RECIPES["mamba-dna-causal"].settings)
    assert set(defaults_of("mamba-dna-causal", given)) == whole - gone


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_reads_2_to_the_20_tokens_and_the_rate_ends_as_published(name):
    config = PretrainConfig(**RECIPES[name].settings)
    assert config.context * config.batch_size * config.accumulate == 2**20
    last = learning_rate(1.0, peak=config.learning_rate, warmup=config.warmup, floor=config.final_rate)
    assert last == pytest.approx(1e-5 if name.startswith("mamba") else 1e-4)
    # None of them is one of our presets.
    assert {"num_layers": config.num_layers, "d_model": config.d_model} not in PRESETS.values()
