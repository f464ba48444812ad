"""Figures for Prometheus on http://HOST:PORT/metrics: totals, state, queue, spool, temperatures, where the time goes.

Off unless the station says `metrics: {port: 9464}`. Totals and gauges are read when somebody asks; only the histograms
are fed while parts are judged.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from wsgiref.simple_server import WSGIServer, make_server

from prometheus_client import CollectorRegistry, Histogram, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_runtime.bundle.manifest import FrameLimits
from edge_runtime.errors import ConfigError
from edge_runtime.monitoring.bounded_http import BoundedHandler, BoundedServer
from edge_runtime.monitoring.counters import CounterValues
from edge_runtime.monitoring.picture_figures import PictureFigures
from edge_runtime.records import Timings, Verdict
from edge_runtime.wire.commands import Reply
from edge_runtime.wire.states import State

THERMAL = Path("/sys/class/thermal")
STAGES = tuple(field.name.removesuffix("_us") for field in fields(Timings))
BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True)
class Sample:
    """How the station is at this moment."""

    counters: CounterValues
    refused: Mapping[Reply, int]  # triggers by the answer that was not ACCEPTED
    state: State
    in_hand: int  # triggers that wait for their verdicts
    bundle: str  # the name and version that verdicts carry
    precision: str
    part_offset: float | None = None  # pixels, of the parts' mean place from the good parts'
    limits: FrameLimits | None = None  # which frames are judged
    part_quality_low: float | None = None  # which parts are; None: no view looks for them
    left_out: Mapping[str, int] = field(default_factory=dict)  # by the source, by reason
    held_back: int = 0  # records that the broker did not take


class Metrics:
    """All figures of one station. `observe_*` may be called from any thread."""

    def __init__(self, line: str, cell: str) -> None:
        self.registry = CollectorRegistry()
        self._labels = {"line": line, "cell": cell}
        stages = Histogram(
            "edge_stage_seconds",
            "Where a part's time goes",
            ("line", "cell", "stage"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._stages = {stage: stages.labels(line, cell, stage) for stage in STAGES}
        self._latency = Histogram(
            "edge_latency_seconds",
            "From trigger or exposure to the decision, before its commit",
            ("line", "cell"),
            buckets=BUCKETS_S,
            registry=self.registry,
        ).labels(line, cell)
        self._pictures = PictureFigures(self.registry, line, cell)

    def add_sample(self, sample: Callable[[], Sample], thermal: Path = THERMAL) -> None:
        """From now on totals, state and temperatures are there, too: `sample` is called when somebody asks."""
        self.registry.register(_OnDemand(self._labels, sample, thermal))

    def observe_verdict(self, verdict: Verdict) -> None:
        """A verdict is on the disk. Only stages that took place count: a part that was not judged took no time there,
        and must not make judging look quick."""
        self._pictures.observe(verdict.decision)
        timings = verdict.decision.timings
        for stage in STAGES[:-1]:  # it is not published yet
            if taken_us := getattr(timings, f"{stage}_us"):
                self._stages[stage].observe(taken_us / 1e6)
        self._latency.observe(verdict.latency_us / 1e6)

    def observe_publish(self, publish_us: int) -> None:
        """A live verdict was handed to the network."""
        self._stages["publish"].observe(publish_us / 1e6)


@contextmanager
def serve_metrics(metrics: Metrics, host: str, port: int) -> Iterator[int]:
    """Answer on the port while the context lasts; yields the port (0 asks for a free one). Raises ConfigError."""
    with _serve(metrics.registry, host, port) as served:
        yield served


def probe_port(host: str, port: int) -> None:
    """Raises ConfigError when nothing could answer there."""
    with _serve(CollectorRegistry(), host, port):
        pass


@contextmanager
def _serve(registry: CollectorRegistry, host: str, port: int) -> Iterator[int]:
    try:
        family, address = address_of(host, port)
        server_class = type("Server", (BoundedServer,), {"address_family": family})
        server: WSGIServer = make_server(address, port, make_wsgi_app(registry), server_class, BoundedHandler)
    except OSError as error:
        raise ConfigError(f"metrics.port {port} of {host} cannot be used: {error.strerror}; choose another") from error
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def address_of(host: str, port: int) -> tuple[int, str]:
    """The family and the address to listen on: IPv4 or IPv6, as the host is. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return family, str(address[0])


