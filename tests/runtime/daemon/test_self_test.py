from __future__ import annotations

from tests.support.station_stage import frame

from edge_runtime.errors import EngineError
from edge_runtime.records import ErrorCode, Outcome
from edge_runtime.wire.commands import Command, Trigger
from edge_runtime.wire.states import State

TRIGGER = Trigger(7, 12, "PART-7")


def test_a_self_test_on_command_takes_the_station_out_of_service_when_it_fails(stage):
    s = stage("triggered", frame())
    s.commands.execute(Command.SELFTEST)
    assert s.publisher.replies == [b"SELFTEST;DONE;largest deviation 0.000 of the tolerance"]
    s.engine.failure = EngineError("nan everywhere")
    s.commands.execute(Command.SELFTEST)
    assert s.publisher.replies[-1] == b"SELFTEST;FAILED;the self-test failed, see the log"
    assert s.publisher.states[-1] is State.NOTREADY
    assert s.trigger_gate.offer(TRIGGER).reply.value == "NOTREADY"
    s.engine.failure = None
    s.commands.execute(Command.SELFTEST)
    assert s.publisher.states[-1] is State.READY


def test_the_self_test_on_schedule_takes_one_picture_between_two_parts(stage):
    s = stage("free-running", *[frame(seed=n) for n in range(6)], self_test_hours=1e-9)
    s.step()  # due from now on
    measured = []
    infer = s.engine.infer
    s.engine.infer = lambda image: measured.append(1) or infer(image)
    counts = []
    for _ in range(5):
        before = len(measured)
        assert s.step().decision.outcome is Outcome.OK
        counts.append(len(measured) - before)
    assert counts == [2, 2, 1, 2, 2]  # the part, and a golden picture; of these there are two, and then it is due again
    assert s.publisher.states == [State.READY]


def test_a_self_test_on_schedule_that_fails_takes_the_station_out_of_service_until_one_passes(stage):
    s = stage("triggered", frame(), self_test_hours=1e-9)
    s.engine.failure = EngineError("nan everywhere")
    s.trigger()
    assert s.step().decision.error is ErrorCode.ENGINE_FAILED
    s.self_test.step()
    s.self_test.step()
    assert s.status.report.payload() == b"NOTREADY;203;the self-test failed"
    assert s.trigger_gate.offer(Trigger(8, 12, "")).reply.value == "NOTREADY"
    s.engine.failure = None
    s.commands.execute(Command.SELFTEST)
    assert s.publisher.states[-1] is State.DEGRADED
