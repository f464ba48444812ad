from __future__ import annotations

import cv2
import numpy as np

from edge_build.report.jpeg import jpeg_from_picture


def test_a_jpeg_stays_within_its_bytes_and_decodes() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)

    data = jpeg_from_picture(noisy, 30_000)

    assert len(data) <= 30_000
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (200, 200, 3)
