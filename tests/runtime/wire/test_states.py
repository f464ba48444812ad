from __future__ import annotations

from dataclasses import fields, replace
from itertools import product
from pathlib import Path

import pytest

from edge_runtime.records import ErrorCode
from edge_runtime.wire.states import Conditions, State, StateReport, report_from

SERVING = Conditions(started=True, self_test_passed=True)


@pytest.mark.parametrize(
    ("conditions", "state", "error"),
    [
        (Conditions(), State.STARTING, ErrorCode.NONE),
        (SERVING, State.READY, ErrorCode.NONE),
        (replace(SERVING, judging=True), State.BUSY, ErrorCode.NONE),
        (replace(SERVING, last_error=ErrorCode.FRAME_BLACK), State.DEGRADED, ErrorCode.FRAME_BLACK),
        (replace(SERVING, paused=True), State.NOTREADY, ErrorCode.NONE),
        (replace(SERVING, exhausted=True), State.NOTREADY, ErrorCode.FRAME_MISSING),
        (replace(SERVING, stopping=True, judging=True), State.NOTREADY, ErrorCode.NONE),
        (Conditions(started=True), State.NOTREADY, ErrorCode.SELF_TEST_FAILED),
        (Conditions(started=True, no_engine=True), State.NOTREADY, ErrorCode.ENGINE_FAILED),
        (replace(SERVING, testing=True), State.NOTREADY, ErrorCode.NONE),
        (replace(SERVING, camera_lost=True), State.NOTREADY, ErrorCode.FRAME_MISSING),
        (replace(SERVING, camera_stuck=True, judging=True), State.FAULT, ErrorCode.FRAME_MISSING),
        (replace(SERVING, engine_stuck=True, judging=True), State.FAULT, ErrorCode.ENGINE_HUNG),
        (replace(SERVING, storage_failed=True), State.FAULT, ErrorCode.STORAGE_FAILED),
        (replace(SERVING, undelivered="refused", judging=True), State.NOTREADY, ErrorCode.NOT_DELIVERED),
        (replace(SERVING, held_back="too long"), State.DEGRADED, ErrorCode.NOT_DELIVERED),
        (replace(SERVING, held_back="too long", judging=True), State.BUSY, ErrorCode.NONE),
        (replace(SERVING, stopped=True), State.OFFLINE, ErrorCode.NONE),
    ],
)
def test_each_condition_gives_its_state(conditions, state, error):
    report = report_from(conditions)
    assert (report.state, report.error) == (state, error)


NO_FLAGS = ("last_error", "missing", "moved", "edits", "bundle", "storage_short", "undelivered", "held_back")
FLAGS = [field.name for field in fields(Conditions) if field.name not in NO_FLAGS]


def all_conditions():
    errors = (ErrorCode.NONE, ErrorCode.FRAME_BLACK)
    shortages = (ErrorCode.NONE, ErrorCode.SPOOL_OVERFULL)
    for *flags, error, short, why in product(*[(False, True)] * len(FLAGS), errors, shortages, ("", "refused")):
        yield Conditions(*flags, last_error=error, storage_short=short, undelivered=why)


def test_triggers_are_taken_only_after_a_passed_self_test_with_nothing_in_the_way():
    for c in all_conditions():
        nothing_in_the_way = not (
            c.stopped or c.stopping or c.storage_failed or c.engine_stuck or c.camera_stuck or c.testing or c.paused
            or c.no_engine or c.storage_short or c.undelivered
            or ((c.exhausted or c.camera_lost) and not c.judging)
        )  # fmt: skip
        expected = c.started and c.self_test_passed and nothing_in_the_way
        assert report_from(c).accepts_triggers == expected, c


def changes_of(c):
    """What may happen next: each condition changes alone, in the directions that it has."""
    one_way = {"started", "stopped", "stopping", "storage_failed"}
    for name in FLAGS:
        if not (name in one_way and getattr(c, name)):
            yield replace(c, **{name: not getattr(c, name)})
    yield replace(c, last_error=ErrorCode.NONE if c.last_error else ErrorCode.FRAME_BLACK)
    yield replace(c, undelivered="" if c.undelivered else "refused")
    yield replace(c, storage_short=ErrorCode.NONE if c.storage_short else ErrorCode.SPOOL_OVERFULL)


def is_possible(c):
    """Before the first self-test has ended, nothing is judged, paused or tested, and no camera is waited for."""
    since_started = (
        c.engine_stuck, c.camera_stuck, c.testing, c.camera_lost, c.exhausted, c.paused, c.judging, c.last_error,
    )  # fmt: skip
    return c.started or not any(since_started)


def test_the_transitions_are_those_that_the_page_shows():
    page = (Path(__file__).parents[3] / "docs/reference/mqtt.md").read_text(encoding="utf-8")
    lines = [line for line in page.split("### Which state may follow")[1].splitlines() if line.startswith("| `")]
    shown = {
        State(now.strip(" `")): {State(word.strip(" `")) for word in following.split(",") if word.strip(" `")}
        for now, following in (line.strip("|").split("|") for line in lines)
    }
    found = {state: set() for state in State}
    for c in filter(is_possible, all_conditions()):
        now = report_from(c).state
        found[now] |= {report_from(after).state for after in changes_of(c) if is_possible(after)} - {now}
    assert found == shown


def test_ready_means_that_nothing_at_all_is_wrong():
    ready = [c for c in all_conditions() if report_from(c).state is State.READY]
    assert ready == [SERVING]


def test_every_state_fits_its_record():
    for c in all_conditions():
        payload = report_from(c).payload()
        assert len(payload) <= 80
        state, error, _ = payload.decode("ascii").split(";")
        assert State(state)
        assert len(error) == 3


def test_a_long_or_foreign_text_is_cut_and_made_ascii():
    payload = StateReport(State.FAULT, ErrorCode.STORAGE_FAILED, "für;" + "x" * 200).payload()
    assert payload.startswith(b"FAULT;303;f_r_xxx")
    assert len(payload) == 80


def test_parts_that_lie_elsewhere_are_a_warning_in_a_ready_state():
    report = report_from(Conditions(started=True, self_test_passed=True, moved="parts lie 6 px off"))
    assert report.payload() == b"READY;000;parts lie 6 px off"


@pytest.mark.parametrize(
    ("conditions", "payload"),
    [
        ({}, b"READY;000;screw-2"),
        ({"judging": True}, b"BUSY;000;screw-2: judging"),
        ({"last_error": ErrorCode.FRAME_BLACK}, b"DEGRADED;104;screw-2: the last verdict was ERROR"),
        ({"moved": "parts lie 6 px off"}, b"READY;000;screw-2: parts lie 6 px off"),
    ],
)
def test_every_state_that_takes_triggers_names_the_bundle_that_judges(conditions, payload):
    report = report_from(replace(SERVING, bundle="screw-2", **conditions))
    assert report.accepts_triggers
    assert report.payload() == payload
