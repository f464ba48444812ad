"""Whether a station's own verdicts come back."""

from __future__ import annotations

import pytest

from edge_runtime.mqtt.own_echo import WITHIN_S, OwnEcho


@pytest.fixture
def echo():
    made = OwnEcho()
    made.connected(subscribed=True)
    return made


def test_a_verdict_is_delivered_when_its_line_has_come_back(echo):
    assert not echo.confirmed(7, now_s=0.0)
    assert echo.is_awaiting
    assert echo.came_back(7, is_out=False)
    assert not echo.is_awaiting


def test_a_line_that_comes_back_before_the_confirmation_counts_also_when_nothing_is_awaited_any_more_in_between(echo):
    assert not echo.came_back(7, is_out=True)
    echo.forget()
    assert echo.confirmed(7, now_s=0.0)


def test_a_line_of_an_earlier_connection_counts_for_nothing(echo):
    echo.came_back(7, is_out=True)
    echo.lost()
    echo.connected(subscribed=True)
    assert not echo.confirmed(7, now_s=0.0)


def test_a_line_that_does_not_come_back_is_overdue(echo):
    echo.confirmed(7, now_s=0.0)
    assert echo.overdue(WITHIN_S) is None
    assert echo.overdue(WITHIN_S + 0.1) == 7
