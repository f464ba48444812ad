"""The daemon's own work for a picture: everything but decoding and inference.

A real mosquitto on loopback, the real `edge-daemon` process, a folder of pictures, and a subscriber that counts.

    python -m benchmarks.cost.daemon [--bundle DIR] [--pictures 300] [--size 1024] [--fps 100] [--json FILE]

`own` is measured in the daemon from having the frame in hand to having handed all three records to the MQTT client,
less the inference: prepare, frame health, decision, commit (synced to the disk), the way to the publisher's thread,
encoding, publishing. `arrival` is a subscriber's: from the verdict's time stamp (before the commit) to its arrival.
`bare sync` is for comparison: 4 kB written over a file and synced to the same disk, at the same pace, without a daemon.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from tests.support.tiny_bundle import write_bundle

from benchmarks.shared.broker import connect, free_port, start_mosquitto
from edge_runtime.config.station import MqttSettings, PictureSettings, Station
from edge_runtime.config.template import text_from_station
from edge_runtime.sources.settings import SourceSettings
from edge_runtime.wire.verdict_json import decode_json

TARGET_MEDIAN_MS, TARGET_P99_MS = 2.0, 5.0
STAGES = ("prepare", "decide", "commit", "publish", "own")
LINE = re.compile(r"(?:verdict|published) (\d+)[^:]*: (.*) us$")  # two lines for each verdict


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table; exit 1 when a verdict is missing."""
    options = command_line().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edge-daemon-benchmark-", dir=options.work) as name:
        folder = Path(name)
        bundle = options.bundle or _tiny_bundle(folder / "bundle")
        _write_pictures(folder / "pictures", options.pictures, options.size)
        port = free_port()
        station = Station(
            line="bench",
            cell="1",
            bundle=bundle.absolute(),
            threads=1,
            source=SourceSettings(uri=f"folder://{folder / 'pictures'}", fps=options.fps),
            state_dir=folder / "state",
            pictures=PictureSettings(max_mb=0 if options.keep_none else 1000),
            mqtt=MqttSettings(host="127.0.0.1", port=port),
        )
        (folder / "station.yaml").write_text(text_from_station(station))
        with start_mosquitto(folder, port) as broker:
            try:
                log, arrivals_ms = _run(folder / "station.yaml", port, options.pictures)
            finally:
                broker.terminate()
        syncs_ms = _bare_syncs(folder / "synced", 0 if options.fps is None else 1 / options.fps)
    _report(options, log, arrivals_ms, syncs_ms)


def _bare_syncs(path: Path, pause_s: float) -> list[float]:
    """How many milliseconds writing 4 kB over a file and syncing takes, each time after a pause."""
    path.write_bytes(bytes(1 << 20))
    taken_ms = []
    with path.open("r+b", buffering=0) as file:
        os.fsync(file.fileno())
        for _ in range(60):
            time.sleep(pause_s)
            began_s = time.perf_counter()
            file.seek(0)
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            taken_ms.append((time.perf_counter() - began_s) * 1e3)
    return taken_ms


def _run(station: Path, port: int, pictures: int) -> tuple[str, list[float]]:
    """The daemon's log, and for each verdict how many milliseconds after its stamp it arrived."""
    arrivals_ms: dict[int, float] = {}
    complete, subscribed = threading.Event(), threading.Event()

    def received(client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        now_ms = time.time_ns() / 1e6
        verdict = decode_json(bytes(message.payload))
        arrivals_ms.setdefault(verdict.seq, now_ms - verdict.unix_ms)
        if len(arrivals_ms) == pictures:
            complete.set()

    listener = paho.Client(CallbackAPIVersion.VERSION2, "benchmark")
    listener.on_message = received
    listener.on_subscribe = lambda *_: subscribed.set()
    connect(listener, port)
    listener.subscribe("ev1/bench/1/verdict/json", 1)
    listener.loop_start()
    subscribed.wait(10)
    daemon = [sys.executable, "-c", "from edge_runtime.cli import main; main()", "run", str(station)]
    found = subprocess.run([*daemon, "--once", "--verbose"], stderr=subprocess.PIPE, text=True, check=True)
    complete.wait(10)
    listener.disconnect()
    listener.loop_stop()
    return found.stderr, [arrivals_ms[seq] for seq in sorted(arrivals_ms)]


def _report(options: argparse.Namespace, log: str, arrivals_ms: list[float], syncs_ms: list[float]) -> None:
    rows: dict[str, dict[str, str]] = {}
    for line in log.splitlines():
        if match := LINE.search(line):
            rows.setdefault(match[1], {}).update(dict(pair.split("=") for pair in match[2].split()))
    live = [row for row in rows.values() if "own" in row]  # without: it waited for the broker and was backlog
    measured = {stage: [int(row[stage]) / 1000 for row in live] for stage in STAGES}
    measured |= {"arrival": arrivals_ms, "bare sync": syncs_ms}
    figures = {stage: _percentiles(values) for stage, values in measured.items()}
    print(f"{options.pictures} pictures of {options.size} x {options.size}, {options.fps or 'as fast as possible'}\n")
    print("| milliseconds | median | 99 % | largest |\n|---|---:|---:|---:|")
    for stage, f in figures.items():
        print(f"| {stage} | {f['median']:.2f} | {f['p99']:.2f} | {f['largest']:.2f} |")
    own, good = figures["own"], len(arrivals_ms) == options.pictures
    reached = own["median"] <= TARGET_MEDIAN_MS and own["p99"] <= TARGET_P99_MS
    print(f"\nVerdicts that arrived: {len(arrivals_ms)} of {options.pictures}. Load average: {os.getloadavg()[0]:.1f}")
    print(f"Target {TARGET_MEDIAN_MS} / {TARGET_P99_MS} ms of own work: {'reached' if reached else 'not reached'}.")
    if options.json:
        summary = {"pictures": options.pictures, "size": options.size, "arrived": len(arrivals_ms), "ms": figures}
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    sys.exit(0 if good else 1)


def _percentiles(values: list[float]) -> dict[str, float]:
    return {
        "median": float(np.median(values)),
        "p99": float(np.percentile(values, 99)),
        "largest": max(values),
    }


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="serve this bundle instead of a tiny one")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--size", type=int, default=1024, help="edge length of the pictures")
    parser.add_argument("--fps", type=float, help="pace; the default is as fast as possible")
    parser.add_argument("--keep-none", action="store_true", help="keep no pictures as evidence")
    parser.add_argument("--work", type=Path, help="the disk to work on; the default is the temporary folder's")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser


def _tiny_bundle(folder: Path) -> Path:
    return Path(write_bundle(folder))


def _write_pictures(folder: Path, count: int, size: int) -> None:
    """Grey noise, every third with a bright spot, so that regions are measured too."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        image = rng.integers(40, 80, (size, size, 3), dtype=np.uint8)
        if number % 3 == 2:
            image[size // 4 : size // 2, size // 4 : size // 2] = 220
        cv2.imwrite(str(folder / f"{number:05d}.bmp"), image)


if __name__ == "__main__":
    main()
