"""The station's state, as `/state` shows it. One pure function decides it from the conditions that hold.

There are no transitions to forget: whatever happens changes a condition, and the same conditions always give the same
state. The first rule of `report_from` that applies wins; docs/reference/mqtt.md has them as a table, and which state
may follow which as another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edge_runtime.readable import redacted
from edge_runtime.records import ErrorCode

STATE_LENGTH = 80
STATE_TEXT_LENGTH = STATE_LENGTH - len("NOTREADY;000;")


class State(Enum):
    """The first field of `/state`."""

    OFFLINE = "OFFLINE"
    STARTING = "STARTING"
    NOTREADY = "NOTREADY"
    READY = "READY"
    BUSY = "BUSY"
    DEGRADED = "DEGRADED"
    FAULT = "FAULT"


@dataclass(frozen=True)
class Conditions:
    """What is true of the station now."""

    started: bool = False  # the first self-test has ended
    stopped: bool = False
    stopping: bool = False  # what was accepted is still answered
    storage_failed: bool = False
    engine_stuck: bool = False  # a request expired while the engine had it, and the engine has not come back
    camera_stuck: bool = False  # likewise the camera
    no_engine: bool = False  # something of the GPU's stack is missing
    self_test_passed: bool = False
    testing: bool = False  # a self-test on command
    camera_lost: bool = False  # nothing can come from the camera; it is tried again
    exhausted: bool = False  # the source has no more pictures
    paused: bool = False
    judging: bool = False  # a request is in hand
    last_error: ErrorCode = ErrorCode.NONE  # of the last verdict
    storage_short: ErrorCode = ErrorCode.NONE  # 303: the disk is full; 304: verdicts had to leave that nobody may have
    undelivered: str = ""  # why the broker lets no verdict through, for people
    held_back: str = ""  # which records the broker does not take, for people
    missing: str = ""  # what no_engine means here, for people
    edits: str = ""  # what was changed in the station's file and needs a restart, for people
    moved: str = ""  # how the parts lie elsewhere than the good ones did, for people
    bundle: str = ""  # the label of the one that judges: its product and version


@dataclass(frozen=True)
class StateReport:
    """A state with its reason."""

    state: State
    error: ErrorCode = ErrorCode.NONE
    text: str = ""

    @property
    def accepts_triggers(self) -> bool:
        """Whether a trigger would be taken now, were there room for it."""
        return self.state in (State.READY, State.DEGRADED, State.BUSY)

    def payload(self) -> bytes:
        """`state;error_code;text`, at most 80 ASCII bytes."""
        text = "".join(c if " " <= c <= "~" and c != ";" else "_" for c in redacted(self.text))
        return f"{self.state.value};{self.error:03d};{text}".encode("ascii")[:STATE_LENGTH]


def report_from(conditions: Conditions) -> StateReport:
    """The state that these conditions give."""
    c = conditions
    if c.stopped:
        return StateReport(State.OFFLINE, ErrorCode.NONE, "stopped")
    if c.storage_failed:
        return StateReport(State.FAULT, ErrorCode.STORAGE_FAILED, "the spool cannot be written")
    if c.storage_short is ErrorCode.STORAGE_FAILED:
        return StateReport(State.FAULT, c.storage_short, "the disk is full")
    if c.storage_short is not ErrorCode.NONE:
        return StateReport(State.FAULT, c.storage_short, "the spool is full: nobody acknowledges")
    if c.engine_stuck:
        return StateReport(State.FAULT, ErrorCode.ENGINE_HUNG, "the engine does not answer")
    if c.camera_stuck:
        return StateReport(State.FAULT, ErrorCode.FRAME_MISSING, "the camera's driver does not answer")
    if not c.started:
        return StateReport(State.STARTING, ErrorCode.NONE, "loading and self-test")
    if c.no_engine:
        return StateReport(State.NOTREADY, ErrorCode.ENGINE_FAILED, c.missing)
    if not c.self_test_passed:
        return StateReport(State.NOTREADY, ErrorCode.SELF_TEST_FAILED, "the self-test failed")
    if c.stopping:
        return StateReport(State.NOTREADY, ErrorCode.NONE, "stopping")
    if c.testing:
        return StateReport(State.NOTREADY, ErrorCode.NONE, "self-test")
    if c.paused:
        return StateReport(State.NOTREADY, ErrorCode.NONE, "paused")
    if c.undelivered:
        return StateReport(State.NOTREADY, ErrorCode.NOT_DELIVERED, c.undelivered)
    if c.judging:
        return StateReport(State.BUSY, ErrorCode.NONE, _naming(c.bundle, "judging"))
    if c.exhausted:
        return StateReport(State.NOTREADY, ErrorCode.FRAME_MISSING, "the source has no more pictures")
    if c.camera_lost:
        return StateReport(State.NOTREADY, ErrorCode.FRAME_MISSING, "the camera delivers nothing")
    if c.last_error is not ErrorCode.NONE:
        return StateReport(State.DEGRADED, c.last_error, _naming(c.bundle, "the last verdict was ERROR"))
    if c.held_back:
        return StateReport(State.DEGRADED, ErrorCode.NOT_DELIVERED, _naming(c.bundle, c.held_back))
    return StateReport(State.READY, ErrorCode.NONE, _naming(c.bundle, c.moved or c.edits))


def _naming(bundle: str, text: str) -> str:
    return ": ".join(part for part in (bundle, text) if part)
