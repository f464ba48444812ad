"""The daemon's main path: a picture is captured, judged, committed and published, in this order, one at a time.

serve(read_station(Path("station.yaml")), EventQueue())
"""

from __future__ import annotations

from edge_runtime.config.station import Station
from edge_runtime.daemon.assembly import open_inspector
from edge_runtime.daemon.events import EventQueue, Stop
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.monitoring.counters import CounterValues
from edge_runtime.monitoring.systemd import Watchdog
from edge_runtime.mqtt.publisher import Publisher


def serve(station: Station, inbox: EventQueue, once: bool = False, hardware: Hardware | None = None) -> CounterValues:
    """Inspect until `inbox.stop()`; with `once`, until the source is exhausted and the broker has every verdict.

    Raises EdgeError for what makes serving impossible. A broker that is away does not: verdicts wait in the spool.
    """
    with open_inspector(station, inbox, hardware or Hardware()) as inspector:
        inspector.start(once)
        while (order := inspector.next_order(once)) is not None:
            shot = inspector.capture(order)
            if shot is None:
                continue  # the source's end; a trigger would still get its answer
            decision = inspector.judge(order, shot)
            inspector.answer(order, shot, decision)
        inspector.watchdog.stopping()
        if once:
            wait_for_delivery(inspector.publisher, inbox, inspector.watchdog)
        return inspector.tally.sample(inspector.spool.waiting)


def wait_for_delivery(publisher: Publisher, inbox: EventQueue, watchdog: Watchdog) -> None:
    """Until the broker has confirmed every verdict, or the station is stopped."""
    delivered = publisher.drained()
    while not delivered.wait(0.05) and not inbox.stopping.is_set():
        watchdog.feed()
        if isinstance(inbox.take(0), Stop):
            return
