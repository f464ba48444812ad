from __future__ import annotations

from edge_runtime.monitoring.seldom import LogThrottle


def test_each_thing_is_told_when_it_begins_and_again_every_minute():
    now_s = 5.0
    seldom = LogThrottle(lambda: now_s)
    assert [seldom.is_due(what) for what in ("dark", "dark", "small", "dark")] == [True, False, True, False]
    now_s = 64.9
    assert not seldom.is_due("dark")
    now_s = 65.0
    assert [seldom.is_due("dark"), seldom.is_due("dark"), seldom.is_due("small")] == [True, False, True]
