"""A real broker, the real daemon, a listener: what a station and a PLC are, on loopback. And bundles, built once."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.support.build_stage import Made, changed_recipe, edge_build, write_recipe
from tests.support.mqtt_end import end
from tests.support.ports import free_port
from tests.support.tiny_bundle import write_bundle
from tests.support.tiny_dataset import write_dataset

FAULTY = Path(__file__).parents[1] / "support/faulty_hardware.py"
HERE = Path(__file__).parent
COSTLY = ("made", "compared")  # bundles that many tests look at
WAIT_S = 15  # for anything that must come; it comes within milliseconds unless the machine is busy
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def pytest_collection_modifyitems(items):
    """With `--dist loadgroup` the tests that look at one of the costly bundles share a worker, which builds it once."""
    for item in items:
        for bundle in COSTLY:
            if bundle in item.fixturenames and item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.xdist_group(bundle))


class Broker:
    """mosquitto on a free port of loopback; can be killed and started again."""

    def __init__(self, folder, *more):
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "log_dest stderr", "max_queued_messages 0", *more]
        if os.getuid() == 0:
            lines.append("user root")  # it would become a user who cannot read the test's folder
        if not more:
            lines.append("allow_anonymous true")
        self._config.write_text("\n".join(lines) + "\n")
        self._process = None

    def start(self):
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        for line in self._process.stderr:
            if line.rstrip().endswith(" running"):
                break
        else:
            raise RuntimeError(f"mosquitto did not start with {self._config.read_text()}")

    def configure(self, line, other):
        """Replace a line of its configuration; in force with the next start."""
        text = self._config.read_text()
        assert line in text
        self._config.write_text(text.replace(line, other))

    def reread(self):
        """Let it read its access list again."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self):
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None


class Listener:
    """Subscribes to everything and keeps it in the order of arrival. user: its name, and its password."""

    def __init__(self, port, user=None):
        self.messages: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
        self.seen: list[tuple[str, bytes, bool]] = []
        self._subscribed: queue.Queue[bool] = queue.Queue()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, user or "listener", clean_session=True)
        if user is not None:
            self.client.username_pw_set(user, user)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe("ev1/#", 1)
        self.client.on_subscribe = lambda *_: self._subscribed.put(True)
        self.client.on_message = lambda _c, _u, m: self.messages.put((m.topic, bytes(m.payload), m.retain))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.wait_subscribed()

    def wait_subscribed(self):
        self._subscribed.get(timeout=WAIT_S)

    def send(self, topic, payload, retain=False):
        self.client.publish(f"ev1/press/1/{topic}", payload, 1, retain)

    def next_on(self, topic, matches=lambda payload: True, wait_s=WAIT_S):
        """The next message on a topic (of those not yet taken) that matches; what passes by is in `seen`."""
        deadline = time.monotonic() + wait_s  # heartbeats go on for ever
        while True:
            found = self.messages.get(timeout=max(deadline - time.monotonic(), 0))
            self.seen.append(found)
            if found[0] == f"ev1/press/1/{topic}" and matches(found[1]):
                return found[1]

    def wait_for(self, topic, payload):
        """Until exactly this has been published on a topic, whatever came before or after it."""
        self.wait_for_one(topic, lambda found: found == payload)

    def wait_for_one(self, topic, matches, wait_s=WAIT_S):
        """Until a message on a topic has matched, whatever came before or after it."""
        if not any(found[0] == f"ev1/press/1/{topic}" and matches(found[1]) for found in self.seen):
            self.next_on(topic, matches, wait_s)

    def take(self, topic, count, wait_s=WAIT_S):
        return [self.next_on(topic, wait_s=wait_s) for _ in range(count)]

    def wait_state(self, state):
        return self.next_on("state", lambda payload: payload.split(b";")[0] == state.encode())

    def close(self):
        end(self.client)


