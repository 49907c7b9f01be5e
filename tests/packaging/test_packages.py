"""What pyproject.toml says of the packages is what lies on the disk."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
SOURCES = {"genomamba": ROOT / "genomamba", "genomamba_kernels": ROOT / "kernels/genomamba_kernels"}
NOT_SHIPPED = {"__pycache__", ".py", ".pyc", ".nbi", ".nbc"}


def packages_on_disk():
    found = {"genomamba.pipelines": ROOT / "pipelines"}
    for name, folder in SOURCES.items():
        for init in folder.rglob("__init__.py"):
            found[".".join([name, *init.parent.relative_to(folder).parts])] = init.parent
    return found


def test_packages_are_the_folders_on_disk():
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages_on_disk())


def test_every_folder_of_code_is_a_package():
    code = {file.parent for folder in SOURCES.values() for file in folder.rglob("*.py")}
    assert code <= set(packages_on_disk().values())


def test_kernels_is_no_package():
    """An import name `kernels` would shadow the package of that name which transformers imports."""
    assert not (ROOT / "kernels/__init__.py").exists()


@pytest.mark.parametrize("package", sorted(packages_on_disk()))
def test_every_file_beside_the_code_is_shipped(package):
    folder, below = packages_on_disk()[package], set(packages_on_disk().values())
    shipped = {file for pattern in SETUPTOOLS["package-data"].get(package, ()) for file in folder.glob(pattern)}
    present = {
        file
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in NOT_SHIPPED and "__pycache__" not in file.parts
        if next(parent for parent in file.parents if parent in below) == folder
    }
    assert shipped == present


def test_every_pattern_of_package_data_finds_a_file():
    folders = packages_on_disk()
    for package, patterns in SETUPTOOLS["package-data"].items():
        for pattern in patterns:
            assert list(folders[package].glob(pattern)), f"{package}: {pattern}"
