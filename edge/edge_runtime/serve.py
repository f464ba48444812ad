"""The daemon's main path: a picture is captured, judged, committed and published, in this order, one at a time.

serve(read_station(Path("station.yaml")), Inbox())
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from edge_runtime.answers import Answers
from edge_runtime.bundle import Bundle, open_bundle
from edge_runtime.clock import Clock
from edge_runtime.engine import Engine
from edge_runtime.engine_choice import choose_engine
from edge_runtime.errors import ConfigError, EdgeError, EngineError, StorageError
from edge_runtime.evidence import Evidence
from edge_runtime.frame_history import FrameHistory
from edge_runtime.gpu_errors import GpuError
from edge_runtime.inbox import Inbox, Stop
from edge_runtime.inspector import Inspector
from edge_runtime.interrupted import answer_interrupted
from edge_runtime.metrics import Metrics, Sample, serve_metrics
from edge_runtime.model import Loader, load_model, model_without_engine
from edge_runtime.mqtt_client import MqttClient
from edge_runtime.pace import open_pace
from edge_runtime.publisher import Publisher
from edge_runtime.reception import Reception
from edge_runtime.records import ErrorCode
from edge_runtime.source import Source, open_source
from edge_runtime.spool_rescue import open_spool
from edge_runtime.spool_retention import MB
from edge_runtime.states import Conditions, State, StateReport, report_from
from edge_runtime.station import Station
from edge_runtime.status import Status
from edge_runtime.storage_watch import StorageWatch
from edge_runtime.tally import Counters, Tally
from edge_runtime.trigger_desk import TriggerDesk
from edge_runtime.watchdog import Watchdog, watchdog_s

log = logging.getLogger(__name__)


def open_engine(station: Station, bundle: Bundle) -> Engine:
    """The engine that the station asks for, loaded with the bundle's graph."""
    chosen = choose_engine(station.engine, bundle, station.precision, station.engines, station.threads)
    log.info("engine: %s, %s", chosen.engine.name, chosen.why)
    return chosen.engine


def open_station_source(station: Station) -> Source:
    """The station's source."""
    return open_source(station.source.uri, station.source.loop)


@dataclass(frozen=True)
class Hardware:
    """Where the engine and the source come from; tests and benchmarks put faulty ones here."""

    open_engine: Callable[[Station, Bundle], Engine] = open_engine
    open_source: Callable[[Station], Source] = open_station_source


def serve(station: Station, inbox: Inbox, once: bool = False, hardware: Hardware | None = None) -> Counters:
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


def wait_for_delivery(publisher: Publisher, inbox: Inbox, watchdog: Watchdog) -> None:
    """Until the broker has confirmed every verdict, or the station is stopped."""
    delivered = publisher.drained()
    while not delivered.wait(0.05) and not inbox.stopping.is_set():
        watchdog.feed()
        if isinstance(inbox.take(0), Stop):
            return


@contextmanager
def open_inspector(station: Station, inbox: Inbox, hardware: Hardware) -> Iterator[Inspector]:
    """Open everything, what fails fastest first; on leaving, say OFFLINE and close everything."""
    check_watchdog(station, watchdog_s())
    bundle = open_bundle(station.bundle)
    with ExitStack() as stack:
        source = stack.enter_context(hardware.open_source(station))
        retention = station.spool.retention(station.pictures)
        spool = stack.enter_context(open_spool(station.state_dir, retention))
        pictures = station.pictures
        evidence = stack.enter_context(Evidence(station.state_dir, pictures.max_mb * MB, pictures.every_ok))
        tally, topics, clock = Tally(), station.topics, Clock()
        answer_interrupted(spool, bundle, tally, clock)
        triggered = station.mode == "triggered"
        known_from_ms = clock.unix_ms() - station.duplicate_window_s * 1000
        remembered = spool.triggered_since(known_from_ms) if triggered else []
        desk = TriggerDesk(station.recipe, station.duplicate_window_s, time.monotonic, remembered, station.queue_depth)
        metrics = Metrics(
            station.line,
            station.cell,
            lambda: Sample(tally.sample(spool.waiting), status.report.state, desk.in_hand),
        )
        publisher = Publisher(
            topics,
            spool,
            tally,
            station.mqtt.heartbeat_ms / 1000,
            inbox.put,
            station.duplicate_window_s,
            on_live=metrics.observe_publish,
        )
        status = Status(publisher.show, desk, triggered)
        settle = desk.settle if triggered else lambda verdict: None
        answers = Answers(
            *(station.recipe, bundle.manifest, spool, publisher, tally, status),
            *(settle, inbox.put, clock, metrics.observe_verdict),
        )
        if station.metrics.port is not None:
            stack.enter_context(serve_metrics(metrics, station.metrics.host, station.metrics.port))
        reception = Reception(topics, desk, spool, inbox, publisher, tally, station.deadline_ms, answers)
        client = stack.enter_context(MqttClient(station, publisher.on_link_event, reception.receive))
        publisher.show(status.report)
        publisher.start(client, StorageWatch(station.state_dir, retention, spool, evidence, status).look)
        farewell = report_from(Conditions(stopped=True))
        try:
            try:
                model = load_model(bundle, station, hardware.open_engine)
            except GpuError as error:  # a restart would not mend it: the station says so, and waits for a RELOAD
                model = model_without_engine(bundle, station, error)
            except EdgeError:
                status.note(started=True, self_test_passed=False)
                raise
            loader = Loader(lambda: load_model(open_bundle(station.bundle), station, hardware.open_engine))
            health = station.health
            history = FrameHistory(health.max_age_ms or station.deadline_ms, health.frozen)
            pace = open_pace(station, source, tally)
            with answers:
                inspector = Inspector(
                    station, model, source, pace, spool, publisher, desk, tally, status, answers, inbox, loader,
                    Watchdog(watchdog_s()), history, evidence,
                )  # fmt: skip
                try:
                    yield inspector
                finally:
                    inspector.model.close()
        except BaseException as error:
            farewell = StateReport(State.OFFLINE, _error_code(error), f"ended by {type(error).__name__}")
            raise
        finally:
            publisher.close(farewell)


def check_watchdog(station: Station, period_s: float | None) -> None:
    """Raises ConfigError when the watchdog would end a station that is merely slow."""
    if period_s is not None and 2 * station.deadline_ms / 1000 > period_s:
        raise ConfigError(
            f"deadline_ms {station.deadline_ms} is more than half of the unit's WatchdogSec of {period_s:g} s: systemd "
            "would restart a station that is merely slow; raise WatchdogSec (systemctl edit), or lower deadline_ms"
        )


def _error_code(error: BaseException) -> ErrorCode:
    if isinstance(error, StorageError):
        return ErrorCode.STORAGE_FAILED
    if isinstance(error, EngineError):
        return ErrorCode.SELF_TEST_FAILED
    return ErrorCode.INTERRUPTED if not isinstance(error, EdgeError) else ErrorCode.NONE
