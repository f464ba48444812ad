"""What holds for all tests."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

# A shell lets its background jobs ignore Ctrl-C, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that want the machine for themselves come last: nobody waits for them."""
    items.sort(key=wants_the_machine)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Tests run side by side, in the workers of one pytest and in several: one that is marked `alone` beside none."""
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wants_the_machine(item) else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a process that a test left behind may hold the file open


def wants_the_machine(item: pytest.Item) -> bool:
    """Whether it measures time so tightly that another test beside it would make it fail."""
    return item.get_closest_marker("alone") is not None
