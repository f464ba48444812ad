from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """The tests' pictures are tiny: more threads gain nothing, and on a busy machine they cost ten times as much."""
    torch.set_num_threads(1)
