"""A station put together from its parts: what is kept, what is said, what judges. What fails fastest is opened first.

with open_inspector(station, inbox, Hardware()) as inspector:
    inspector.start(once=False)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.config.station import Station
from edge_runtime.daemon.crash_recovery import issue_interrupted
from edge_runtime.daemon.disk_watch import DiskWatch
from edge_runtime.daemon.events import EventQueue
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.daemon.inspector import Inspector
from edge_runtime.daemon.message_router import MessageRouter
from edge_runtime.daemon.model import Loader, Model, load_model, model_without_engine
from edge_runtime.daemon.status import Status
from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.daemon.trigger_modes import open_trigger_mode
from edge_runtime.daemon.verdict_issuer import VerdictIssuer
from edge_runtime.engines.tensorrt.errors import GpuError
from edge_runtime.errors import ConfigError, EdgeError, EngineError, StorageError
from edge_runtime.inspection.frame_history import FrameHistory
from edge_runtime.monitoring.clock import Clock
from edge_runtime.monitoring.counters import Counters
from edge_runtime.monitoring.prometheus import Metrics, Sample, serve_metrics
from edge_runtime.monitoring.systemd import Watchdog, watchdog_s
from edge_runtime.mqtt.client import MqttClient
from edge_runtime.mqtt.publisher import Publisher
from edge_runtime.records import ErrorCode
from edge_runtime.sources.protocol import JudgedFiles
from edge_runtime.storage.image_archive import ImageArchive
from edge_runtime.storage.recovery import open_spool
from edge_runtime.storage.retention import MB
from edge_runtime.storage.spool import Spool
from edge_runtime.storage.state_owner import check_owner, claim_folder
from edge_runtime.wire.states import Conditions, State, StateReport, report_from


@dataclass(frozen=True)
class Exchange:
    """What triggers come in by, and verdicts and states go out by."""

    counters: Counters
    trigger_gate: TriggerGate
    publisher: Publisher
    status: Status
    issuer: VerdictIssuer


@contextmanager
def open_inspector(station: Station, events: EventQueue, hardware: Hardware) -> Iterator[Inspector]:
    """Open everything; on leaving, say OFFLINE and close everything. Raises EdgeError."""
    check_watchdog(station, watchdog_s())
    bundle = open_bundle(station.bundle)
    with ExitStack() as stack:
        source = stack.enter_context(hardware.open_source(station))
        check_owner(station.state_dir, station.name)
        spool = stack.enter_context(open_spool(station.state_dir, station.spool.retention(station.pictures)))
        claim_folder(station.state_dir, station.name)
        pictures = station.pictures
        archive = stack.enter_context(ImageArchive(station.state_dir, pictures.max_mb * MB, pictures.every_ok))
        source.resume(JudgedFiles(spool.judged(), spool.forget_judged))
        exchange = open_exchange(station, bundle, spool, archive, events, stack, source.simulated)
        stack.enter_context(announcing_offline(exchange.publisher))
        model = first_model(station, bundle, hardware, exchange.status)
        loader = Loader(lambda: load_model(open_bundle(station.bundle), station, hardware.open_engine))
        health = station.health
        history = FrameHistory(health.max_age_ms or station.deadline_ms, health.frozen)
        trigger_mode = open_trigger_mode(station, source, exchange.counters)
        stack.enter_context(exchange.issuer)
        inspector = Inspector(
            station, model, source, trigger_mode, spool, exchange.publisher, exchange.trigger_gate,
            exchange.counters, exchange.status, exchange.issuer, events, loader, Watchdog(watchdog_s()), history,
            archive,
        )  # fmt: skip
        stack.callback(lambda: inspector.model.close())  # the one that serves then
        yield inspector


def open_exchange(
    station: Station,
    bundle: Bundle,
    spool: Spool,
    archive: ImageArchive,
    events: EventQueue,
    stack: ExitStack,
    simulated: bool,
) -> Exchange:
    """Connect to the broker and answer what a crash left unanswered; what is opened goes on the stack.

    simulated: whether the source's frames are recordings.
    """
    counters, topics, clock = Counters(), station.topics, Clock()
    issue_interrupted(spool, bundle, counters, clock)
    triggered = station.mode == "triggered"
    known_from_ms = clock.unix_ms() - station.duplicate_window_s * 1000
    remembered = spool.triggered_since(known_from_ms) if triggered else []
    trigger_gate = TriggerGate(
        station.recipe, station.duplicate_window_s, time.monotonic, remembered, station.queue_depth
    )
    metrics = Metrics(
        station.line,
        station.cell,
        lambda: Sample(
            counters.sample(spool.waiting),
            counters.refused(),
            status.report.state,
            trigger_gate.in_hand,
            issuer.bundle,
            station.precision.value,
        ),
    )
    publisher = Publisher(
        topics,
        spool,
        counters,
        station.mqtt.heartbeat_ms / 1000,
        events.put,
        station.duplicate_window_s,
        on_verdict=metrics.observe_verdict,
        on_live=metrics.observe_publish,
        broker=station.mqtt.address,
    )
    status = Status(publisher.publish_state, trigger_gate, triggered)
    complete = trigger_gate.complete if triggered else lambda verdict: None
    issuer = VerdictIssuer(
        *(station.recipe, bundle.manifest, spool, publisher, counters, status),
        *(complete, events.put, clock, simulated),
    )
    if station.metrics.port is not None:
        stack.enter_context(serve_metrics(metrics, station.metrics.host, station.metrics.port))
    router = MessageRouter(topics, trigger_gate, spool, events, publisher, counters, station.deadline_ms, issuer)
    client = stack.enter_context(MqttClient(station, publisher.on_connection_event, router.receive))
    publisher.publish_state(status.report)
    watch = DiskWatch(station.state_dir, station.spool.retention(station.pictures), spool, archive, status)
    publisher.start(client, watch.check)
    return Exchange(counters, trigger_gate, publisher, status, issuer)


@contextmanager
def announcing_offline(publisher: Publisher) -> Iterator[None]:
    """On leaving, publish what waits and say OFFLINE, with the reason if it is an error."""
    farewell = report_from(Conditions(stopped=True))
    try:
        yield
    except BaseException as error:
        farewell = StateReport(State.OFFLINE, _error_code(error), f"ended by {type(error).__name__}")
        raise
    finally:
        publisher.close(farewell)


def first_model(station: Station, bundle: Bundle, hardware: Hardware, status: Status) -> Model:
    """The model to begin with; one without an engine where the GPU's stack is at fault: a restart would not mend that,
    so the station says it and waits for a RELOAD. Raises EdgeError for all else."""
    try:
        return load_model(bundle, station, hardware.open_engine)
    except GpuError as error:
        return model_without_engine(bundle, station, error)
    except EdgeError:
        status.note(started=True, self_test_passed=False)
        raise


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
