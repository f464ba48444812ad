"""Where long steps say what they are doing. What shows it, on a terminal or in a log, is edge_build's progress.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Passed in by whoever wants to know; a library itself prints nothing."""

    def say(self, text: str) -> None:
        """One line: a step's result or a decision that was taken."""

    def track(self, what: str, items: Sequence[T]) -> Iterator[T]:
        """Go through the items, showing how far it is."""
