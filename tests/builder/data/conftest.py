from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.mvtec_dataset import write_mvtec


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path)
