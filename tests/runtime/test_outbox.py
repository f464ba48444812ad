from __future__ import annotations

from edge_runtime.outbox import Outbox


def test_a_verdict_is_delivered_when_all_its_records_are_confirmed():
    outbox = Outbox(last_seq=0)
    for mid in (1, 2, 3):
        outbox.add(mid, seq=41)
    outbox.add(4)
    assert [outbox.confirm(mid) for mid in (2, 4, 1)] == [0, 0, 0]
    assert outbox.is_out(41)
    assert outbox.confirm(3) == 41
    assert outbox.is_empty
    assert outbox.in_flight == 0


def test_a_confirmation_of_something_unknown_changes_nothing():
    assert Outbox(0).confirm(99) == 0


def test_what_earlier_runs_left_and_what_is_postponed_is_backlog():
    outbox = Outbox(last_seq=10)
    assert outbox.has_backlog
    assert outbox.backlog == (1, 10)
    outbox.backlog_done_to(10)
    assert outbox.is_empty
    outbox.postpone(15)
    assert outbox.backlog == (11, 15)
    assert not outbox.is_empty
