from __future__ import annotations

from edge_runtime.monitoring.clock import ASK_EVERY_S, Clock, kernel_says_synchronised


def test_the_kernel_is_asked_now_and_then():
    now, answers = [0.0], [False, True]
    clock = Clock(lambda: answers.pop(0), time_ns=lambda: 1_750_000_000_123_456_789, monotonic=lambda: now[0])
    assert not clock.is_synchronised()
    now[0] = ASK_EVERY_S
    assert clock.is_synchronised()
    assert clock.is_synchronised()
    assert clock.unix_ms() == 1_750_000_000_123


def test_the_kernel_answers():
    assert kernel_says_synchronised() in (True, False)