class Daemon:
    """The `edge-daemon` process; with `faults`, the file that makes its camera and engine fail."""

    def __init__(self, station, *options, faults=None, **environ):
        program = ["-c", "from edge_runtime.cli import main; main()", "run", str(station)]
        if faults is not None:
            program = [str(FAULTY), str(station), str(faults)]
        self.process = subprocess.Popen(
            [sys.executable, *program, *options], stderr=subprocess.PIPE, text=True, env=os.environ | environ
        )
        self.log = ""

    def wait(self, wait_s=60):
        """Its exit code; `log` is then what it wrote."""
        _, self.log = self.process.communicate(timeout=wait_s)
        return self.process.returncode

    def read_until(self, text):
        """Wait for a line of its log."""
        for line in self.process.stderr:
            if text in line:
                return
        raise RuntimeError(f"the daemon ended and never wrote {text!r}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        return self.wait()


class Bench:
    """A folder with a bundle, pictures and a station file, and everything started from it."""

    def __init__(self, folder: Path):
        self.folder, self._started = folder, []
        self.pictures = folder / "pictures"
        write_bundle(folder / "bundle")

    def station(self, port, uri=None, **settings):
        nested = {key: settings.pop(key, "") for key in ("mqtt", "source")}
        more = "".join(f"{key}: {value}\n" for key, value in settings.items())
        path = self.folder / "station.yaml"
        path.write_text(
            f"line: press\ncell: '1'\nbundle: bundle\nthreads: 1\nstate_dir: state\n{more}"
            f"mqtt: {{host: 127.0.0.1, port: {port}, heartbeat_ms: 100{nested['mqtt']}}}\n"
            f"source: {{uri: '{uri or f'folder://{self.pictures}'}'{nested['source']}}}\n"
        )
        return path

    def daemon(self, station, *options, faults=None, **environ):
        self._started.append(Daemon(station, *options, faults=faults, **environ))
        return self._started[-1]

    def close(self):
        for daemon in self._started:
            if daemon.process.poll() is None:
                daemon.kill()
            daemon.process.stderr.close()


@pytest.fixture
def start_broker(tmp_path):
    """Start a broker; with lines of configuration, who may connect is theirs to say."""
    started = []

    def start(*more):
        started.append(Broker(tmp_path, *more))
        started[-1].start()
        return started[-1]

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def broker(start_broker):
    return start_broker()


@pytest.fixture
def make_listener():
    """Listen to a broker that is not the usual one."""
    made = []

    def make(port, user=None):
        made.append(Listener(port, user))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def listener(broker):
    listener = Listener(broker.port)
    yield listener
    listener.close()


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("made")
    dataset = write_dataset(place / "parts")
    recipe = write_recipe(dataset)
    found = edge_build("build", recipe, "--out", place / "out", "--json", place / "summary.json")
    assert found.returncode == 0, found.stderr
    assert found.stdout == f"{place}/out/parts-1\n"
    return Made(dataset, recipe, place / "out/parts-1", json.loads((place / "summary.json").read_text()), found.stderr)


@pytest.fixture(scope="session")
def measured(made: Made) -> Path:
    """The folder with what `evaluate` wrote: its output, summary and scores."""
    place = made.dataset.parent
    written = ("--json", place / "evaluation.json", "--save-scores", place / "scores.npz")
    found = edge_build("evaluate", made.bundle, made.dataset, "--threads", 1, *written)
    assert found.returncode == 0, found.stderr
    (place / "evaluation.txt").write_text(found.stdout)
    return place


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("compared")
    dataset = write_dataset(place / "parts", train=20)
    recipe = changed_recipe(dataset, "cpr-faster", ("pool: 1600", "pool: 40"), ("steps: 600", "steps: 16"))
    built = edge_build("build", recipe, "--out", place / "out", "--json", place / "summary.json")
    assert built.returncode == 0, built.stderr
    summary = json.loads((place / "summary.json").read_text())
    return Made(dataset, recipe, place / "out/parts-1", summary, built.stderr)
