"""Files, folders and links that are there whole or not at all: made beside their place, then renamed.

    write_file(path, content, Durability.ATOMIC)
    with replaced_file(path, Durability.DURABLE) as file:
        file.write(part)
    with new_folder(place, Durability.DURABLE) as folder:
        (folder / "model.onnx").write_bytes(graph)

No process ever sees half of what is written so, and what was there before stays after an error or Ctrl-C. What a power
cut leaves is the caller's choice (`Durability`). All raise OSError; `storage_errors` says it to people.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from edge_runtime.errors import StorageError

UNFINISHED = ".tmp"  # how the names of half-written files end; they begin with a dot
Sync = Callable[[int], None]  # os.fsync, of a file descriptor

_ADVICE = {
    errno.ENOSPC: "free some space there and try again",
    errno.EDQUOT: "free some space there and try again",
    errno.EROFS: "mount it writable and try again",
    errno.EACCES: "run this as the user that owns it",
    errno.EPERM: "run this as the user that owns it",
}


class Durability(Enum):
    """What a power cut may leave. Each costs more than the one before: an fsync waits for the disk."""

    ATOMIC = "atomic"  # anything, half a file too: for what can be made again, or is verified whenever it is read
    SYNCED = "synced"  # what was there before, or all of the new
    DURABLE = "durable"  # all of the new, once the call has returned


@contextmanager
def replaced_file(
    path: Path, durability: Durability, mode: int | None = None, sync: Sync = os.fsync
) -> Iterator[BinaryIO]:
    """Yield a file that takes the name `path` when the block ends well and vanishes when it does not.

    mode: its rights, from its first byte on; None: as the umask says. A link is followed; what is neither a file nor a
    link to one is left alone.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "It is no regular file", str(path))
    place = path.resolve() if path.is_symlink() else path
    temporary = place.with_name(f".{place.name[:40]}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(number, "wb") as file:
            if mode is not None:
                os.fchmod(number, mode)
            yield file
            file.flush()
            if durability is not Durability.ATOMIC:
                sync(number)
        temporary.replace(place)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)
        raise
    if durability is Durability.DURABLE:
        sync_folder(place.parent, sync)


def write_file(
    path: Path, content: bytes | memoryview, durability: Durability, mode: int | None = None, sync: Sync = os.fsync
) -> None:
    """Write all of a file; see `replaced_file`."""
    with replaced_file(path, durability, mode, sync) as file:
        file.write(content)


def remove_unfinished(folder: Path) -> None:
    """Take away the half-written files of processes that were killed. Nobody else may be writing there now."""
    for path in folder.glob(f".*{UNFINISHED}"):
        with suppress(OSError):
            path.unlink()


@contextmanager
def new_folder(place: Path, durability: Durability, sync: Sync = os.fsync) -> Iterator[Path]:
    """Yield an empty folder that becomes `place` when the block ends well, and vanishes when it does not.

    `place` must not exist, or be an empty folder. The folder is readable for all; its files have what rights they got.
    """
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name[:40]}.", dir=place.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if durability is not Durability.ATOMIC:
            _sync_tree(temporary, sync)
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # it has another name when all went well
    if durability is Durability.DURABLE:
        try:
            sync_folder(place.parent, sync)
        except OSError:
            shutil.rmtree(place, ignore_errors=True)
            raise


def make_folder(path: Path, sync: Sync = os.fsync) -> None:
    """Make a folder and its parents, readable for all and durable. An existing one is left alone."""
    if path.is_dir():
        return
    make_folder(path.parent, sync)
    path.mkdir()
    path.chmod(0o755)
    sync_folder(path.parent, sync)


def replace_link(link: Path, target: str, scratch: Path, sync: Sync = os.fsync) -> None:
    """Make `link` point to `target` in one step, durably. `scratch` is an empty folder on the same file system."""
    temporary = scratch / link.name
    temporary.symlink_to(target)
    temporary.replace(link)
    sync_folder(link.parent, sync)


def sync_folder(folder: Path, sync: Sync = os.fsync) -> None:
    """Put the names in a folder on the disk: a new or renamed file's name may be lost in a power cut until then."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system, on a network, that syncs files alone
            raise
    finally:
        os.close(number)


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into StorageError that names `place`, and the exact file where the system says it."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the path and the disk")
        where = f" (at {error.filename})" if error.filename and str(error.filename) != str(place) else ""
        raise StorageError(f"{place}: {error.strerror}{where}; {advice}") from error


def _sync_tree(folder: Path, sync: Sync) -> None:
    """All that is below a folder, and its own names."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path, sync)
        else:
            with path.open("rb") as file:
                sync(file.fileno())
    sync_folder(folder, sync)
