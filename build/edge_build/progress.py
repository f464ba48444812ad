"""Progress of long steps: a rich bar on a terminal, plain lines otherwise. Builders get one passed in.

for batch in progress.track("features", batches):
    ...
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from edge_calibration.progress import Progress

__all__ = ["PlainProgress", "Progress", "SilentProgress", "TerminalProgress", "progress_for_stderr"]

T = TypeVar("T")
PLAIN_EVERY_S = 5.0


class TerminalProgress:
    """Bars on stderr, drawn by rich."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def say(self, text: str) -> None:
        """Print one line above whatever bar is drawn."""
        self._console.print(text, highlight=False, markup=False)

    def track(self, what: str, items: Sequence[T]) -> Iterator[T]:
        """Draw a bar with the time used and left."""
        columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
        with Bars(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self._console) as bars:
            yield from bars.track(items, description=what, total=len(items))


def _write_to_stderr(text: str) -> None:
    if sys.stderr is not None:  # a program that was started with it closed
        sys.stderr.write(text)


class PlainProgress:
    """Lines on stderr, at most one every five seconds a step, for logs and pipes."""

    def __init__(self, write: Callable[[str], object] = _write_to_stderr, clock: Callable[[], float] = time.monotonic):
        self._write, self._clock = write, clock

    def say(self, text: str) -> None:
        """Write one line."""
        self._write(text + "\n")

    def track(self, what: str, items: Sequence[T]) -> Iterator[T]:
        """Write where the step is every few seconds, and once at its end."""
        started = last = self._clock()
        for done, item in enumerate(items, 1):
            yield item
            now = self._clock()
            if done == len(items) or now - last >= PLAIN_EVERY_S:
                last = now
                self._write(f"{what}: {done}/{len(items)} ({now - started:.0f} s)\n")


class SilentProgress:
    """Says nothing: for tests and for use as a library."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def track(self, what: str, items: Sequence[T]) -> Iterator[T]:
        """Go through the items."""
        yield from items


def progress_for_stderr() -> Progress:
    """Bars when a person watches, lines otherwise."""
    return TerminalProgress() if sys.stderr is not None and sys.stderr.isatty() else PlainProgress()
