from __future__ import annotations

from edge_runtime.mqtt.in_flight import InFlight, Message


def send(in_flight, mids, seq=0, now_s=0.0, is_live=False):
    """Records of a verdict, or other messages, are handed over."""
    if seq:
        in_flight.begin(seq, len(mids), is_live)
    for mid in mids:
        in_flight.add(mid, now_s, Message("t", b"x", seq))


def delivered(in_flight, *mids):
    return [in_flight.confirm(mid)[1] for mid in mids]


def test_a_verdict_is_delivered_when_all_its_records_are_confirmed():
    in_flight = InFlight(last_seq=0)
    send(in_flight, (1, 2, 3), seq=41)
    send(in_flight, (4,))
    assert delivered(in_flight, 2, 4, 1) == [False, False, False]
    assert in_flight.is_out(41)
    assert in_flight.confirm(3) == (Message("t", b"x", 41), True)
    assert in_flight.is_empty
    assert in_flight.unconfirmed == 0


def test_a_confirmation_of_something_unknown_changes_nothing():
    assert InFlight(0).confirm(99) == (None, False)


def test_what_earlier_runs_left_and_what_is_postponed_is_backlog():
    in_flight = InFlight(last_seq=10)
    assert in_flight.has_backlog
    assert in_flight.backlog == (1, 10)
    in_flight.backlog_done_to(10)
    assert in_flight.is_empty
    in_flight.postpone(15)
    assert in_flight.backlog == (11, 15)
    assert not in_flight.is_empty


def test_what_was_in_flight_when_the_connection_was_lost_is_backlog_again():
    in_flight = InFlight(last_seq=0)
    send(in_flight, (1, 2, 3), seq=7, is_live=True)
    in_flight.confirm(1)
    in_flight.connection_lost()
    assert in_flight.backlog == (1, 7)
    assert (in_flight.unconfirmed, in_flight.live, in_flight.is_out(7)) == (0, 0, False)
    assert delivered(in_flight, 2) == [False]  # a confirmation that was under way counts no more


def test_the_oldest_message_shows_how_long_the_broker_has_been_silent():
    in_flight = InFlight(0)
    assert in_flight.waited_s(9.0) == 0
    send(in_flight, (1,), now_s=1.0)
    send(in_flight, (2,), now_s=3.0)
    assert in_flight.waited_s(4.0) == 3.0
    in_flight.confirm(1)
    assert in_flight.waited_s(4.0) == 1.0


def test_a_refused_message_is_no_longer_waited_for_and_its_verdict_not_delivered():
    in_flight = InFlight(0)
    send(in_flight, (1, 2), seq=7, is_live=True)
    assert in_flight.refuse(1) == Message("t", b"x", 7)
    assert delivered(in_flight, 2) == [False]
    assert (in_flight.unconfirmed, in_flight.live, in_flight.is_empty) == (0, 0, True)
    in_flight.connection_lost()
    assert in_flight.backlog == (1, 7)


def test_a_verdict_of_which_a_record_is_held_back_is_not_delivered():
    in_flight = InFlight(0)
    in_flight.begin(7, 3)
    in_flight.hold(7)
    for mid in (1, 2):
        in_flight.add(mid, 0.0, Message("t", b"x", 7))
    assert delivered(in_flight, 1, 2) == [False, False]
    assert not in_flight.is_out(7)


def test_a_line_of_a_replay_delivers_nothing():
    in_flight = InFlight(0)
    in_flight.add(1, 0.0, Message("t", b"x", 7, replayed=True))
    assert delivered(in_flight, 1) == [False]
