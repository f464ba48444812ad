"""Files and links that a power cut leaves either as they were or as they should be: write, fsync, rename, fsync.

with replaced_file(Path("public.pem")) as file:
    file.write(text)
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge_runtime.errors import StorageError

_ADVICE = {
    errno.ENOSPC: "free some space there and try again",
    errno.EDQUOT: "free some space there and try again",
    errno.EROFS: "mount it writable and try again",
    errno.EACCES: "run this as the user that owns it",
    errno.EPERM: "run this as the user that owns it",
}


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into StorageError that names `place`, and the exact file where the system says it."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the path and the disk")
        where = f" (at {error.filename})" if error.filename and str(error.filename) != str(place) else ""
        raise StorageError(f"{place}: {error.strerror}{where}; {advice}") from error


@contextmanager
def replaced_file(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yield a file that takes the name `path` when the block ends well and vanishes when it does not."""
    with storage_errors(path):
        number, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(number, "wb") as file:
                os.fchmod(number, mode)
                yield file
                file.flush()
                os.fsync(number)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def replace_link(link: Path, target: str, scratch: Path) -> None:
    """Make `link` point to `target` in one step. `scratch` is an empty folder on the same file system."""
    temporary = scratch / link.name
    temporary.symlink_to(target)
    temporary.replace(link)
    sync_folder(link.parent)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, readable for all (the daemon is another user). An existing one is left alone."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir()
    path.chmod(0o755)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Put the names in a folder on the disk: a renamed file's new name is lost in a power cut until then."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
