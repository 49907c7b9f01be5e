"""What all tests share: caches of their own, and the folder of real data where there is one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

# As the command line has it, and read when torch is imported: threads that wait soon sleep, so tests need not be alone.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch

# Without a GPU the Triton kernels run in Triton's interpreter, which has to be chosen before Triton is imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
    with contextlib.suppress(ImportError):
        import interpreter

        interpreter.patch_language_once_a_launch()


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """Cache folder of this session and its child processes, so that none is written into the user's.

    Only the compiled kernels in it outlive the session, since they take a minute to make.
    """
    folder = tmp_path_factory.mktemp("cache")
    (folder / "kernels").symlink_to(pytestconfig.cache.mkdir("kernels"))
    os.environ["GENOMAMBA_CACHE_DIR"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real genomes, named by GENOMAMBA_DATA."""
    named = os.environ.get("GENOMAMBA_DATA")
    if not named:
        pytest.skip("GENOMAMBA_DATA names no folder of real data")
    return Path(named)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", metavar="I/N", help="run every Nth test alone, from the Ith on, counted from 0")


# After -k and -m have chosen, so that shares are alike.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share = config.getoption("--share")
    if share is not None:
        first, step = map(int, share.split("/"))
        kept = items[first::step]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