class _OnDemand(Collector):
    def __init__(self, labels: dict[str, str], sample: Callable[[], Sample], thermal: Path) -> None:
        self._names, self._values = tuple(labels), tuple(labels.values())
        self._sample, self._thermal = sample, thermal

    def collect(self) -> Iterable[Metric]:
        """Read everything now."""
        sample = self._sample()
        counters = sample.counters
        verdicts = CounterMetricFamily("edge_verdicts", "Verdicts given", labels=(*self._names, "outcome"))
        for outcome in ("ok", "nok", "error"):
            verdicts.add_metric((*self._values, outcome), getattr(counters, outcome))
        yield verdicts
        for name, text, value in (
            ("edge_missed_triggers", "Triggers that were BUSY or NOTREADY, and ticks that passed", counters.missed),
            ("edge_late_verdicts", "Verdicts after their deadline", counters.late),
            ("edge_discarded_results", "Results that came after their ERROR", counters.discarded),
            ("edge_held_back_records", "Records of verdicts that the broker did not take", sample.held_back),
        ):
            counter = CounterMetricFamily(name, text, labels=self._names)
            counter.add_metric(self._values, value)
            yield counter
        refused = CounterMetricFamily("edge_refused_triggers", "Not accepted", labels=(*self._names, "answer"))
        for reply, count in sample.refused.items():
            refused.add_metric((*self._values, reply.value), count)
        yield refused
        text = "Frames and files that were not judged, by reason"
        left_out = CounterMetricFamily("edge_source_left_out", text, labels=(*self._names, "why"))
        for why, count in sorted(sample.left_out.items()):
            left_out.add_metric((*self._values, why), count)
        yield left_out
        yield self._gauge("edge_spooled_verdicts", "Verdicts that the broker has not confirmed", counters.spooled)
        yield self._gauge("edge_triggers_in_hand", "Triggers that wait for their verdicts", sample.in_hand)
        if sample.part_offset is not None:
            text = "Pixels from the good parts' mean place to that of the last fifty parts"
            yield self._gauge("edge_part_offset_pixels", text, sample.part_offset)
        yield from self._limits(sample)
        state = GaugeMetricFamily("edge_state", "1 for the state that holds", labels=(*self._names, "state"))
        for one in State:
            state.add_metric((*self._values, one.value), float(one is sample.state))
        yield state
        names = (*self._names, "bundle", "precision")
        bundle = GaugeMetricFamily("edge_bundle_info", "The bundle that judges", labels=names)
        bundle.add_metric((*self._values, sample.bundle, sample.precision), 1.0)
        yield bundle
        temperature = GaugeMetricFamily("edge_temperature_celsius", "By thermal zone", labels=(*self._names, "zone"))
        for zone, celsius in temperatures(self._thermal):
            temperature.add_metric((*self._values, zone), celsius)
        yield temperature

    def _limits(self, sample: Sample) -> Iterator[Metric]:
        if (limits := sample.limits) is not None:
            yield self._gauge("edge_frame_brightness_limit", "Darker frames are ERROR 104", limits.brightness_low)
            yield self._gauge("edge_frame_saturated_ratio_limit", "Whiter frames are ERROR 105", limits.saturated_high)
            yield self._gauge("edge_frame_sharpness_limit", "Less sharp frames are ERROR 109", limits.sharpness_low)
        if sample.part_quality_low is not None:
            yield self._gauge("edge_part_quality_limit", "Less like a good part is ERROR 111", sample.part_quality_low)

    def _gauge(self, name: str, text: str, value: float) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(name, text, labels=self._names)
        gauge.add_metric(self._values, value)
        return gauge


def temperatures(thermal: Path = THERMAL) -> Iterator[tuple[str, float]]:
    """Zone and degrees Celsius of every thermal zone that can be read."""
    for zone in sorted(thermal.glob("thermal_zone*")):
        try:
            yield (zone / "type").read_text().strip(), int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):  # a zone that is switched off cannot be read
            continue
