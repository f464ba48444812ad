from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.small_disk import small_disk

from edge_build.detectors.cpr.scratch_arrays import ScratchArrays
from edge_runtime.errors import StorageError


def test_arrays_are_in_memory_until_there_is_no_more_of_it_and_then_in_files_without_a_name(tmp_path: Path) -> None:
    scratch = ScratchArrays(tmp_path, memory_bytes=100)

    small, large, last = (
        scratch.array((40,), np.uint8),
        scratch.array((10, 10), np.float16),
        scratch.array((60,), np.uint8),
    )

    assert [type(array) for array in (small, large, last)] == [np.ndarray, np.memmap, np.ndarray]
    assert (large.shape, large.dtype) == ((10, 10), np.float16)
    large[3] = 7
    assert large.sum() == 70
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 100) as disk,
        pytest.raises(StorageError, match=r"0.2 MB .* do not fit on the disk of .*disk \(No space left on device\): "),
    ):
        ScratchArrays(disk, memory_bytes=0).array((200_000,), np.uint8)
