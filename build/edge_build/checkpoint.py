"""What a long build keeps beside its bundle until it is done, in `<bundle>.unfinished`: checkpoints, to go on with.

    with open_unfinished(Path("bundles/screw-1.unfinished"), provenance, resume=True, progress=progress) as work:
        work.save("training", b"...", "training up to step 75 of 600")
        work.load("training")  # b"...", or None where nothing was saved

It belongs to one recipe with its pictures, and to one process at a time. A build that ends well takes the folder away;
one that is ended keeps it, if there is a checkpoint. A checkpoint is whole or not there: it is written under another
name, synced and renamed, and its hash is checked before anybody reads it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_build.progress import Progress
from edge_runtime.errors import ConfigError, EdgeError, StorageError
from edge_runtime.files import Durability, replaced_file, write_file

PROVENANCE, LOCK, SUFFIX = "build.json", "lock", ".checkpoint"


class InterruptedBuildError(EdgeError):
    """A build was ended by Ctrl-C or SIGTERM, and can be resumed."""

    exit_code = 130  # as without something to resume


@dataclass(frozen=True)
class Dependency:
    """Something that a checkpoint depends on, such as a key of the recipe."""

    name: str
    value: str


class Unfinished:
    """The folder of a build that is under way. `folder` may hold files without a name, such as what is mapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reached: str | None = None  # what the newest checkpoint of this process holds, for people

    def load(self, name: str) -> bytes | None:
        """A checkpoint; None when there is none. Raises ConfigError for a damaged one."""
        path = self.folder / (name + SUFFIX)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        digest, content = data[:32], data[32:]
        if hashlib.sha256(content).digest() != digest:
            raise ConfigError(f"{path} is damaged: remove {self.folder} to start from the beginning")
        return content

    def save(self, name: str, content: bytes, reached: str) -> None:
        """Replace a checkpoint. reached: what it holds, for people. Raises StorageError; the old one stays then."""
        try:
            checked = hashlib.sha256(content).digest() + content
            write_file(self.folder / (name + SUFFIX), checked, Durability.DURABLE)
        except OSError as error:
            raise StorageError(
                f"no checkpoint can be written to {self.folder}: {error.strerror or error}; check the disk's free "
                "space and the rights, or choose another --out"
            ) from error
        self.reached = reached

    def save_arrays(self, name: str, arrays: Sequence[NDArray[Any]], reached: str) -> None:
        """The same of large arrays, which must be contiguous: written one by one, without a copy of them in memory."""
        views = [_bytes_of(array) for array in arrays]
        digest = hashlib.sha256()
        for view in views:
            digest.update(view)
        try:
            with replaced_file(self.folder / (name + SUFFIX), Durability.SYNCED) as file:
                file.write(digest.digest())
                for view in views:
                    file.write(view)
        except OSError as error:
            raise StorageError(
                f"{sum(view.nbytes for view in views) / 1e6:,.0f} MB to go on from do not fit into {self.folder} "
                f"({error.strerror or error}); free some space, or choose another --out"
            ) from error
        self.reached = reached

    def load_arrays(self, name: str, arrays: Sequence[NDArray[Any]]) -> bool:
        """Fill the arrays with what `save_arrays` kept. False, and nothing is to be used of them, when there is none.

        Raises ConfigError for a damaged one, and for arrays of other sizes.
        """
        path, digest = self.folder / (name + SUFFIX), hashlib.sha256()
        try:
            with path.open("rb") as file:
                expected, whole = file.read(32), True
                for array in arrays:
                    view = _bytes_of(array)
                    whole = file.readinto(view) == view.nbytes and whole
                    digest.update(view)
                whole = whole and not file.read(1)
        except FileNotFoundError:
            return False
        if not whole or digest.digest() != expected:
            raise ConfigError(f"{path} is damaged: remove {self.folder} to start from the beginning")
        return True

    def remove(self, name: str) -> None:
        """Take a checkpoint away that is of no use any more."""
        (self.folder / (name + SUFFIX)).unlink(missing_ok=True)

    def has_checkpoints(self) -> bool:
        """Whether there is something to go on with."""
        return any(self.folder.glob(f"*{SUFFIX}"))


@contextmanager
def open_unfinished(
    folder: Path, dependencies: Sequence[Dependency], resume: bool, progress: Progress
) -> Iterator[Unfinished]:
    """The folder for the time of a build that depends on `dependencies`.

    Ctrl-C becomes an InterruptedBuildError when there is something to resume.
    Raises ConfigError when another process builds there, when checkpoints are there but not to be resumed, and when
    these belong to others; StorageError when nothing can be written.
    """
    work = Unfinished(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error
    try:
        _claim(work, lock, dependencies, resume, progress)
        try:
            yield work
        except BaseException as error:
            remains = _leave(work)
            if remains and isinstance(error, KeyboardInterrupt):
                raise InterruptedBuildError(f"interrupted; {remains}") from None
            if remains:
                progress.say(remains)
            raise
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _claim(work: Unfinished, lock: int, dependencies: Sequence[Dependency], resume: bool, progress: Progress) -> None:
    folder = work.folder
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"another build is at work in {folder}: wait until it is done") from None
    if work.has_checkpoints():
        if not resume:
            raise ConfigError(
                f"{folder} holds a build that was interrupted: add --resume to go on with it, or remove the folder to "
                "start from the beginning"
            )
        if changes := _changes(_read_dependencies(folder), dependencies):
            raise ConfigError(
                f"{folder} cannot be resumed, because what it was begun with has changed:\n  "
                + "\n  ".join(changes)
                + "\nput that back, or remove the folder to start from the beginning"
            )
        return
    if resume:
        progress.say(f"nothing to resume in {folder}: starting from the beginning")
    values = json.dumps({one.name: one.value for one in dependencies}, indent=1)
    try:
        write_file(folder / PROVENANCE, values.encode(), Durability.DURABLE)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """The array's own memory. Raises ValueError when it is not contiguous, for then it would be a copy's."""
    if not array.flags.c_contiguous:
        raise ValueError("only contiguous arrays are kept")
    return array.reshape(-1).view(np.uint8).data


def _leave(work: Unfinished) -> str | None:
    """After an error or Ctrl-C: keep what can be resumed, and return a line about it; None when there is nothing."""
    if not work.has_checkpoints():
        shutil.rmtree(work.folder, ignore_errors=True)
        return None
    what = f" ({work.reached})" if work.reached else ""
    return f"{work.folder} keeps what is done{what}: the same command with --resume goes on from there"


def _read_dependencies(folder: Path) -> list[Dependency]:
    try:
        found = json.loads((folder / PROVENANCE).read_bytes())
        return [Dependency(name, value) for name, value in found.items()]
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{folder / PROVENANCE} is damaged: remove {folder} to start from the beginning") from error


def _changes(before: Sequence[Dependency], now: Sequence[Dependency]) -> list[str]:
    old, new = ({dependency.name: dependency.value for dependency in dependencies} for dependencies in (before, now))
    return [
        f"{name}: was {old.get(name, 'not there')}, is {new.get(name, 'not there')}"
        for name in dict.fromkeys([*new, *old])
        if old.get(name) != new.get(name)
    ]
