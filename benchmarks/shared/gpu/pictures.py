"""Good pictures to learn from: those of a category, or of the rendered sample where none is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_build.data.dataset import scan_dataset
from edge_build.data.pictures import load_prepared
from edge_build.progress import SilentProgress
from edge_build.sample.dataset import SampleCounts, make_sample
from edge_runtime.imaging.see import whole_frame_viewer


def good_pictures(data: Path | None, work: Path, count: int, size: int) -> NDArray[np.uint8]:
    """At most so many, spread over all, uint8 BGR (n, size, size, 3). data: a category; None renders one in `work`."""
    folder = data
    if folder is None:
        folder = work / f"sample-{count}"
        if not folder.exists():
            make_sample(folder, 0, SampleCounts(train=count, test_good=1, per_defect=1), SilentProgress())
    good = scan_dataset(folder).good
    return load_prepared(good[:: -(-len(good) // count)], whole_frame_viewer(size, size), SilentProgress())
