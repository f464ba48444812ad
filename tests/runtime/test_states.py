from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from edge_runtime.records import ErrorCode
from edge_runtime.states import Conditions, State, StateReport, report_from

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
        (replace(SERVING, storage_failed=True), State.FAULT, ErrorCode.STORAGE_FAILED),
        (replace(SERVING, stopped=True), State.OFFLINE, ErrorCode.NONE),
    ],
)
def test_each_condition_gives_its_state(conditions, state, error):
    report = report_from(conditions)
    assert (report.state, report.error) == (state, error)


def all_conditions():
    errors = (ErrorCode.NONE, ErrorCode.FRAME_BLACK)
    for *flags, error in product(*[(False, True)] * 8, errors):
        yield Conditions(*flags, last_error=error)


def test_triggers_are_taken_only_after_a_passed_self_test_with_nothing_in_the_way():
    for c in all_conditions():
        nothing_in_the_way = not (
            c.stopped or c.stopping or c.storage_failed or c.paused or (c.exhausted and not c.judging)
        )
        expected = c.started and c.self_test_passed and nothing_in_the_way
        assert report_from(c).accepts_triggers == expected, c


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
