"""What the serving thread is asked to do next, in the order of arrival: triggers, commands, a new model, stop."""

from __future__ import annotations

import queue
import threading
from collections import deque
from dataclasses import dataclass

from edge_runtime.config.edits import Edits
from edge_runtime.daemon.model import Model
from edge_runtime.daemon.requests import InspectionRequest
from edge_runtime.wire.commands import Command


@dataclass(frozen=True)
class Stop:
    """Finish what is in hand and end."""


@dataclass(frozen=True)
class Loaded:
    """RELOAD loaded a model beside the one that serves, and it passed its self-test."""

    model: Model
    edits: Edits  # of the station's file, which RELOAD does not apply


@dataclass(frozen=True)
class _Offered:
    command: Command


@dataclass(frozen=True)
class NotLoaded:
    """RELOAD could not load another model, or it failed its self-test; `reason` is for people."""

    reason: str
    edits: Edits


Item = InspectionRequest | Command | Loaded | NotLoaded | Stop | Exception
MOST_COMMANDS = 8  # that may wait


class EventQueue:
    """A queue that any thread, and a signal handler, may put into. An Exception is another thread's end."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Item | _Offered] = queue.SimpleQueue()
        self._commands: deque[Command] = deque()  # offered and not taken
        self.stopping = threading.Event()

    def put(self, item: Item) -> None:
        """Add something to do."""
        self._items.put(item)

    def offer(self, command: Command) -> bool:
        """Add a command from outside, if few wait. One that is just the last that waits is answered with it.

        Only the network thread offers. False: too many wait.
        """
        if self._commands and self._commands[-1] is command:
            return True
        if len(self._commands) >= MOST_COMMANDS:
            return False
        self._commands.append(command)
        self._items.put(_Offered(command))
        return True

    def stop(self) -> None:
        """Ask for the end. Safe within a signal handler: SimpleQueue.put may interrupt itself."""
        self.stopping.set()
        self._items.put(Stop())

    def take(self, wait_s: float) -> Item | None:
        """The next thing to do; None when none came within `wait_s`. Raises what another thread ended with."""
        try:
            item = self._items.get(block=wait_s > 0, timeout=wait_s if wait_s > 0 else None)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return self._commands.popleft() if isinstance(item, _Offered) else item
