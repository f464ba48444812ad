"""The connections to the broker, one after the other, with a pause between them that grows.

    with MqttClient(station, on_event, on_message) as client:
        client.publish("ev1/l/c/state", b"READY;000;", qos=1, retain=True)

Callbacks run in the network thread and hold paho's locks: they must not block, and must not raise.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from types import TracebackType

from edge_runtime.config.station import Station
from edge_runtime.errors import ConfigError
from edge_runtime.mqtt.client_id_conflict import ClientIdConflict
from edge_runtime.mqtt.connection import ConnectionEvent, Down
from edge_runtime.mqtt.paho_connection import PahoConnection, paho_client

log = logging.getLogger(__name__)

RECONNECT_S = (1.0, 5.0)  # the first pause, and the longest; each is shortened by up to a half at random
STOP_S = 0.5
STUCK_S = 20.0  # connected, and without a turn of the network loop: a callback or paho hangs


class MqttClient:
    """Connected while the context lasts, or trying to be.

    on_event: called with Up, Down, Confirmed and Refused. on_message: called with topic, payload and whether the broker
    had it retained. Raises ConfigError when the password file or the certificates cannot be used.
    """

    def __init__(
        self,
        station: Station,
        on_event: Callable[[ConnectionEvent], None],
        on_message: Callable[[str, bytes, bool], None],
    ) -> None:
        self._station, self._on_event, self._on_message = station, on_event, on_message
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._up: PahoConnection | None = None  # the one that may be used
        self._id_conflict = ClientIdConflict(station.client_id)
        paho_client(station.mqtt, station.client_id)  # raises now for files that cannot be used

    def __enter__(self) -> MqttClient:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if (connection := self._up) is not None:
            connection.disconnect()
        # The network thread may hang in a connect; stopping must not take longer for that. It ends with the process.
        self._thread.join(STOP_S)

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Hand a message to the network thread. See BrokerConnection."""
        connection = self._up
        return 0 if connection is None else connection.publish(topic, payload, qos, retain)

    def drop(self) -> None:
        """See BrokerConnection."""
        if (connection := self._up) is not None:
            connection.give_up("it does not answer")

    def last_heard_s(self) -> float:
        """See BrokerConnection."""
        connection = self._up
        return 0.0 if connection is None else connection.heard_s

    @property
    def lives(self) -> bool:
        """Whether the network thread is connected or trying to be. Any thread may ask."""
        connection = self._up
        turns = connection is None or time.monotonic() - connection.turned_s < STUCK_S
        return self._thread.is_alive() and turns

    def _run(self) -> None:
        number = failures = 0
        while not self._stopping.is_set():
            number += 1
            try:
                connection = PahoConnection(self._station, number, self._on_event, self._on_message, self._came_up)
                reason = connection.run(self._stopping)
            except ConfigError as error:  # the password file or a certificate went away since the start
                reason = str(error)
            except Exception as error:  # this thread must not end: the station would be deaf for good
                log.exception("the connection to the broker failed in an unexpected way")
                reason = f"the connection failed: {type(error).__name__}: {error}"
            failures = 0 if self._up is not None else failures + 1
            self._up = None  # before Down: who has heard of it sends nothing until the next Up
            self._on_event(Down(self._id_conflict.ended(reason)))
            self._stopping.wait(pause_s(failures, random.random()))

    def _came_up(self, connection: PahoConnection) -> None:
        self._up = connection
        self._id_conflict.came_up()
        self._on_event(connection.up)


def pause_s(failures: int, chance: float) -> float:
    """How long to wait before the next attempt, after so many that failed in a row. chance: 0 to 1.

    >>> [pause_s(failures, 0.0) for failures in range(5)]
    [1.0, 1.0, 2.0, 4.0, 5.0]
    """
    first, longest = RECONNECT_S
    longest_now = min(longest, first * 2.0 ** max(0, min(failures, 10) - 1))
    return longest_now * (1 - chance / 2)
