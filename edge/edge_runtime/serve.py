"""The daemon's main path: a picture is captured, judged, committed and published, in this order, one at a time.

serve(read_station(Path("station.yaml")), Inbox())
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from edge_runtime.bundle import Bundle, open_bundle
from edge_runtime.engine import Engine
from edge_runtime.errors import EdgeError, EngineError, StorageError
from edge_runtime.inbox import Inbox, Stop
from edge_runtime.inspector import Inspector
from edge_runtime.interrupted import answer_interrupted
from edge_runtime.judge import Judge
from edge_runtime.mqtt_client import MqttClient
from edge_runtime.onnxruntime_engine import OnnxruntimeEngine
from edge_runtime.publisher import Publisher
from edge_runtime.reception import Reception
from edge_runtime.records import ErrorCode
from edge_runtime.source import PacedSource, Source, open_source
from edge_runtime.spool_rescue import open_spool
from edge_runtime.states import Conditions, State, StateReport, report_from
from edge_runtime.station import Station
from edge_runtime.tally import Counters, Tally
from edge_runtime.trigger_desk import TriggerDesk

log = logging.getLogger(__name__)


def serve(station: Station, inbox: Inbox, once: bool = False) -> Counters:
    """Inspect until `inbox.stop()`; with `once`, until the source is exhausted and the broker has every verdict.

    Raises EdgeError for what makes serving impossible. A broker that is away does not: verdicts wait in the spool.
    """
    with open_inspector(station, inbox) as inspector:
        inspector.self_test()
        while (order := inspector.next_order(once)) is not None:
            shot = inspector.capture(order)
            if shot.frame is None and order.trigger is None:
                continue  # the source's end; a trigger would still get its answer
            decision = inspector.judge(shot)
            verdict = inspector.commit(order, shot, decision)
            inspector.publish(verdict, shot)
        if once:
            wait_for_delivery(inspector.publisher, inbox)
        return inspector.tally.sample(inspector.spool.waiting)


def wait_for_delivery(publisher: Publisher, inbox: Inbox) -> None:
    """Until the broker has confirmed every verdict, or the station is stopped."""
    delivered = publisher.drained()
    while not delivered.wait(0.05) and not inbox.stopping.is_set():
        if isinstance(inbox.take(wait=False), Stop):
            return


@contextmanager
def open_inspector(station: Station, inbox: Inbox) -> Iterator[Inspector]:
    """Open everything, what fails fastest first; on leaving, say OFFLINE and close everything."""
    bundle = open_bundle(station.bundle)
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(station, bundle))
        source = stack.enter_context(open_station_source(station, inbox))
        spool = stack.enter_context(open_spool(station.state_dir, station.spool.retention()))
        window_ms = station.duplicate_window_s * 1000
        tally, topics, now_ms = Tally(), station.topics, time.time_ns() // 1_000_000
        answer_interrupted(spool, bundle, tally, now_ms)
        desk = TriggerDesk(
            station.recipe, station.duplicate_window_s, time.monotonic, spool.triggered_since(now_ms - window_ms)
        )
        publisher = Publisher(
            topics, spool, tally, station.mqtt.heartbeat_ms / 1000, inbox.put, station.duplicate_window_s
        )
        reception = Reception(topics, desk, spool, inbox, publisher, tally)
        client = stack.enter_context(MqttClient(station, publisher.on_link_event, reception.receive))
        publisher.show(report_from(Conditions()))
        publisher.start(client)
        farewell = report_from(Conditions(stopped=True))
        judge = Judge(engine, bundle.threshold(station.precision), bundle.manifest.height, bundle.manifest.width)
        try:
            yield Inspector(station, bundle, engine, judge, source, spool, publisher, desk, tally, inbox)
        except BaseException as error:
            farewell = StateReport(State.OFFLINE, _error_code(error), f"ended by {type(error).__name__}")
            raise
        finally:
            publisher.close(farewell)


def open_engine(station: Station, bundle: Bundle) -> Engine:
    """The engine that the station asks for, loaded with the bundle's graph."""
    return OnnxruntimeEngine(bundle.graph(station.precision), station.threads)


def open_station_source(station: Station, inbox: Inbox) -> Source:
    """The station's source, at its pace; a stop cuts the waiting short."""
    source = open_source(station.source.uri, station.source.loop)
    return source if station.source.fps is None else PacedSource(source, station.source.fps, inbox.stopping.wait)


def _error_code(error: BaseException) -> ErrorCode:
    if isinstance(error, StorageError):
        return ErrorCode.STORAGE_FAILED
    if isinstance(error, EngineError):
        return ErrorCode.SELF_TEST_FAILED
    return ErrorCode.INTERRUPTED if not isinstance(error, EdgeError) else ErrorCode.NONE
