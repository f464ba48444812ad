"""`edge-daemon check`: everything that is wrong with a station, found in one go, before the line depends on it."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from edge_runtime.bundle import open_bundle
from edge_runtime.errors import ConfigError, EdgeError
from edge_runtime.golden import median_ms, replay_golden
from edge_runtime.hardware import Hardware
from edge_runtime.metrics import probe_port
from edge_runtime.mqtt_client import probe_broker
from edge_runtime.spool_database import is_spool_in_use
from edge_runtime.state_folder import SYSTEMD_STATE, probe_state_folder
from edge_runtime.station import Station

ROUNDS = 5


class Rating(Enum):
    """How a finding is printed."""

    OK = "ok"
    DOUBTFUL = "WARN"
    WRONG = "WRONG"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked, in words."""

    text: str
    rating: Rating = Rating.OK


def findings(station: Station, hardware: Hardware | None = None) -> Iterator[Finding]:
    """Check bundle, deadline, source, state folder, metrics' port and broker; each whatever the others give."""
    used = hardware or Hardware()
    for found in (
        check_bundle(station, used),
        check_source(station, used),
        check_state_dir(station),
        check_metrics(station),
        check_broker(station),
    ):
        try:
            yield from found
        except EdgeError as error:
            yield Finding(str(error), Rating.WRONG)


def check_bundle(station: Station, hardware: Hardware) -> Iterator[Finding]:
    """Lengths, hashes, schema, the graph, the golden pictures, and how long these take. Raises EdgeError."""
    bundle = open_bundle(station.bundle)
    with hardware.open_engine(station, bundle) as engine:
        worst = replay_golden(bundle, engine, station.precision)
        yield Finding(
            f"bundle {bundle.label}, {station.precision.value}: {len(bundle.manifest.golden)} golden pictures "
            f"reproduced by {engine.name}, largest deviation {worst:.3f} of the tolerance"
        )
        yield deadline_finding(station.deadline_ms, median_ms(bundle, engine, ROUNDS))


def deadline_finding(deadline_ms: int, engine_ms: float) -> Finding:
    """Whether the deadline leaves room beside the engine for the camera, the preparing and the disk."""
    text = f"deadline_ms {deadline_ms}: the engine alone takes {engine_ms:.1f} ms a picture"
    faster = "raise deadline_ms, or take a faster engine, precision or detector"
    if engine_ms >= deadline_ms:
        return Finding(f"{text}, so no verdict would be in time; {faster}", Rating.WRONG)
    if engine_ms > deadline_ms / 2:
        return Finding(f"{text}, which leaves little for camera, preparing and disk; {faster}", Rating.DOUBTFUL)
    return Finding(text)


def check_source(station: Station, hardware: Hardware) -> Iterator[Finding]:
    """It opens. Raises SourceError."""
    with hardware.open_source(station):
        yield Finding(f"source {station.source.uri}")


def check_state_dir(station: Station, units: Path = SYSTEMD_STATE) -> Iterator[Finding]:
    """It is there or can be made, can be written, and no daemon uses it. units: where systemd makes it. Raises
    StorageError."""
    folder = station.state_dir
    if folder.parent == units and not os.path.lexists(units):  # it leads where only root may look
        text = f"state_dir {folder}: {units} is not there yet; the systemd unit makes both, `run` by hand does not"
        yield Finding(text, Rating.DOUBTFUL)
        return
    probe_state_folder(folder)
    if is_spool_in_use(folder):  # by this very station, perhaps
        text = "a daemon uses it now; right if this station runs, but another needs a folder of its own"
        yield Finding(f"state_dir {folder}: {text}", Rating.DOUBTFUL)
    else:
        yield Finding(f"state_dir {folder}")


def check_metrics(station: Station) -> Iterator[Finding]:
    """Its port is free, or taken by this very station. Raises ConfigError."""
    host, port = station.metrics.host, station.metrics.port
    if port is None:
        return
    try:
        probe_port(host, port)
    except ConfigError:
        if not _answers_there(station, port):
            raise
        yield Finding(f"metrics {host}:{port}: this station runs, and answers there")
    else:
        yield Finding(f"metrics {host}:{port}")


def check_broker(station: Station) -> Iterator[Finding]:
    """It takes the connection. Raises ConfigError."""
    broker = f"broker {station.mqtt.address}"
    if problem := probe_broker(station):
        raise ConfigError(f"{broker}: {problem}")
    yield Finding(broker)


def _answers_there(station: Station, port: int) -> bool:
    host = "127.0.0.1" if station.metrics.host in ("0.0.0.0", "") else station.metrics.host
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=2) as answer:
            found = answer.read(1 << 20).decode("utf-8", "replace")
    except (OSError, ValueError):  # a program of another kind
        return False
    return f'edge_state{{cell="{station.cell}",line="{station.line}"' in found
