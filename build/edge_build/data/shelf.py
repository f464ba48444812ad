"""The good pictures at the model's size, by picture.

shelf = PreparedPictures(dataset.good, (256, 256), progress)
shelf.prepared(splits.folds[0])  # uint8 (n, 256, 256, 3)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_build.data.pictures import Picture, load_prepared
from edge_build.progress import Progress


class PreparedPictures:
    """Reads all pictures once. Raises DatasetError when a file is no longer the one that was scanned."""

    def __init__(self, pictures: Sequence[Picture], size: tuple[int, int], progress: Progress) -> None:
        self._prepared = load_prepared(pictures, *size, progress)
        self._place = {picture: place for place, picture in enumerate(pictures)}

    def all(self) -> NDArray[np.uint8]:
        """Uint8 (n, H, W, 3)."""
        return self._prepared

    def places(self, pictures: Sequence[Picture]) -> list[int]:
        """Row numbers, in the pictures' order."""
        return [self._place[picture] for picture in pictures]

    def prepared(self, pictures: Sequence[Picture]) -> NDArray[np.uint8]:
        """Uint8 (len(pictures), H, W, 3)."""
        return self._prepared[self.places(pictures)]
