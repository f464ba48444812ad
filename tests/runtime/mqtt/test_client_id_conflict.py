from __future__ import annotations

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge_runtime.mqtt.client_id_conflict import ClientIdConflict

HINT = "; another client with the id edge-press-1 may be connected"


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def watch():
    return ClientIdConflict("edge-press-1", Clock())


def lasted(watch, seconds):
    watch.came_up()
    watch._clock.now_s += seconds
    return watch.ended("lost")


def test_the_fifth_connection_in_a_row_that_is_lost_soon_reports_another_client(watch):
    assert [HINT in lasted(watch, 1.0) for _ in range(6)] == [False, False, False, False, True, True]


def test_a_connection_that_lasts_or_is_refused_reports_none(watch):
    logged = [lasted(watch, seconds) for seconds in (1.0, 1.0, 1.0, 60.0, 1.0, 1.0, 1.0)]
    logged += [watch.ended("nobody listens there")]  # the broker is down, not another client up
    logged += [lasted(watch, 1.0), lasted(watch, 1.0)]
    assert not any(HINT in reason for reason in logged)


def test_mqtt_5_says_it_at_once(watch):
    watch.came_up()
    reason = str(ReasonCode(PacketTypes.DISCONNECT, "Session taken over"))
    assert watch.ended(f"the connection was lost: {reason}").startswith(f"the connection was lost: {reason}{HINT}")


def test_a_message_beyond_the_brokers_limit_is_no_other_client_however_often_it_ends_the_connection(watch):
    for _ in range(6):
        watch.came_up()
        assert watch.ended("the connection was lost: Packet too large") == "the connection was lost: Packet too large"
