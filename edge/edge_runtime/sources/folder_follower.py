"""The thread of a watched folder: all contact with the disk, from the first sight of a file to putting it away.

Its loop never waits for anybody but the disk, and may hang there for as long as a share does; see watched_folder.py.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

from edge_runtime.errors import PictureError
from edge_runtime.imaging.reader import picture_from_bytes, read_bytes
from edge_runtime.records import ErrorCode, FailedFrame, Frame, PictureFile
from edge_runtime.sources.arrivals import Arrivals, FileState, is_picture_name, state_from_stat
from edge_runtime.sources.folder_events import Change, Event, FolderEvents, file_system_of, needs_polling
from edge_runtime.sources.protocol import JudgedFiles
from edge_runtime.sources.put_away import DONE, JudgedPictures, name_text
from edge_runtime.sources.settings import WatchSettings

log = logging.getLogger(__name__)

POLL_S = 0.5
LIST_AGAIN_S = 30.0  # also where the kernel reports changes: it does not for links, nor for a writer that never closes
LISTING_SHARE = 10  # a folder that takes long to list is listed less often: a tenth of the time at most,
LONGEST_PAUSE_S = 5.0  # but is not put off for longer: it may have hung once
HANGS_AFTER_S = 5.0
REMEMBERED_FOREIGN = 100_000  # names; more are counted again


class FolderFollower:
    """See the module. `run` is the thread; all else but `problem` and the counts is called before it starts."""

    def __init__(
        self,
        folder: Path,
        settings: WatchSettings,
        ready: queue.Queue[Frame | FailedFrame],
        committed: queue.SimpleQueue[PictureFile],
        closing: threading.Event,
        wake_fd: int,
    ) -> None:
        self._folder, self._settings, self._ready, self._committed = folder, settings, ready, committed
        self._closing, self._wake_fd = closing, wake_fd
        self._arrivals = Arrivals(settings.settle_ms / 1000, settings.give_up_ms / 1000)
        self._handled: dict[bytes, str] = {}  # read in this run, or judged in an earlier one: identities by name
        self._left_over: dict[bytes, str] = {}  # of these, what an earlier run judged and perhaps did not put away
        self._pictures = JudgedPictures(folder, settings)
        self._judged = JudgedFiles({}, lambda names: None)
        self._polls: bool | None = settings.poll
        self._events: FolderEvents | None = None
        self._list_at_s = 0.0
        self._sequence = 0
        self._foreign: set[bytes] = set()
        self.passed_over = 0
        self.waiting = 0
        self._trouble: str | None = None
        self._busy_since_s = 0.0

    def remember(self, judged: JudgedFiles) -> None:
        """Before `run`."""
        self._judged, self._handled, self._left_over = judged, dict(judged.identities), dict(judged.identities)

    def problem(self) -> str | None:
        """May be called by another thread."""
        busy_s = self._busy_since_s
        if busy_s and time.monotonic() - busy_s > HANGS_AFTER_S:
            hangs = f"{self._folder} has not answered for {time.monotonic() - busy_s:.0f} s"
            return f"{hangs}: check the share, its server and the network"
        return self._trouble

    def run(self) -> None:
        """Until `closing` is set."""
        while not self._closing.is_set():
            self._busy_since_s = time.monotonic()
            try:
                self._turn()
                self._trouble = None
            except OSError as error:
                self._log_trouble(error)
            self._busy_since_s = 0.0
            self._rest()
        if self._events is not None:
            self._events.close()

    def _turn(self) -> None:
        self._put_away()
        if self._polls is None:
            self._polls = needs_polling(file_system_of(self._folder))
        if not self._polls and self._events is None:
            self._events = self._listen()
        if self._events is not None:
            for event in self._events.read():
                self._follow(event)
        if time.monotonic() >= self._list_at_s:
            self._list()
        self._put_away()
        while not self._ready.full() and not self._closing.is_set() and self._read_one():
            pass
        self.waiting = len(self._arrivals)

    def _rest(self) -> None:
        """Until something happens, or may be due."""
        until_s = 0.05 if self._arrivals else 0.25
        if self._trouble:
            until_s = 1.0
        elif self._ready.full():
            until_s = 0.25
        watched = [self._wake_fd]
        if self._events is not None and not self._trouble:
            watched.append(self._events.fileno())
        select.select(watched, [], [], until_s)
        try:
            while os.read(self._wake_fd, 4096):
                pass
        except BlockingIOError:
            return

    def _listen(self) -> FolderEvents | None:
        try:
            return FolderEvents(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            log.warning("%s: the kernel cannot watch it (%s); it is listed twice a second", self._folder, error)
            self._polls = True
            return None

    def _follow(self, event: Event) -> None:
        if event.change is Change.UNCLEAR:
            if self._events is not None:
                self._events.close()
                self._events = None
            self._list_at_s = 0.0
        elif event.change is Change.GONE:
            self._lose(event.name)
        elif event.change is Change.RENAMED and event.old in self._arrivals and self._is_picture(event.name):
            if (state := self._state(event.name)) is not None:
                self._arrivals.rename(event.old, event.name, state, time.monotonic())
        else:
            if event.change is Change.RENAMED:
                self._lose(event.old)
            self._see(event.name, closed=event.change is not Change.SEEN)

    def _list(self) -> None:
        """Everything that is in the folder. Raises OSError."""
        began_s = time.monotonic()
        with os.scandir(os.fsencode(self._folder)) as entries:
            names = [entry.name for entry in entries]
        present = set(names)
        states = {name: state for name in names if self._is_picture(name) and (state := self._state(name)) is not None}
        now_s, wall_ns = time.monotonic(), time.time_ns()
        self._follow_renamed(states, present)
        for name, state in sorted(states.items(), key=lambda item: (item[1].changed_ns, item[0])):
            if self._handled.get(name) == state.identity:
                if self._left_over.pop(name, "") == state.identity:
                    self._pictures.add(name, state.identity)
                continue
            # Where clocks agree, what is old has been at rest for long, and need not be watched for that.
            rested_s = 0.0 if self._polls else max(0.0, (wall_ns - state.changed_ns) / 1e9)
            self._arrivals.see(name, state, now_s, rested_s=rested_s)
        for name in self._arrivals.gone(present.__contains__):
            self._lose(name)
        self._forget_absent(present)
        took_s = time.monotonic() - began_s
        pause_s = max(POLL_S if self._polls else LIST_AGAIN_S, min(LISTING_SHARE * took_s, LONGEST_PAUSE_S))
        self._list_at_s = time.monotonic() + pause_s

    def _follow_renamed(self, states: dict[bytes, FileState], present: set[bytes]) -> None:
        """A file that waited under one name and is here under another: both have the same inode and content."""
        missing = {self._arrivals.state_of(n).identity: n for n in self._arrivals.gone(present.__contains__)}
        for name, state in states.items():
            if state.inode and name not in self._arrivals and (old := missing.pop(state.identity, None)) is not None:
                self._arrivals.rename(old, name, state, time.monotonic())

    def _forget_absent(self, present: set[bytes]) -> None:
        """Names whose files have left need not be remembered. Not if none is left: then the share is not mounted."""
        absent = [name for name in self._handled if name not in present and name not in self._pictures]
        if absent and len(absent) < len(self._handled):
            self._judged.forget([PictureFile(name, self._handled.pop(name)) for name in absent])

    def _see(self, name: bytes, closed: bool) -> None:
        if not self._is_picture(name) or (state := self._state(name)) is None:
            return
        if self._handled.get(name) != state.identity:
            self._arrivals.see(name, state, time.monotonic(), closed)

    def _is_picture(self, name: bytes) -> bool:
        if is_picture_name(name):
            return True
        self._pass_over(name)
        return False

    def _pass_over(self, name: bytes) -> None:
        if name not in self._foreign and name != DONE.encode():
            if len(self._foreign) > REMEMBERED_FOREIGN:
                self._foreign.clear()
            self._foreign.add(name)
            self.passed_over += 1
            log.debug("%s: passed over %s: no picture by its name and kind", self._folder, name_text(name))

    def _state(self, name: bytes) -> FileState | None:
        """None: it is gone, or no regular file, which must not be opened. Raises OSError where the folder fails."""
        try:
            found = (self._folder / os.fsdecode(name)).stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):
            self._pass_over(name)
            return None
        return state_from_stat(found, stable_inodes=not self._polls)

    def _read_one(self) -> bool:
        """Read the next picture that is ready, or give one up. False: there is none."""
        now_s = self._busy_since_s = time.monotonic()
        name = self._arrivals.next_ready(now_s)
        if name is None:
            given_up = self._arrivals.next_given_up(now_s)
            if given_up is None:
                return False
            name, why = given_up
            state = self._arrivals.state_of(name)
            waited = f"not whole {self._settings.give_up_ms} ms after its last change (watch.give_up_ms)"
            self._hand_over(
                name, state, FailedFrame(name_text(name), 0, ErrorCode.FRAME_UNREADABLE, f"{why} ({waited})")
            )
            return True
        before = self._state(name)
        if before is None:
            self._lose(name)
            return True
        if before != self._arrivals.state_of(name):  # it goes on being written
            self._arrivals.see(name, before, now_s)
            return True
        path = self._folder / os.fsdecode(name)
        try:
            image = picture_from_bytes(read_bytes(path), Path(name_text(name)))
        except PictureError as error:
            self._arrivals.unfit(name, str(error))
            return True
        after = self._state(name)
        if after != before:  # replaced while it was read: which of the two was read, nobody knows
            if after is not None:
                self._arrivals.see(name, after, now_s)
                return True
            self._lose(name)
            return True
        self._hand_over(name, before, Frame("folder", 0, 0, image, name_text(name)))
        return True

    def _lose(self, name: bytes) -> None:
        """A picture that was announced has left before it could be read: a part that nobody judged."""
        if name in self._arrivals:
            state = self._arrivals.state_of(name)
            detail = (
                f"{name_text(name)} was removed, or given another name, before it could be read: let the station do it"
            )
            self._hand_over(name, state, FailedFrame(name_text(name), 0, ErrorCode.FRAME_MISSING, detail))

    def _hand_over(self, name: bytes, state: FileState, frame: Frame | FailedFrame) -> None:
        self._arrivals.drop(name)
        self._handled[name] = state.identity
        self._sequence += 1
        frame = replace(frame, sequence=self._sequence, file=PictureFile(name, state.identity))
        while not self._closing.is_set():
            self._busy_since_s = 0.0  # the folder is not to blame
            try:
                self._ready.put(frame, timeout=0.25)
            except queue.Full:
                self._put_away()
            else:
                break
        self._busy_since_s = time.monotonic()

    def _put_away(self) -> None:
        """Move or delete what was judged."""
        while not self._committed.empty():
            file = self._committed.get()
            self._pictures.add(file.key, file.identity)
        for name, identity in self._pictures.put_away(self._state):
            self._judged.forget([PictureFile(name, identity)])
            if self._handled.get(name) == identity:  # otherwise another picture has that name now
                del self._handled[name]

    def _log_trouble(self, error: OSError) -> None:
        text = f"{self._folder}: {error.strerror or error}: check the path, the share and the rights"
        if text != self._trouble:
            log.warning("%s", text)
        self._trouble = text
        if self._events is not None:
            self._events.close()
            self._events = None
        self._list_at_s = 0.0
