"""environment.yml, the constraints and the version say what pyproject.toml says."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import genomamba

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {
    "huggingface-hub": "huggingface_hub",
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "snakemake": "snakemake-minimal",
}
EXTRAS = ("pipelines", "tensorboard", "tracks", "triton")


def pip_bounds(requirements):
    parsed = [Requirement(line) for line in requirements]
    return {CONDA_NAMES.get(one.name, one.name): str(one.specifier) for one in parsed}


def conda_bounds():
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    return dict(re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in lines)


def test_environment_has_the_names_and_bounds_of_pyproject():
    wanted = pip_bounds(PROJECT["dependencies"])
    for extra in EXTRAS:
        wanted |= pip_bounds(PROJECT["optional-dependencies"][extra])
    assert conda_bounds() == wanted | {"python": PROJECT["requires-python"], "pip": ""}


def test_environment_of_the_rules_is_this_version():
    *_, packages = yaml.safe_load((ROOT / "pipelines/envs/genomamba.yaml").read_text())["dependencies"]
    assert packages == {"pip": [f"genomamba=={genomamba.__version__}"]}


def test_channels_are_those_of_bioconda():
    channels = yaml.safe_load((ROOT / "environment.yml").read_text())["channels"]
    assert channels == ["conda-forge", "bioconda"]


def test_dev_holds_the_bounds_of_the_other_extras():
    dev = pip_bounds(PROJECT["optional-dependencies"]["dev"])
    for extra in EXTRAS:
        assert pip_bounds(PROJECT["optional-dependencies"][extra]).items() <= dev.items()


def test_constraints_fit_the_bounds():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    extras = PROJECT["optional-dependencies"]
    requirements = [*PROJECT["dependencies"], *extras["triton"], *extras["docs"]]
    bounds = {Requirement(line).name: Requirement(line).specifier for line in requirements}
    assert lines
    for pin in map(Requirement, lines):
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert bounds[pin.name].contains(exact.version)


def test_oldest_triton_that_is_tried_is_the_lower_bound():
    (bound,) = Requirement(PROJECT["optional-dependencies"]["triton"][0]).specifier
    oldest = re.search(r"^OLDEST_TRITON = (\S+)$", (ROOT / "Makefile").read_text(), re.M).group(1)
    assert oldest == f"{bound.version}.0"


@pytest.mark.parametrize(
    ("file", "pattern"),
    [("CITATION.cff", r"^version: (\S+)$"), ("CHANGELOG.md", r"^## \[(\d[^\]]*)\]")],
    ids=["citation", "changelog"],
)
def test_version_is_the_same_everywhere(file, pattern):
    assert re.search(pattern, (ROOT / file).read_text(), re.M).group(1) == genomamba.__version__


def test_version_of_the_installed_package():
    assert importlib.metadata.version("genomamba") == genomamba.__version__
