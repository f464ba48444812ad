"""What changes in a folder, as the kernel reports it (inotify(7)); and whether it can at all."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from inotify_simple import INotify, flags

# File systems whose files others change: the kernel here hears nothing of it.
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "vboxsf", "virtiofs"})
RENAMED_WITHIN_S = 0.2  # the two halves of a renaming come together, perhaps in two reads


class Change(Enum):
    """What happened to a name."""

    SEEN = auto()  # created or linked; it may still be written
    WHOLE = auto()  # closed by whoever wrote it, or moved here
    RENAMED = auto()
    GONE = auto()
    UNCLEAR = auto()  # events were lost, or the folder itself changed: list it again


@dataclass(frozen=True)
class Event:
    """A change of one name; for RENAMED, `old` is the name before."""

    change: Change
    name: bytes = b""
    old: bytes = b""


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of file system that a folder lies on, as the kernel names it; empty when that cannot be seen."""
    try:
        place = folder.absolute()
        best, kind = -1, ""
        for line in mounts.read_text(errors="surrogateescape").splitlines():
            left, _, right = line.partition(" - ")
            point = Path(left.split()[4].replace("\\040", " "))
            if len(point.parts) > best and place.is_relative_to(point):
                best, kind = len(point.parts), right.split()[0]
    except (OSError, IndexError):
        return ""
    return kind


def needs_polling(file_system: str) -> bool:
    """Whether changes by others would not be heard of."""
    return file_system in NETWORK or file_system.startswith("fuse")


class FolderEvents:
    """Listens to one folder. Raises OSError when the kernel refuses, for example for want of watches."""

    def __init__(self, folder: Path) -> None:
        self._notify = INotify(nonblocking=True)
        wanted = flags.CREATE | flags.CLOSE_WRITE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE
        try:
            self._notify.add_watch(folder, wanted | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR)
        except OSError:
            self._notify.close()
            raise
        self._leaving: dict[int, tuple[bytes, float]] = {}  # by the kernel's cookie: moved out, or renamed

    def fileno(self) -> int:
        """To wait for."""
        return int(self._notify.fileno())

    def close(self) -> None:
        """Listen no more."""
        self._notify.close()

    def read(self) -> Iterator[Event]:
        """What has changed since the last call."""
        now_s = time.monotonic()
        for event in self._notify.read(timeout=0):
            name, mask = os.fsencode(event.name), event.mask
            if mask & (flags.Q_OVERFLOW | flags.UNMOUNT | flags.IGNORED | flags.DELETE_SELF | flags.MOVE_SELF):
                yield Event(Change.UNCLEAR)
            elif mask & flags.MOVED_FROM:
                self._leaving[event.cookie] = (name, now_s)
            elif mask & flags.MOVED_TO and event.cookie in self._leaving:
                yield Event(Change.RENAMED, name, self._leaving.pop(event.cookie)[0])
            elif mask & (flags.MOVED_TO | flags.CLOSE_WRITE):
                yield Event(Change.WHOLE, name)
            elif mask & flags.CREATE:
                yield Event(Change.SEEN, name)
            elif mask & flags.DELETE:
                yield Event(Change.GONE, name)
        for cookie, (name, since_s) in list(self._leaving.items()):
            if now_s - since_s > RENAMED_WITHIN_S:
                del self._leaving[cookie]
                yield Event(Change.GONE, name)
