"""A small file that a power cut leaves either as it was or as it should be: write, fsync, rename, fsync the folder."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Write a small ASCII file anew; when this returns, it survives a power cut. Raises OSError."""
    written = path.with_suffix(".new")
    with written.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
