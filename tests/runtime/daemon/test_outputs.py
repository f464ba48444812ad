from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.config.station import OutputSettings
from edge_runtime.daemon.outputs import Outputs, open_line
from edge_runtime.errors import ConfigError
from edge_runtime.records import Decision, ErrorCode, Flag, Outcome
from edge_runtime.wire.states import State, StateReport

WAIT_S = 5
LONG = OutputSettings(chip=Path("/dev/gpiochip0"), line=7, pulse_ms=60_000)


class ScriptedLine:
    """Remembers how it was switched, and when."""

    def __init__(self):
        self.switched, self.closed, self.broken = [], False, False

    def set(self, energised):
        if self.broken:
            raise OSError("the chip is gone")
        self.switched.append((energised, time.monotonic()))

    @property
    def is_on(self):
        return bool(self.switched) and self.switched[-1][0]

    def close(self):
        assert not self.is_on or self.broken
        self.closed = True


def ok(flags=0):
    return replace(sample_verdict(), decision=Decision(Outcome.OK), flags=flags)


@pytest.fixture
def line():
    return ScriptedLine()


@pytest.fixture
def failures():
    return []


@pytest.fixture
def outputs(line, failures):
    with Outputs((LONG,), failures.append, lambda settings: line) as outputs:
        yield outputs


def test_a_fresh_ok_is_a_pulse_of_its_length(line, failures):
    with Outputs((LONG.model_copy(update={"pulse_ms": 50}),), failures.append, lambda settings: line) as outputs:
        assert not line.is_on
        outputs.verdict(ok())
        assert line.is_on
        deadline = time.monotonic() + WAIT_S
        while line.is_on:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert line.switched[-1][1] - line.switched[0][1] >= 0.05


def test_another_ok_makes_the_pulse_longer(line, failures):
    with Outputs((LONG.model_copy(update={"pulse_ms": 200}),), failures.append, lambda settings: line) as outputs:
        outputs.verdict(ok())
        time.sleep(0.1)
        outputs.verdict(ok())
        time.sleep(0.15)
        assert line.is_on


@pytest.mark.parametrize("flag", [Flag.LATE, Flag.REPLAY, Flag.SIMULATED, Flag.SHADOW, Flag.GOLDEN, Flag.DEGRADED])
def test_an_ok_that_is_not_fresh_is_no_pulse(outputs, line, flag):
    outputs.verdict(ok(flag))
    assert not line.is_on


def test_a_clock_that_is_not_synchronised_is_no_doubt_about_the_part(outputs, line):
    outputs.verdict(ok(Flag.UNSYNCED))
    assert line.is_on


@pytest.mark.parametrize("decision", [Decision(Outcome.NOK), Decision(Outcome.ERROR, ErrorCode.FRAME_BLACK)])
def test_any_other_verdict_ends_a_pulse(outputs, line, decision):
    outputs.verdict(ok())
    outputs.verdict(replace(ok(), decision=decision))
    assert not line.is_on


@pytest.mark.parametrize("state", list(State))
def test_any_state_in_which_the_station_does_not_judge_ends_a_pulse(outputs, line, state):
    outputs.verdict(ok())
    outputs.state(StateReport(state))
    assert line.is_on is (state in (State.READY, State.BUSY, State.DEGRADED))


def test_it_is_off_and_given_back_at_the_end(line, failures):
    with Outputs((LONG,), failures.append, lambda settings: line) as outputs:
        outputs.verdict(ok())
    assert (line.is_on, line.closed) == (False, True)


def test_a_line_that_cannot_be_switched_ends_the_station(outputs, line, failures):
    line.broken = True
    outputs.verdict(ok())
    assert str(failures[0]) == ("outputs: a line cannot be switched any more: the chip is gone; check chip and wiring")


def test_a_chip_that_is_not_there_is_reported():
    pytest.importorskip("gpiod")
    with pytest.raises(ConfigError, match=r"line 7 of /dev/gpiochip99: there is no such chip; `gpiodetect` lists them"):
        open_line(OutputSettings(chip=Path("/dev/gpiochip99"), line=7))


def test_without_outputs_nothing_is_opened(failures):
    with Outputs((), failures.append, lambda settings: pytest.fail("opened")) as outputs:
        outputs.verdict(ok())
        outputs.state(StateReport(State.FAULT))


def test_the_station_pulses_for_an_ok_that_is_on_the_disk(stage, line, failures):
    from tests.support.station_stage import frame

    s = stage("free-running", frame(), frame(spot=True, seed=2))
    with Outputs((LONG,), failures.append, lambda settings: line) as outputs:
        s.issuer.on_committed = outputs.verdict
        s.step()
        assert line.is_on
        s.step()
        assert not line.is_on
