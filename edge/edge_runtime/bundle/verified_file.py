"""A file of a bundle, opened once: what was hashed is what is used, whatever happens to the file meanwhile.

    content = read_verified(folder / "model.fp32.onnx", manifest.files["model.fp32.onnx"])

A path that is verified and then opened again may lead elsewhere the second time (a link that was switched, a file that
was written over), so whoever needs a file's content takes it from here, and parses these bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge_runtime.bundle.manifest import FileEntry
from edge_runtime.errors import BundleError

REBUILD = "build the bundle again or copy it again from where it was built (into a store: `edge-deploy install`)"
BLOCK = 1 << 20


def read_verified(path: Path, entry: FileEntry) -> bytes:
    """The content of a file, which is what the manifest lists. Raises BundleError."""
    with _open_listed(path, entry) as file:
        content = file.read(entry.length + 1)
    _compare(path, entry, len(content), hashlib.sha256(content).hexdigest())
    return content


def verify_file(path: Path, entry: FileEntry) -> None:
    """Read all of a file and keep nothing. Raises BundleError when it is not what the manifest lists."""
    digest, length = hashlib.sha256(), 0
    with _open_listed(path, entry) as file:
        while length <= entry.length and (block := file.read(BLOCK)):
            digest.update(block)
            length += len(block)
    _compare(path, entry, length, digest.hexdigest())


def read_at_most(path: Path, most: int) -> bytes:
    """The first bytes of a file that is no device and no pipe, which may never end: `most`, and one more if there are
    more. Raises OSError, BundleError."""
    with _open_regular(path) as file:
        return file.read(most + 1)


@contextmanager
def _open_listed(path: Path, entry: FileEntry) -> Iterator[BinaryIO]:
    try:
        with _open_regular(path) as file:
            if (length := os.fstat(file.fileno()).st_size) != entry.length:
                raise BundleError(f"{path} has {length} bytes, the manifest says {entry.length}; {REBUILD}")
            yield file
    except FileNotFoundError:
        raise BundleError(f"{path} is missing; {REBUILD}") from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}; check the disk and the rights") from error


def _open_regular(path: Path) -> BinaryIO:
    """Not blocking: a pipe that took the file's place would be waited for until somebody writes to it."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        os.close(number)
        raise BundleError(f"{path} is no regular file; {REBUILD}")
    try:
        return os.fdopen(number, "rb")
    except OSError as error:  # a folder
        os.close(number)
        error.filename = str(path)
        raise


def _compare(path: Path, entry: FileEntry, length: int, sha256: str) -> None:
    if length != entry.length:
        raise BundleError(f"{path} was changed while it was read; {REBUILD}")
    if sha256 != entry.sha256:
        raise BundleError(f"{path} is not the file that was built: its SHA-256 differs; {REBUILD}")
