"""`edge-daemon check`: everything that is wrong with a station, found in one go, before the line depends on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_runtime.bundle import open_bundle
from edge_runtime.errors import ConfigError, EdgeError
from edge_runtime.golden import replay_golden
from edge_runtime.hardware import open_engine
from edge_runtime.mqtt_client import probe_broker
from edge_runtime.source import open_source
from edge_runtime.station import Station


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: what it is, and what is wrong with it; no problem means that it is fine."""

    what: str
    problem: str = ""


def findings(station: Station) -> Iterator[Finding]:
    """Check the bundle, the source, the state folder and the broker; each is checked whatever the others give."""
    for check in (check_bundle, check_source, check_state_dir, check_broker):
        yield _finding(check, station)


def check_bundle(station: Station) -> str:
    """Lengths, hashes, schema, the graph, and the golden pictures. Raises EdgeError."""
    bundle = open_bundle(station.bundle)
    with open_engine(station, bundle) as engine:
        worst = replay_golden(bundle, engine, station.precision)
        return (
            f"bundle {bundle.label}, {station.precision.value}: {len(bundle.manifest.golden)} golden pictures "
            f"reproduced by {engine.name}, largest deviation {worst:.3f} of the tolerance"
        )


def check_source(station: Station) -> str:
    """It opens. Raises SourceError."""
    with open_source(station.source.uri, station.source.loop):
        return f"source {station.source.uri}"


def check_state_dir(station: Station) -> str:
    """It is, or can be made, a folder that can be written. Raises ConfigError."""
    folder = station.state_dir
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise ConfigError(f"state_dir {folder}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"state_dir {folder}: this user may not write in {there}")
    return f"state_dir {folder}"


def check_broker(station: Station) -> str:
    """It takes the connection. Raises ConfigError."""
    broker = f"broker {station.mqtt.host}:{station.mqtt.port}"
    if problem := probe_broker(station):
        raise ConfigError(f"{broker}: {problem}; check mqtt.host, port, tls, user and password_file")
    return broker


def _finding(check: Callable[[Station], str], station: Station) -> Finding:
    try:
        return Finding(check(station))
    except EdgeError as error:
        return Finding(check.__name__.removeprefix("check_").replace("_", " "), str(error))
