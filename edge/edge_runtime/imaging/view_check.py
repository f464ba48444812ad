"""The proof that this machine sees what the host saw: the golden frames of a bundle through its own view.

The golden pictures prove what comes after: together they prove the whole way from a frame to a verdict.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import BundleError, EngineError
from edge_runtime.imaging.see import FrameViewer

MOST_APART = 1  # grey value


def check_view(viewer: FrameViewer, read: Callable[[str], bytes]) -> int:
    """How many golden frames were seen as on the host. read: the content of a file of the bundle.

    Raises EngineError when a pixel differs by more than one grey value, BundleError for a file that is no picture.
    """
    record = viewer.view.record
    for golden in () if record is None else record.golden:
        frame, expected = _picture(golden.frame, read), _picture(golden.picture, read)
        seen = viewer.see(frame).picture
        apart = int(cv2.absdiff(seen, expected).max()) if seen.shape == expected.shape else 255
        if apart > MOST_APART:
            raise EngineError(
                f"this machine sees {golden.frame} with other pixels than the host's (up to {apart} grey values, "
                f"{MOST_APART} allowed; OpenCV {cv2.__version__}), and scores would drift: install the "
                "opencv-python-headless of the host's version, or an OpenCV without other vendors' resize and remap"
            )
    return 0 if record is None else len(record.golden)


def _picture(file: str, read: Callable[[str], bytes]) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(read(file), np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise BundleError(f"{file} of the view is not a picture: build the bundle again")
    return np.asarray(picture, np.uint8)
