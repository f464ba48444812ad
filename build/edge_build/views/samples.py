"""Some of the good pictures, reduced so far that many of them can be looked at again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import Picture
from edge_build.progress import Progress
from edge_runtime.imaging.pyramid import Pyramid, halved
from edge_runtime.imaging.reader import read_picture

LONGEST = 900  # pixels of a reduced picture's longer side
SAMPLED = 40  # pictures


@dataclass(frozen=True)
class Sample:
    """A reduced good picture, whole or the region of it. side: the frame's pixels along one of its own."""

    image: NDArray[np.uint8]
    pyramid: Pyramid
    side: int

    @staticmethod
    def of(image: NDArray[np.uint8], side: int = 1) -> Sample:
        """A sample of a picture that was reduced so far."""
        return Sample(image, Pyramid(image), side)


def evenly(pictures: Sequence[Picture], most: int) -> list[Picture]:
    """At most so many of them, evenly spread."""
    if len(pictures) <= most:
        return list(pictures)
    return [pictures[n] for n in np.linspace(0, len(pictures) - 1, most).round().astype(int)]


def read_samples(
    pictures: Sequence[Picture], region: tuple[int, int, int, int] | None, progress: Progress, most: int = SAMPLED
) -> list[Sample]:
    """region: x, y, width, height in pixels of the pictures. Raises PictureError for a picture that is gone."""
    samples: list[Sample] = []
    for picture in progress.track("view: samples", evenly(pictures, most)):
        image, side = read_picture(picture.path), 1
        if region is not None:
            x, y, width, height = region
            image = image[y : y + height, x : x + width]
        while side < samples[0].side if samples else max(image.shape[:2]) > LONGEST:  # all alike
            image, side = halved(image), 2 * side
        samples.append(Sample.of(np.ascontiguousarray(image), side))
    return samples
