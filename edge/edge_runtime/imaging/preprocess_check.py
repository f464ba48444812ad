"""The proof that this machine's OpenCV gives the pixels of every other one: made-up pictures through `preprocess`.

A bundle's scores hold for pictures that were prepared as its training pictures were. The golden pictures cannot show a
difference: they are prepared already. So the hashes of a few prepared patterns stand here, with the name of the
procedure; the host's tests and the device's self-test both compare with them.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import EngineError
from edge_runtime.imaging.preprocess import PREPROCESSING, preprocess

# (height, width) of the frame, (height, width) of the model: halved, shrunk, stretched, grown, and as it is
CASES = (
    ((960, 1280), (320, 320)),
    ((487, 651), (256, 320)),
    ((300, 200), (256, 256)),
    ((100, 120), (224, 224)),
    ((256, 256), (256, 256)),
)
DIGESTS = {
    "bgr8-area-1": (
        "9055a7fd353936a9", "3c5657bbb79d149e", "85ca4ed7281df99a", "b5864828f84bf911", "f8796d6deae35860",
    )
}  # fmt: skip


def check_preprocessing() -> None:
    """Raises EngineError when a prepared pattern has other pixels than on the machines that bundles are built on."""
    found = prepared_digests()
    if found != DIGESTS[PREPROCESSING]:
        wrong = [
            f"{case[0]} to {case[1]}"
            for case, here, there in zip(CASES, found, DIGESTS[PREPROCESSING], strict=True)
            if here != there
        ]
        raise EngineError(
            f"OpenCV {cv2.__version__} prepares pictures with other pixels than the host's ({', '.join(wrong)}), and "
            "scores would drift: install the opencv-python-headless of the host's version, or an OpenCV without other "
            "vendors' resize"
        )


def prepared_digests() -> tuple[str, ...]:
    """The SHA-256 of each case's prepared pattern, cut to 16 digits."""
    return tuple(
        hashlib.sha256(preprocess(pattern(*frame), *model).tobytes()).hexdigest()[:16] for frame, model in CASES
    )


def pattern(height: int, width: int) -> NDArray[np.uint8]:
    """Edges, ramps and noise from whole numbers alone, the same on every machine: uint8 BGR (height, width, 3)."""
    y, x = np.mgrid[:height, :width].astype(np.uint32)
    noise = (x * 2654435761 + y * 40503 * 65537) >> 13
    planes = (x * 255 // width, (x // 7 + y // 5) % 2 * 200 + noise % 50, noise % 256)
    return np.stack(planes, axis=2).astype(np.uint8)
