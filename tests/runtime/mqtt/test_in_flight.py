from __future__ import annotations

from edge_runtime.mqtt.in_flight import InFlight


def test_a_verdict_is_delivered_when_all_its_records_are_confirmed():
    outbox = InFlight(last_seq=0)
    for mid in (1, 2, 3):
        outbox.add(mid, now_s=0.0, seq=41)
    outbox.add(4, now_s=0.0)
    assert [outbox.confirm(mid) for mid in (2, 4, 1)] == [0, 0, 0]
    assert outbox.is_out(41)
    assert outbox.confirm(3) == 41
    assert outbox.is_empty
    assert outbox.in_flight == 0


def test_a_confirmation_of_something_unknown_changes_nothing():
    assert InFlight(0).confirm(99) == 0


def test_what_earlier_runs_left_and_what_is_postponed_is_backlog():
    outbox = InFlight(last_seq=10)
    assert outbox.has_backlog
    assert outbox.backlog == (1, 10)
    outbox.backlog_done_to(10)
    assert outbox.is_empty
    outbox.postpone(15)
    assert outbox.backlog == (11, 15)
    assert not outbox.is_empty


def test_what_was_in_flight_when_the_connection_was_lost_is_backlog_again():
    outbox = InFlight(last_seq=0)
    outbox.add_live(7)
    for mid in (1, 2, 3):
        outbox.add(mid, now_s=0.0, seq=7)
    outbox.confirm(1)
    outbox.lose()
    assert outbox.backlog == (1, 7)
    assert (outbox.in_flight, outbox.live, outbox.is_out(7)) == (0, 0, False)
    assert outbox.confirm(2) == 0  # a confirmation that was under way counts no more


def test_the_oldest_message_tells_how_long_the_broker_has_been_silent():
    outbox = InFlight(0)
    assert outbox.waited_s(9.0) == 0
    outbox.add(1, now_s=1.0)
    outbox.add(2, now_s=3.0)
    assert outbox.waited_s(4.0) == 3.0
    outbox.confirm(1)
    assert outbox.waited_s(4.0) == 1.0


def test_a_refused_message_is_no_longer_waited_for_and_its_verdict_not_delivered():
    outbox = InFlight(0)
    outbox.add_live(7)
    for mid in (1, 2):
        outbox.add(mid, now_s=0.0, seq=7)
    outbox.refuse(1)
    assert outbox.confirm(2) == 0
    assert (outbox.in_flight, outbox.live) == (0, 0)
    assert not outbox.is_empty
    outbox.lose()
    assert outbox.backlog == (1, 7)
