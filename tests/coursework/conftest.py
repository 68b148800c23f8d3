"""What the tests of coursework share: the students' environment, and small limits so that hostile code costs little."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("PAPERTRAIL_SANDBOX", str(ROOT / ".sandbox"))


@pytest.fixture(scope="session")
def tight():
    """Limits for hostile cells."""
    from papertrail.coursework.sandbox import MB, Limits

    return replace(Limits(), cell_cpu=3.0, cell_wall=20.0, whole_wall=120.0, resident=500 * MB, address_space=1500 * MB,
                   processes=40, file=10 * MB, scratch=40 * MB, output=2 * MB, message=1 * MB)  # fmt: skip
