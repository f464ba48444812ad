"""The process around `serve`: its log, its signals and its scheduling."""

from __future__ import annotations

import logging
import signal
import sys
from functools import partial
from pathlib import Path

from edge_runtime.config.edits import edits_since_start
from edge_runtime.config.station import read_station
from edge_runtime.daemon.events import EventQueue
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.daemon.serve import serve
from edge_runtime.monitoring.log import set_up_log
from edge_runtime.wire.commands import Command

SWITCH_S = 0.0005  # how long one Python thread may keep another waiting; the default of 5 ms would be the latency
log = logging.getLogger("edge_daemon")


def run_daemon(station_file: Path, once: bool, verbose: bool, hardware: Hardware | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises EdgeError."""
    set_up_log(verbose)
    sys.setswitchinterval(SWITCH_S)
    station, events = read_station(station_file), EventQueue()
    obey_signals(events)
    totals = serve(station, events, once, hardware, partial(edits_since_start, station, station_file))
    log.info(
        "stopped after %d verdicts: %d OK, %d NOK, %d ERROR; %d wait for the broker",
        *(totals.triggers, totals.ok, totals.nok, totals.error, totals.spooled),
    )


def obey_signals(events: EventQueue) -> None:
    """SIGTERM and Ctrl-C: the end. SIGHUP: as RELOAD on `/command`. SIGUSR1 and SIGUSR2 are ignored."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: events.stop())
    signal.signal(signal.SIGHUP, lambda *_: events.put(Command.RELOAD))
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
