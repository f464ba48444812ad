"""Host and device prepare pictures bit for bit alike: these tests run on every Python and OpenCV of ./check."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import EngineError
from edge_runtime.imaging import preprocess_check
from edge_runtime.imaging.preprocess import PREPROCESSING
from edge_runtime.imaging.preprocess_check import CASES, DIGESTS, check_preprocessing, pattern, prepared_digests


def test_this_machine_prepares_as_the_one_where_the_hashes_were_taken() -> None:
    assert prepared_digests() == DIGESTS[PREPROCESSING]
    check_preprocessing()


def test_the_patterns_are_whole_numbers_and_no_two_cases_are_alike() -> None:
    assert len(set(DIGESTS[PREPROCESSING])) == len(CASES)
    found = pattern(40, 30)
    assert (found.dtype, found.shape) == (np.uint8, (40, 30, 3))
    assert found[:, :, 0].max() == 246  # 29 * 255 // 30
    assert len(np.unique(found[:, :, 2])) > 200


def test_other_pixels_are_an_error_that_names_the_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    other = (*DIGESTS[PREPROCESSING][:-1], "0" * 16)
    monkeypatch.setitem(preprocess_check.DIGESTS, PREPROCESSING, other)
    with pytest.raises(EngineError, match=r"other pixels than the host's \(\(256, 256\) to \(256, 256\)\)"):
        check_preprocessing()
