"""The daemon against `edge-build evaluate`: a category's whole test set over a real mosquitto, verdict by verdict.

    python -m benchmarks.accuracy.agreement BUNDLE CATEGORY [--json FILE]

Every picture below CATEGORY/test must get exactly one verdict, with the raw score and the outcome that `evaluate` gives
it. Exits 1 when one does not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.shared.broker import connect, free_port, start_mosquitto
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.config.station import MqttSettings, Station
from edge_runtime.config.template import text_from_station
from edge_runtime.records import Outcome, Precision, Verdict
from edge_runtime.sources.settings import SourceSettings
from edge_runtime.wire.verdict_json import decode_json


@dataclass(frozen=True)
class Agreement:
    """How the daemon's verdicts compare with `evaluate`."""

    pictures: int
    verdicts: int
    more_than_one: int
    other_outcome: int
    largest_score_difference: float  # share of the threshold

    @property
    def complete(self) -> bool:
        """Exactly one verdict a picture, all the same."""
        same = self.other_outcome == 0 and self.largest_score_difference < 1e-6
        return self.verdicts == self.pictures and self.more_than_one == 0 and same


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate, run the daemon, compare."""
    options = command_line().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edge-agreement-") as name:
        folder = Path(name)
        expected = _evaluate(options.bundle, options.category, folder / "scores.npz")
        verdicts = _run_daemon(options.bundle, options.category / "test", len(expected), folder)
    found = _compare(expected, verdicts, open_bundle(options.bundle).threshold(Precision.FP32).score)
    print("| pictures | verdicts | more than one | other outcome | largest difference of a score |")
    print("|---:|---:|---:|---:|---:|")
    print(
        f"| {found.pictures} | {found.verdicts} | {found.more_than_one} | {found.other_outcome} "
        f"| {found.largest_score_difference:.1e} of the threshold |"
    )
    if options.json:
        options.json.write_text(json.dumps(found.__dict__, indent=2) + "\n")
    sys.exit(0 if found.complete else 1)


def _evaluate(bundle: Path, category: Path, scores: Path) -> dict[str, float]:
    """Raw score by picture, named as below `test/`."""
    command = ["evaluate", str(bundle), str(category), "--save-scores", str(scores)]
    _product("edge_build", *command)
    with np.load(scores) as arrays:
        return {str(p).removeprefix("test/"): float(s) for p, s in zip(arrays["path"], arrays["score"], strict=True)}


def _run_daemon(bundle: Path, pictures: Path, count: int, folder: Path) -> list[Verdict]:
    """All verdicts that arrive while the daemon goes through the folder once."""
    port = free_port()
    station = Station(
        line="bench",
        cell="1",
        bundle=bundle.absolute(),
        source=SourceSettings(uri=f"folder://{pictures.absolute()}"),
        state_dir=folder / "state",
        mqtt=MqttSettings(host="127.0.0.1", port=port),
    )
    (folder / "station.yaml").write_text(text_from_station(station))
    verdicts: list[Verdict] = []
    subscribed, complete = threading.Event(), threading.Event()

    def received(client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        verdicts.append(decode_json(bytes(message.payload)))
        if len(verdicts) >= count:
            complete.set()

    broker = start_mosquitto(folder, port)
    listener = paho.Client(CallbackAPIVersion.VERSION2, "agreement")
    listener.on_message = received
    listener.on_subscribe = lambda *_: subscribed.set()
    try:
        connect(listener, port)
        listener.subscribe("ev1/bench/1/verdict/json", 1)
        listener.loop_start()
        subscribed.wait(10)
        _product("edge_runtime", "run", str(folder / "station.yaml"), "--once")
        complete.wait(10)
    finally:
        listener.disconnect()
        listener.loop_stop()
        broker.terminate()
        broker.wait(10)
    return verdicts


def _compare(expected: dict[str, float], verdicts: list[Verdict], threshold: float) -> Agreement:
    seen = Counter(verdict.source for verdict in verdicts)
    outcomes = {name: Outcome.NOK if score > threshold else Outcome.OK for name, score in expected.items()}
    known = [verdict for verdict in verdicts if verdict.source in expected]
    differences = [abs(v.decision.raw_score - expected[v.source]) / threshold for v in known]
    return Agreement(
        pictures=len(expected),
        verdicts=len(seen.keys() & expected.keys()),
        more_than_one=sum(times > 1 for times in seen.values()),
        other_outcome=sum(verdict.decision.outcome is not outcomes[verdict.source] for verdict in known),
        largest_score_difference=max(differences, default=0.0),
    )


def _product(package: str, *arguments: str) -> None:
    """One of the product's commands, with this Python."""
    code = f"from {package}.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL)


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("category", type=Path, help="a folder in MVTec's layout")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser


if __name__ == "__main__":
    main()
