from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.brightest_pixel import evaluation_of, write_dataset

from edge_build.data.dataset import Dataset, scan_dataset
from edge_build.evaluation.result import Evaluation


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Good: 100, 120, 160 (a false reject). Scratches: 200, 140 (missed). One dent: 180."""
    return write_dataset(tmp_path / "parts")


@pytest.fixture
def dataset(root: Path) -> Dataset:
    return scan_dataset(root)


@pytest.fixture
def evaluation(root: Path) -> Evaluation:
    return evaluation_of(root)
