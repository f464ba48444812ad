"""What the serving thread is asked to do next, in the order of arrival: triggers, commands, stop."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

from edge_runtime.messages import Command, Trigger


@dataclass(frozen=True)
class Order:
    """One verdict is wanted. Without a trigger it is a free-running frame. arrived_ns is time.monotonic_ns()."""

    trigger: Trigger | None
    arrived_ns: int


@dataclass(frozen=True)
class Stop:
    """Finish what is in hand and end."""


Item = Order | Command | Stop | Exception


class Inbox:
    """A queue that any thread, and a signal handler, may put into. An Exception is another thread's end."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self.stopping = threading.Event()

    def put(self, item: Item) -> None:
        """Add something to do."""
        self._items.put(item)

    def stop(self) -> None:
        """Ask for the end. Safe within a signal handler: SimpleQueue.put may interrupt itself."""
        self.stopping.set()
        self._items.put(Stop())

    def take(self, wait: bool) -> Item | None:
        """The next thing to do; None when there is none and `wait` is false. Raises what another thread ended with."""
        try:
            item = self._items.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item
