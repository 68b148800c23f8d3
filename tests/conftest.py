"""Shared fixtures: where things are, and every test leaves torch's global random state alone."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def book(root) -> Path:
    return root / "book"


@pytest.fixture(scope="session")
def site(root) -> Path:
    """The built site (or PAPERTRAIL_SITE). `make test` builds it cold first; alone, `make book` makes it."""
    folder = Path(os.environ.get("PAPERTRAIL_SITE") or root / "_build" / "html")
    assert (folder / "index.html").exists(), "no site at _build/html: run `make book` first"
    return folder
