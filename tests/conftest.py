"""What every test shares: generated modules go to a directory of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled kernels of the tests out of the user's cache; processes that share the tests share them."""
    before = os.environ.get("SYMDESCENT_CACHE")
    root = tmp_path_factory.getbasetemp()
    directory = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "cache"
    directory.mkdir(mode=0o700, exist_ok=True)
    os.environ["SYMDESCENT_CACHE"] = str(directory)
    yield
    if before is None:
        del os.environ["SYMDESCENT_CACHE"]
    else:
        os.environ["SYMDESCENT_CACHE"] = before


@pytest.fixture(autouse=True)
def figures() -> Iterator[None]:
    """Close what a test drew: another one would take it for its own."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
