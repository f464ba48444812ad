from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from edge_runtime.threads import LockOrder, OrderedLock, OwnerThread


def test_the_first_thread_that_calls_an_object_owns_it():
    owner = OwnerThread("the inspector")
    owner.check()
    owner.check()


def test_another_thread_is_a_bug_and_both_are_named():
    owner, caught = OwnerThread("the spool's bookkeeping"), []

    def call():
        try:
            owner.check()
        except RuntimeError as error:
            caught.append(str(error))

    first = threading.Thread(target=call, name="publisher")
    first.start()
    first.join()
    assert caught == []
    with pytest.raises(
        RuntimeError, match=r"the spool's bookkeeping belongs to the thread 'publisher', and 'MainThread'"
    ):
        owner.check()


def test_locks_are_taken_in_their_order():
    status, spool = OrderedLock(LockOrder.STATUS), OrderedLock(LockOrder.SPOOL)
    for _ in range(2):
        with status, spool:
            pass
    with spool:
        pass


@pytest.mark.parametrize(
    ("first", "then", "named"),
    [
        (LockOrder.SPOOL, LockOrder.STATUS, "the lock STATUS is taken by a thread that holds SPOOL: this is a bug"),
        (LockOrder.SPOOL, LockOrder.SPOOL, "the lock SPOOL is taken by a thread that holds SPOOL: this is a bug"),
    ],
    ids=["upwards", "twice"],
)
def test_a_lock_out_of_order_is_a_bug_though_nobody_waits(first, then, named):
    held, wanted = OrderedLock(first), OrderedLock(then)
    with held:
        with pytest.raises(RuntimeError, match=named):
            wanted.acquire()
        assert wanted.acquire(blocking=False)  # that waits for nothing
        wanted.release()
    with wanted, OrderedLock(LockOrder.COUNTERS):  # nothing is left over
        pass


def test_a_condition_waits_on_an_ordered_lock_and_other_threads_take_it_meanwhile():
    changed, seen = threading.Condition(OrderedLock(LockOrder.ISSUER)), []

    def change():
        with changed:
            seen.append(1)
            changed.notify()

    thread = threading.Thread(target=change)
    with changed:
        thread.start()
        assert changed.wait_for(lambda: seen, timeout=15)
        with OrderedLock(LockOrder.SPOOL):
            pass
    thread.join()


def test_a_lock_keeps_others_out():
    lock, total = OrderedLock(LockOrder.COUNTERS), 0

    def add():
        nonlocal total
        for _ in range(2000):
            with lock:
                before = total
                total = before + 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total == 8000


def test_the_page_of_threads_has_the_locks_in_their_order():
    page = (Path(__file__).parents[2] / "docs/explanation/threads.md").read_text(encoding="utf-8")
    assert re.findall(r"^(\d)\. `([A-Z_]+)`", page, re.M) == [(str(lock.value), lock.name) for lock in LockOrder]
