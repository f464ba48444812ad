"""Large arrays to fill: in memory as long as they are small, else in a file that nobody sees and that cannot remain.

scratch = ScratchArrays(Path("bundles/screw-1.unfinished"))
array = scratch.array((1600, 80, 80, 24), np.float16)
"""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edge_runtime.errors import StorageError

MEMORY_BYTES = 3 << 29


class ScratchArrays:
    """Gives arrays to fill; those that memory_bytes in all do not hold are on the disk, in `folder`."""

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder, self._left = folder, memory_bytes

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """What it holds is not defined. Raises StorageError when the disk has no room for it."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size <= self._left:
            self._left -= size
            return np.empty(shape, dtype)
        return self._mapped(shape, dtype, size)

    def _mapped(self, shape: tuple[int, ...], dtype: DTypeLike, size: int) -> NDArray[Any]:
        # The file has no name: however the process ends, its space is free again.
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk must be an error here, not a crash later
                return np.memmap(file, dtype, "r+", shape=shape)
        except OSError as error:
            raise StorageError(
                f"{size / 1e6:,.1f} MB for features of pictures do not fit on the disk of {self._folder} "
                f"({error.strerror}): free some space, lower cpr.pool, or choose another --out"
            ) from error
