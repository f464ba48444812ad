from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.daemon.trigger_gate import Answer, TriggerGate
from edge_runtime.records import Flag
from edge_runtime.storage.spool import Answered
from edge_runtime.wire.commands import Reply, Trigger

FIRST = Trigger(7, 12, "PART-00000000007")  # what sample_verdict answers
SECOND = Trigger(8, 12, "PART-8")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def trigger_gate(clock):
    trigger_gate = TriggerGate(recipe=12, window_s=10, clock=clock)
    trigger_gate.open(True)
    return trigger_gate


def test_a_trigger_is_accepted_and_the_next_is_busy_until_it_is_settled(trigger_gate):
    assert trigger_gate.offer(FIRST) == Answer(Reply.ACCEPTED)
    assert trigger_gate.offer(SECOND).reply is Reply.BUSY
    trigger_gate.complete(sample_verdict())
    assert trigger_gate.offer(SECOND) == Answer(Reply.ACCEPTED)


def test_as_many_triggers_wait_as_the_queue_is_deep_and_the_next_is_busy(clock):
    trigger_gate = TriggerGate(recipe=12, window_s=10, clock=clock, depth=2)
    trigger_gate.open(True)
    assert [trigger_gate.offer(t).reply for t in (FIRST, SECOND, Trigger(9, 12, ""))] == [
        Reply.ACCEPTED,
        Reply.ACCEPTED,
        Reply.BUSY,
    ]
    trigger_gate.complete(sample_verdict())
    assert trigger_gate.has_one_in_hand
    assert trigger_gate.offer(Trigger(9, 12, "")) == Answer(Reply.ACCEPTED)


def test_a_closed_desk_is_not_ready(trigger_gate):
    trigger_gate.open(False)
    assert trigger_gate.offer(FIRST) == Answer(Reply.NOTREADY)


def test_another_recipe_is_a_bad_request_for_it_would_be_judged_by_the_wrong_model(trigger_gate):
    why = "recipe 13 is not this station's"
    assert trigger_gate.offer(Trigger(7, 13, "p")) == Answer(Reply.BADREQUEST, why=why)


def test_a_duplicate_gets_the_same_verdict_and_none_while_it_is_in_hand(trigger_gate):
    trigger_gate.offer(FIRST)
    assert trigger_gate.offer(FIRST) == Answer(Reply.DUPLICATE, None)
    trigger_gate.complete(sample_verdict())
    assert trigger_gate.offer(FIRST) == Answer(Reply.DUPLICATE, sample_verdict())
    trigger_gate.open(False)
    assert trigger_gate.offer(FIRST) == Answer(Reply.DUPLICATE, sample_verdict())


def test_the_same_id_for_another_part_is_a_bad_request_and_never_the_other_parts_verdict(trigger_gate):
    trigger_gate.offer(FIRST)
    trigger_gate.complete(sample_verdict())
    why = "its id was used for another part or recipe just now"
    assert trigger_gate.offer(Trigger(7, 12, "ANOTHER")) == Answer(Reply.BADREQUEST, why=why)


def test_after_the_window_the_id_is_new_again(trigger_gate, clock):
    trigger_gate.offer(FIRST)
    trigger_gate.complete(sample_verdict())
    clock.now += 10.1
    assert trigger_gate.offer(FIRST) == Answer(Reply.ACCEPTED)


def test_a_trigger_in_hand_is_remembered_however_long_it_takes(trigger_gate, clock):
    trigger_gate.offer(FIRST)
    clock.now += 1000
    assert trigger_gate.offer(FIRST) == Answer(Reply.DUPLICATE, None)
    trigger_gate.complete(sample_verdict())


def test_verdicts_of_before_a_restart_are_remembered_for_the_rest_of_their_window_and_flagged(clock):
    trigger_gate = TriggerGate(12, 10, clock, remembered=[Answered(sample_verdict(), age_ms=4_000)])
    flagged = replace(sample_verdict(), flags=sample_verdict().flags | Flag.REPLAY)
    assert trigger_gate.offer(FIRST) == Answer(Reply.DUPLICATE, flagged)
    clock.now += 6.1  # its window began when it was given
    assert trigger_gate.offer(FIRST) != Answer(Reply.DUPLICATE, flagged)


def test_settling_what_is_not_in_hand_is_a_mistake_of_ours(trigger_gate):
    with pytest.raises(ValueError, match="trigger 7 is completed, but none is in hand"):
        trigger_gate.complete(sample_verdict())
