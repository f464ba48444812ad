from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.report_page import six_pictures

from edge_build.evaluation.result import Evaluation


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    return six_pictures(tmp_path)
