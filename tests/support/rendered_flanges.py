"""Rendered flanges, turned and shifted: round parts for poses `ring` and `template`. Rendered once for all workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_build.progress import SilentProgress
from edge_build.sample.dataset import SampleCounts, make_sample

GOOD = 12


def flanges(folder: Path) -> Path:
    """A dataset of a few good pictures, and one test picture of each kind."""
    make_sample(folder, 0, SampleCounts(train=GOOD, test_good=2, per_defect=1), SilentProgress())
    return folder


@pytest.fixture(scope="module")
def flange_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flanges(tmp_path_factory.mktemp("flanges") / "data")
