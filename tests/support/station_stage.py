"""A station with a scripted source, engine and publisher, a real spool and a real bundle."""

from __future__ import annotations

import threading
import time

import numpy as np

from edge_runtime.config.edits import Edits
from edge_runtime.config.station import MqttSettings, SourceSettings, Station
from edge_runtime.daemon.admission import admit
from edge_runtime.daemon.assembly import next_model
from edge_runtime.daemon.command_handler import CommandHandler
from edge_runtime.daemon.dispatcher import Dispatcher
from edge_runtime.daemon.events import EventQueue
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.daemon.inspector import Inspector
from edge_runtime.daemon.model import Loader, ServingModel, load_model
from edge_runtime.daemon.requests import binding_request
from edge_runtime.daemon.self_test import SelfTest
from edge_runtime.daemon.status import Status
from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.daemon.trigger_modes import open_trigger_mode
from edge_runtime.daemon.verdict_issuer import VerdictIssuer
from edge_runtime.inspection.frame_history import FrameHistory
from edge_runtime.monitoring.clock import Clock
from edge_runtime.monitoring.counters import Counters
from edge_runtime.monitoring.systemd import Watchdog
from edge_runtime.records import Frame, Inspection
from edge_runtime.storage.image_archive import ImageArchive
from edge_runtime.storage.served import remember
from edge_runtime.storage.spool import Spool
from edge_runtime.wire.commands import Trigger
from tests.support.tiny_bundle import picture, write_bundle

WAIT_S = 15  # for what must come; it comes within milliseconds unless the machine is busy


class ScriptedEngine:
    """The tiny graph's arithmetic, unless it is set to fail."""

    name = "scripted"

    def __init__(self):
        self.failure: Exception | None = None
        self.takes_s = 0.0
        self.hangs: threading.Event | None = None  # until it is set
        self.closed = False

    def infer(self, image):
        time.sleep(self.takes_s)
        if self.hangs is not None:
            assert self.hangs.wait(WAIT_S)
        if self.failure is not None:
            raise self.failure
        anomaly_map = image[0].astype(np.float32).mean(axis=2)
        return Inspection(float(anomaly_map.max()), anomaly_map)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed = True


class ScriptedSource:
    """Gives its frames in turn, then None. One that is callable is called."""

    def __init__(self, *frames):
        self.frames = list(frames)
        self.waits, self.lost, self.done = [], None, []

    def next_frame(self, wait_s):
        self.waits.append(wait_s)
        frame = self.frames.pop(0) if self.frames else None
        return frame() if callable(frame) else frame

    def problem(self):
        return self.lost

    def committed(self, file):
        self.done.append(file)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class RecordingPublisher:
    def __init__(self):
        self.verdicts, self.states, self.replies = [], [], []
        self.changed = threading.Condition()

    def publish(self, verdict, taken_ns):
        self._add(self.verdicts, verdict)

    def publish_state(self, report):
        self._add(self.states, report.state)

    def reply(self, topic, payload):
        self._add(self.replies, payload)

    def _add(self, where, what):
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, WAIT_S)


def frame(spot=False, name="a.png", seed=1, sequence=1):
    """Taken when it is asked for, as by a camera."""
    return lambda: Frame("test", sequence, time.monotonic_ns(), picture(spot, seed), name)


class Stage:
    """One station. Without `with stage.issuer`, no deadline is watched."""

    def __init__(self, folder, mode, *frames, deadline_ms=60_000, **settings):
        write_bundle(folder / "bundle")
        self.station = Station(
            line="l", cell="c", bundle=folder / "bundle", mode=mode, recipe=12, deadline_ms=deadline_ms,
            source=SourceSettings(uri="folder://x"), state_dir=folder / "state", mqtt=MqttSettings(host="h"),
            **settings,
        )  # fmt: skip
        self.engines, self.source = [], ScriptedSource(*frames)
        self.spool, self.publisher, self.events, self.counters = (
            Spool(folder / "state"),
            RecordingPublisher(),
            EventQueue(),
            Counters(),
        )
        self.trigger_gate = TriggerGate(12, 10, time.monotonic, depth=self.station.queue_depth)
        self.status = Status(self.publisher.publish_state, self.trigger_gate, mode == "triggered")
        self.notified = []
        model = self.load()
        self.issuer = VerdictIssuer(
            12, model.bundle.manifest, self.spool, self.publisher, self.counters, self.status,
            self.trigger_gate.complete if mode == "triggered" else lambda verdict: None, self.events.put,
            Clock(synchronised=lambda: True),
        )  # fmt: skip
        self.serving, watchdog = ServingModel(model), Watchdog(1000.0, self.notified.append)
        self.self_test = SelfTest(self.serving, self.status, watchdog, self.station.self_test_hours)
        remember(self.station.state_dir, model.bundle)
        self.loader = Loader(lambda: next_model(self.station, Hardware(open_engine=self.open_engine)))
        self.edits = Edits()
        self.commands = CommandHandler(
            self.serving, self.self_test, self.loader, self.issuer, self.events, self.status,
            lambda reply: self.publisher.reply("command/ack", reply), lambda: self.edits,
        )  # fmt: skip
        self.dispatcher = Dispatcher(
            self.events, open_trigger_mode(self.station, self.source, self.counters), self.trigger_gate, self.issuer,
            self.source, self.self_test, self.commands, self.status, watchdog,
        )  # fmt: skip
        history = FrameHistory(60_000, self.station.health.frozen)
        archive = ImageArchive(folder, 0, 0)
        self.inspector = Inspector(self.source, self.serving, history, self.issuer, archive, self.status)

    @property
    def engine(self):
        return self.engines[-1]

    def open_engine(self, station, bundle):
        self.engines.append(ScriptedEngine())
        return self.engines[-1]

    def load(self):
        return load_model(admit(self.station), self.station, self.open_engine)

    def trigger(self, trigger_id=7, part_id="PART-7"):
        """As the message router does."""
        trigger = Trigger(trigger_id, 12, part_id)
        assert self.trigger_gate.offer(trigger).reply.value == "ACCEPTED"
        request = binding_request(trigger, time.monotonic_ns(), self.station.deadline_ms)
        self.issuer.track(request)
        self.events.put(request)
        return request

    def step(self, once=False):
        """One turn of serve's loop; the verdict, or None at the end."""
        request = self.dispatcher.next_request(once)
        if request is None:
            return None
        capture = self.inspector.capture(request)
        if capture is None:
            return self.step(once)
        return self.inspector.answer(request, capture, self.inspector.judge(request, capture))

    def run(self):
        """Serve in a thread of its own, until the events say stop."""

        def serve():
            while self.step() is not None or not self.status.conditions.stopping:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        return thread
