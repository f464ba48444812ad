"""A station put together from its parts, in the order in which they need each other. What fails fastest comes first.

with open_station(station, events, Hardware()) as opened:
    opened.self_test.conclude_first(once=False)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from edge_runtime.bundle.reader import Bundle
from edge_runtime.config.edits import Edits
from edge_runtime.config.station import Station
from edge_runtime.daemon.admission import admit
from edge_runtime.daemon.command_handler import CommandHandler
from edge_runtime.daemon.crash_recovery import issue_interrupted
from edge_runtime.daemon.disk_watch import DiskWatch
from edge_runtime.daemon.dispatcher import Dispatcher
from edge_runtime.daemon.events import EventQueue
from edge_runtime.daemon.guarded_source import GuardedSource
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.daemon.inspector import Inspector
from edge_runtime.daemon.message_router import MessageRouter
from edge_runtime.daemon.model import (
    Loader,
    Model,
    ServingModel,
    frame_limits,
    load_model,
    model_without_engine,
    part_quality_low,
)
from edge_runtime.daemon.outputs import Outputs
from edge_runtime.daemon.self_test import SelfTest
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
from edge_runtime.storage.served import remember
from edge_runtime.storage.spool import Spool
from edge_runtime.storage.state_owner import check_owner, claim_folder
from edge_runtime.wire.states import Conditions, State, StateReport, report_from


@dataclass(frozen=True)
class OpenStation:
    """What `serve` works with; everything else is reached through these."""

    dispatcher: Dispatcher
    inspector: Inspector
    self_test: SelfTest
    publisher: Publisher
    counters: Counters
    spool: Spool
    watchdog: Watchdog


@dataclass(frozen=True)
class Storage:
    """What is kept on the disk."""

    spool: Spool
    archive: ImageArchive


@dataclass(frozen=True)
class Exchange:
    """What triggers come in by, and verdicts and states go out by."""

    counters: Counters
    trigger_gate: TriggerGate
    publisher: Publisher
    status: Status
    issuer: VerdictIssuer
    link_lives: Callable[[], bool]  # whether the network thread does


@contextmanager
def open_station(
    station: Station, events: EventQueue, hardware: Hardware, edits: Callable[[], Edits] = Edits
) -> Iterator[OpenStation]:
    """Open everything; on leaving, announce OFFLINE and close everything. Raises EdgeError.

    edits: what was changed in the station's file since it was read.
    """
    watchdog = Watchdog(watchdog_period_s(station))
    check_owner(station.state_dir, station.name)
    bundle = admit(station)
    with ExitStack() as stack:
        source = stack.enter_context(GuardedSource(hardware.open_source(station)))
        storage = open_storage(station, stack)
        source.resume(JudgedFiles(storage.spool.judged(), storage.spool.forget_judged))
        exchange = open_exchange(station, bundle, storage, events, source, stack)
        stack.enter_context(announcing_offline(exchange.publisher))
        model = first_model(station, bundle, hardware, exchange.status)
        serving = stack.enter_context(closing(ServingModel(model)))
        remember(station.state_dir, bundle)
        issuer = stack.enter_context(exchange.issuer)
        status = exchange.status
        watchdog.require(exchange.link_lives)
        self_test = SelfTest(serving, status, watchdog, station.self_test_hours, is_stopping=events.stopping.is_set)
        loader = Loader(partial(next_model, station, hardware))
        reply = partial(exchange.publisher.reply, station.topics.command_ack)
        commands = CommandHandler(serving, self_test, loader, issuer, events, status, reply, edits)
        trigger_mode = open_trigger_mode(station, source, exchange.counters)
        health = station.health
        history = FrameHistory(health.max_age_ms or station.deadline_ms, health.frozen)
        yield OpenStation(
            Dispatcher(
                *(events, trigger_mode, exchange.trigger_gate, issuer, source, self_test, commands, status, watchdog)
            ),
            Inspector(source, serving, history, issuer, storage.archive, status),
            self_test,
            exchange.publisher,
            exchange.counters,
            storage.spool,
            watchdog,
        )


def open_storage(station: Station, stack: ExitStack) -> Storage:
    """The spool and the pictures of this station, and of no other; what is opened goes on the stack."""
    spool = stack.enter_context(open_spool(station.state_dir, station.spool.retention(station.pictures)))
    claim_folder(station.state_dir, station.name)
    pictures = station.pictures
    archive = stack.enter_context(ImageArchive(station.state_dir, pictures.max_mb * MB, pictures.every_ok))
    return Storage(spool, archive)


def open_exchange(
    station: Station, bundle: Bundle, storage: Storage, events: EventQueue, source: GuardedSource, stack: ExitStack
) -> Exchange:
    """Answer what a crash left unanswered and connect to the broker; what is opened goes on the stack."""
    spool, counters, clock, metrics = storage.spool, Counters(), Clock(), Metrics(station.line, station.cell)
    issue_interrupted(spool, bundle, counters, clock)
    triggered = station.mode == "triggered"
    remembered = spool.answered_within(station.duplicate_window_s * 1000, clock.unix_ms()) if triggered else []
    trigger_gate = TriggerGate(
        station.recipe, station.duplicate_window_s, time.monotonic, remembered, station.queue_depth
    )
    publisher = Publisher(
        *(station.topics, spool, counters, station.mqtt.heartbeat_ms / 1000, events.put, station.duplicate_window_s),
        on_verdict=metrics.observe_verdict,
        on_live=metrics.observe_publish,
        broker=station.mqtt.address,
    )
    outputs = stack.enter_context(Outputs(station.outputs, events.put))

    def show(report: StateReport) -> None:
        outputs.state(report)
        publisher.publish_state(report)

    status = Status(show, trigger_gate, triggered)
    complete = trigger_gate.complete if triggered else lambda verdict: None
    issuer = VerdictIssuer(
        *(
            station.recipe,
            bundle.manifest,
            spool,
            publisher,
            counters,
            status,
            complete,
            events.put,
            clock,
            source.simulated,
        ),
        on_committed=outputs.verdict,
    )
    metrics.add_sample(
        lambda: Sample(
            *(counters.sample(spool.waiting), counters.refused(), status.report.state, trigger_gate.in_hand),
            *(issuer.manifest.label, station.precision.value, status.part_offset),
            *(frame_limits(issuer.manifest, station), part_quality_low(issuer.manifest, station)),
            left_out=source.left_out(),
            held_back=publisher.held_back,
        )
    )
    if station.metrics.port is not None:
        stack.enter_context(serve_metrics(metrics, station.metrics.host, station.metrics.port))
    router = MessageRouter(
        *(station.topics, trigger_gate, events, publisher, counters, station.deadline_ms, issuer, station.subscriptions)
    )
    client = stack.enter_context(MqttClient(station, publisher.on_connection_event, router.receive))
    publisher.publish_state(status.report)
    retention = station.spool.retention(station.pictures)
    disk_watch = DiskWatch(station.state_dir, retention, spool, storage.archive, status)
    publisher.start(
        client,
        disk_watch.check,
        lambda problem: status.note(undelivered=problem.stops, held_back=problem.held),
    )
    return Exchange(counters, trigger_gate, publisher, status, issuer, lambda: client.lives)


@contextmanager
def announcing_offline(publisher: Publisher) -> Iterator[None]:
    """On leaving, publish what waits and the state OFFLINE, with the reason if it is an error."""
    last = report_from(Conditions(stopped=True))
    try:
        yield
    except BaseException as error:
        last = StateReport(State.OFFLINE, _error_code(error), f"ended by {type(error).__name__}")
        raise
    finally:
        publisher.close(last)


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


def next_model(station: Station, hardware: Hardware) -> Model:
    """The model that RELOAD lets serve, tested and remembered. Raises EdgeError, and then nothing stays open."""
    model = load_model(admit(station), station, hardware.open_engine)
    try:
        remember(station.state_dir, model.bundle)  # before it judges: a power cut must not let it be forgotten
    except EdgeError:
        model.close()
        raise
    return model


def watchdog_period_s(station: Station) -> float | None:
    """Within which time systemd wants to hear of progress; None: it does not watch.

    Raises ConfigError when it would end a station that is merely slow.
    """
    period_s = watchdog_s()
    check_watchdog(station, period_s)
    return period_s


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
