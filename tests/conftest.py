"""What all tests share: caches of their own, and the folder of real data where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of FASTA caches for this session, so that none is written into the user's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["GENOMAMBA_CACHE_DIR"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real genomes, named by GENOMAMBA_DATA."""
    named = os.environ.get("GENOMAMBA_DATA")
    if not named:
        pytest.skip("GENOMAMBA_DATA names no folder of real data")
    return Path(named)
