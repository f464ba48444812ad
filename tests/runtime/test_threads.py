from __future__ import annotations

import threading

import pytest

from edge_runtime.threads import OwnerThread


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
