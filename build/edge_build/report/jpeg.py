"""Pictures as JPEGs that keep a page small."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def jpeg_from_picture(picture: NDArray[np.uint8], most_bytes: int) -> bytes:
    """A JPEG of at most `most_bytes` where a quality from 88 down to 30 can do that, otherwise of quality 30."""
    data = b""
    for quality in (88, 80, 70, 55, 40, 30):
        done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise ValueError(f"a picture {picture.dtype} {picture.shape} does not encode as JPEG")
        data = encoded.tobytes()
        if len(data) <= most_bytes:
            break
    return data
