"""Where the engine and the pictures come from: the seam that tests and benchmarks put faulty ones in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from edge_runtime.bundle.reader import Bundle
from edge_runtime.config.station import Station
from edge_runtime.engines.protocol import Engine
from edge_runtime.engines.selection import choose_engine
from edge_runtime.sources.protocol import Source, open_source

log = logging.getLogger(__name__)


def open_engine(station: Station, bundle: Bundle) -> Engine:
    """The engine that the station asks for, loaded with the bundle's graph."""
    chosen = choose_engine(station.engine, bundle, station.precision, station.engines, station.threads)
    log.info("engine: %s, %s", chosen.engine.name, chosen.why)
    if chosen.detail:
        log.debug("why not TensorRT: %s", chosen.detail)
    return chosen.engine


def open_station_source(station: Station) -> Source:
    """The station's source."""
    return open_source(station.source, station.mode)


@dataclass(frozen=True)
class Hardware:
    """Where the engine and the source come from; tests and benchmarks put faulty ones here."""

    open_engine: Callable[[Station, Bundle], Engine] = open_engine
    open_source: Callable[[Station], Source] = open_station_source
