"""Which file of a growing folder may be read now, and which has been waited for long enough. Pure: no disk, no clock.

A file is ready when its writer closed it, or when it has not changed for `settle_s`. Whoever reads it and finds that it
is not whole reports `unfit`; then it waits for its next change, or until it has been at rest for `give_up_s`.

    arrivals.see(b"0041.png", FileState(...), now_s, closed=True)
    while (name := arrivals.next_ready(now_s)) is not None: ...
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_runtime.imaging.reader import PICTURE_SUFFIXES

SUFFIXES = tuple(suffix.encode("ascii") for suffix in PICTURE_SUFFIXES)


@dataclass(frozen=True)
class FileState:
    """What tells one content of a file from another, as far as that can be seen from outside."""

    size: int
    modified_ns: int
    changed_ns: int  # of the file's entry, too: when it was moved here
    inode: int

    @property
    def identity(self) -> str:
        """As it is kept with the verdict. Without changed_ns, which a new owner or link changes, too."""
        return f"{self.size}-{self.modified_ns}-{self.inode}"


@dataclass
class _Waiting:
    state: FileState
    since_s: float  # when it was first seen like this
    closed: bool
    why_unfit: str = field(default="")


def state_from_stat(found: os.stat_result, stable_inodes: bool) -> FileState:
    """stable_inodes: whether the file system gives a file the same number for ever; network shares may not."""
    inode = found.st_ino if stable_inodes else 0
    return FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns, inode)


def is_picture_name(name: bytes) -> bool:
    """Whether a name is one of a picture that is meant to be seen; all others are passed over."""
    return not name.startswith(b".") and name.lower().endswith(SUFFIXES)


class Arrivals:
    """The files that wait, in the order in which they came or were last changed."""

    def __init__(self, settle_s: float, give_up_s: float) -> None:
        self._settle_s, self._give_up_s = settle_s, give_up_s
        self._waiting: dict[bytes, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, name: bytes) -> bool:
        return name in self._waiting

    def see(self, name: bytes, state: FileState, now_s: float, closed: bool = False, rested_s: float = 0.0) -> None:
        """A file is here like this. rested_s: for how long it is known to have been like this before."""
        known = self._waiting.get(name)
        if known is not None and known.state == state:
            if closed and not known.closed:
                known.closed, known.why_unfit = True, ""
            return
        self._waiting.pop(name, None)  # a change is an arrival: it goes to the end
        self._waiting[name] = _Waiting(state, now_s - rested_s, closed)

    def rename(self, old: bytes, new: bytes, state: FileState, now_s: float) -> None:
        """A file that waits was given another name: it is the same picture, and closed by whoever did that."""
        self.drop(old)
        self.see(new, state, now_s, closed=True)

    def drop(self, name: bytes) -> bool:
        """A file is gone, or done with. Returns whether it waited."""
        return self._waiting.pop(name, None) is not None

    def unfit(self, name: bytes, why: str) -> None:
        """It was read, and is not whole: it waits for a change, or to be given up."""
        self._waiting[name].why_unfit = why

    def state_of(self, name: bytes) -> FileState:
        """As it was seen last."""
        return self._waiting[name].state

    def next_ready(self, now_s: float) -> bytes | None:
        """The first file that may be read."""
        for name, waiting in self._waiting.items():
            at_rest = now_s - waiting.since_s >= self._settle_s
            if not waiting.why_unfit and (waiting.closed or at_rest):
                return name
        return None

    def next_given_up(self, now_s: float) -> tuple[bytes, str] | None:
        """The first file that is not whole and has not changed for too long, and what is wrong with it."""
        for name, waiting in self._waiting.items():
            if waiting.why_unfit and now_s - waiting.since_s >= self._give_up_s:
                return name, waiting.why_unfit
        return None

    def gone(self, present: Callable[[bytes], bool]) -> list[bytes]:
        """Those that wait and are not in the folder any more."""
        return [name for name in self._waiting if not present(name)]
