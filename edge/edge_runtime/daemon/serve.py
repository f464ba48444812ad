"""The daemon's main path: a frame is captured, judged, committed and published, in this order, one at a time.

serve(read_station(Path("station.yaml")), EventQueue())
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from edge_runtime.config.edits import Edits
from edge_runtime.config.station import Station
from edge_runtime.daemon.assembly import open_station
from edge_runtime.daemon.events import EventQueue, Stop
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.errors import BrokerError
from edge_runtime.monitoring.counters import CounterValues
from edge_runtime.monitoring.systemd import Watchdog
from edge_runtime.mqtt.publisher import Publisher
from edge_runtime.storage.spool import Spool

log = logging.getLogger(__name__)

DELIVERY_S = 30.0  # without any progress


def serve(
    station: Station,
    events: EventQueue,
    once: bool = False,
    hardware: Hardware | None = None,
    edits: Callable[[], Edits] = Edits,
) -> CounterValues:
    """Inspect until `events.stop()`; with `once`, until the source is exhausted and the broker has every verdict.

    edits: what was changed in the station's file since it was read; a RELOAD says it.
    Raises EdgeError for what makes serving impossible. A broker that is away does not: verdicts wait in the spool; with
    `once`, BrokerError says so at the end.
    """
    with open_station(station, events, hardware or Hardware(), edits) as opened:
        opened.self_test.conclude_first(once)
        while (request := opened.dispatcher.next_request(once)) is not None:
            capture = opened.inspector.capture(request)
            if capture is None:
                continue  # the source's end; a trigger would still get its answer
            decision = opened.inspector.judge(request, capture)
            opened.inspector.answer(request, capture, decision)
        opened.watchdog.stopping()
        if once:
            wait_for_delivery(opened.publisher, events, opened.watchdog, opened.spool, station.mqtt.address)
        return opened.counters.sample(opened.spool.waiting)


def wait_for_delivery(
    publisher: Publisher,
    events: EventQueue,
    watchdog: Watchdog,
    spool: Spool,
    broker: str,
    within_s: float = DELIVERY_S,
) -> None:
    """Until the broker has every verdict, or the station is stopped.

    Raises BrokerError when none more was delivered within `within_s`.
    """
    delivered, waiting, since_s = publisher.drained(), spool.waiting, time.monotonic()
    if waiting:
        log.info("waiting until the broker %s has %d verdicts", broker, waiting)
    while not delivered.wait(0.05) and not events.stopping.is_set():
        watchdog.feed()
        if isinstance(events.take(0), Stop):
            return
        if spool.waiting != waiting:
            waiting, since_s = spool.waiting, time.monotonic()
        elif time.monotonic() - since_s > within_s:
            raise BrokerError(
                f"the broker {broker} took no verdict for {within_s:.0f} s, and {waiting} wait for it in the spool: "
                "the next run sends them; the log says what is wrong with the broker"
            )
