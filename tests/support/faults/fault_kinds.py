"""What can go wrong at a station: one method a fault, each on real parts, each over when the method returns.

The faults of pictures are in the folder of pictures: see `PICTURES`. They come with every round of it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.faults.consumer import Consumer
from tests.support.faults.plc import Plc
from tests.support.faults.proxy import FaultProxy
from tests.support.faults.stand import PREFIX, Stand

# black, saturated, no picture, 16 bits, PNG cut off, JPEG cut off, empty file: seven kinds of faults
PICTURES = "ononobnosnodngonconjoneno"
PICTURE_FAULTS = len(set(PICTURES) - set("on"))


class FaultKinds:
    """Does one fault after the other to a station at work."""

    def __init__(
        self,
        stand: Stand,
        proxy: FaultProxy,
        plc: Plc,
        consumer: Consumer,
        control: Path,
        station: Path,
        chance: random.Random,
    ) -> None:
        self._stand, self._proxy, self._plc, self._consumer = stand, proxy, plc, consumer
        self._control, self._station, self._chance = control, station, chance
        self.all: dict[str, Callable[[], None]] = {
            "connection cut": lambda: self._network(proxy.cut),
            "connection reset": lambda: self._network(proxy.reset),
            "connection half-open": lambda: self._silence(up=True, down=True, for_s=2.0),
            "nothing reaches the broker": lambda: self._silence(up=True, down=False, for_s=1.5),
            "nothing comes from the broker": lambda: self._silence(up=False, down=True, for_s=1.5),
            "a silence that ends the connection": lambda: self._silence(up=True, down=True, for_s=6.5),
            "delay of 50 ms": lambda: self._slow(0.05, 0),
            "delay of 700 ms": lambda: self._slow(0.7, 0),
            "bytes one by one": lambda: self._slow(0.0, 1),
            "pieces of 7 bytes": lambda: self._slow(0.0, 7),
            "connections refused": self._refuse,
            "broker killed": lambda: self._kill_broker(0.0),
            "broker killed and away": lambda: self._kill_broker(2.0),
            "broker hangs shortly": lambda: self._freeze_broker(0.5),
            "broker hangs": lambda: self._freeze_broker(2.5),
            "broker hangs and is killed": self._freeze_and_kill_broker,
            "daemon killed": lambda: self._end_daemon(signal.SIGKILL),
            "daemon killed while it starts": self._kill_starting,
            "daemon stopped in order": lambda: self._end_daemon(signal.SIGTERM),
            "daemon frozen shortly": lambda: self._freeze_daemon(0.3),
            "daemon frozen beyond the deadline": lambda: self._freeze_daemon(1.6),
            "spool damaged": self._damage_spool,
            "spool gone": self._remove_spool,
            "mark of numbers damaged": self._damage_mark,
            "engine hangs": lambda: self._hardware("engine hangs", 4.5),
            "engine is slow": lambda: self._hardware("engine is slow", 1.0),
            "engine fails": lambda: self._hardware("engine fails", 0.3),
            "engine breaks": lambda: self._hardware("engine breaks", 0.3),
            "score is NaN": lambda: self._hardware("score is NaN", 0.3),
            "score is infinite": lambda: self._hardware("score is infinite", 0.3),
            "map has a NaN": lambda: self._hardware("map has a NaN", 0.3),
            "camera hangs": lambda: self._hardware("camera hangs", 4.5),
            "camera is silent": lambda: self._hardware("camera is silent", 1.0),
            "wrong recipe": lambda: self._send(("trigger", b"4000000001;13;X")),
            "malformed triggers": lambda: self._send(
                *(("trigger", p) for p in (b"", b";;", b"x;12;y", b"0;12;y", b"4294967296;12;y", b"7;12;\xff"))
            ),
            "trigger of 10 kB": lambda: self._send(("trigger", b"4000000002;12;" + b"X" * 10_000)),
            "retained trigger": self._retained_trigger,
            "flood of triggers": self._flood,
            "same id for another part": lambda: self._send(("trigger", b"%d;12;OTHER" % max(self._plc.parts))),
            "unknown commands": lambda: self._send(("command", b"EXPLODE"), ("command", b"\x00\xff"), ("command", b"")),
            "wrong acknowledgements": lambda: self._send(
                *(("verdict/ack", p) for p in (b"4294967295", b"-1", b"x", b"", b"99999999999"))
            ),
            "wrong replays": lambda: self._send(*(("replay", p) for p in (b"9;1", b"x;y", b"", b"1;4294967296"))),
            "replay of everything": lambda: self._send(("replay", b"1;4294967295")),
            "pause and resume": self._pause,
            "self-test while at work": lambda: self._send(("command", b"SELFTEST")),
            "reload while at work": lambda: self._send(("command", b"RELOAD")),
            "reload of a bad bundle": self._reload_bad_bundle,
            "another client with the station's id": self._steal_id,
        }

    def ensure_running(self) -> None:
        """What systemd does: a daemon that ended is started again."""
        if self._stand.pid in self._stand.nursery.exits:
            self._stand.start(self._station)

    def _network(self, fault: Callable[[], None]) -> None:
        fault()

    def _silence(self, up: bool, down: bool, for_s: float) -> None:
        self._proxy.up_silent, self._proxy.down_silent = up, down
        time.sleep(for_s)
        self._proxy.heal()

    def _slow(self, delay_s: float, slice_bytes: int) -> None:
        self._proxy.delay_s, self._proxy.slice_bytes = delay_s, slice_bytes
        time.sleep(1.5)
        self._proxy.heal()

    def _refuse(self) -> None:
        self._proxy.refuses = True
        self._proxy.cut()
        time.sleep(1.0)
        self._proxy.heal()

    def _kill_broker(self, away_s: float) -> None:
        self._stand.broker.kill()
        time.sleep(away_s)
        self._stand.broker.start()

    def _freeze_broker(self, for_s: float) -> None:
        self._stand.broker.freeze()
        time.sleep(for_s)
        self._stand.broker.thaw()

    def _freeze_and_kill_broker(self) -> None:
        self._stand.broker.freeze()
        time.sleep(self._chance.uniform(0.1, 1.5))
        self._kill_broker(0.0)

    def _end_daemon(self, number: int) -> None:
        self._stand.kill(number)
        self._stand.start(self._station)

    def _kill_starting(self) -> None:
        for _ in range(2):
            self._end_daemon(signal.SIGKILL)
            time.sleep(self._chance.uniform(0.0, 0.3))

    def _freeze_daemon(self, for_s: float) -> None:
        os.kill(self._stand.pid, signal.SIGSTOP)
        time.sleep(for_s)
        os.kill(self._stand.pid, signal.SIGCONT)

    def _with_all_delivered(self, fault: Callable[[Path], None]) -> None:
        """Damage the folder of the station while it is off, when the consumer has everything that it held."""
        self._plc.paused.set()
        self._plc.idle.wait(10)
        self._consumer.wait_until_quiet(20)
        self._stand.kill()
        self._consumer.wait_until_quiet(2)
        fault(self._stand.folder / "state")
        self._stand.start(self._station)
        self._consumer.wait_state("READY", 20)
        self._consumer.expect_jump()
        self._plc.paused.clear()

    def _damage_spool(self) -> None:
        def damage(state: Path) -> None:
            with (state / "spool.sqlite3").open("r+b") as file:
                file.write(b"\xa5" * 100)

        self._with_all_delivered(damage)

    def _remove_spool(self) -> None:
        def remove(state: Path) -> None:
            for path in state.glob("spool.sqlite3*"):
                path.unlink()

        self._with_all_delivered(remove)

    def _damage_mark(self) -> None:
        self._stand.kill()
        (self._stand.folder / "state" / "seq.mark").write_bytes(b"nonsense")
        self._stand.start(self._station)

    def _hardware(self, word: str, for_s: float) -> None:
        self._control.write_text(word)
        time.sleep(for_s)
        self._control.write_text("")

    def _send(self, *messages: tuple[str, bytes]) -> None:
        for topic, payload in messages:
            self._consumer.client.publish(f"{PREFIX}/{topic}", payload, 1)
        time.sleep(0.1)

    def _retained_trigger(self) -> None:
        self._consumer.client.publish(f"{PREFIX}/trigger", b"4000000003;13;OLD", 1, retain=True)
        self._proxy.cut()  # the station finds it when it comes back
        time.sleep(1.2)
        self._consumer.client.publish(f"{PREFIX}/trigger", b"", 1, retain=True)

    def _flood(self) -> None:
        """More triggers than can be taken, of parts that nobody waits for: each accepted one is answered."""
        first = 3_000_000_000 + self._chance.randrange(100_000_000)
        self._send(*(("trigger", b"%d;12;FLOOD" % (first + n)) for n in range(50)))

    def _pause(self) -> None:
        self._send(("command", b"PAUSE"))
        time.sleep(0.3)
        for _ in range(3):  # a command is not repeated by anyone else if the connection was lost
            self._send(("command", b"RESUME"))

    def _reload_bad_bundle(self) -> None:
        graph = self._stand.folder / "bundle" / "model.fp32.onnx"
        content = graph.read_bytes()
        graph.write_bytes(content[:-10])
        self._send(("command", b"RELOAD"))
        time.sleep(0.5)
        graph.write_bytes(content)

    def _steal_id(self) -> None:
        thief = paho.Client(CallbackAPIVersion.VERSION2, "edge-press-1")
        thief.connect("127.0.0.1", self._stand.broker.port)
        thief.loop_start()
        time.sleep(0.3)
        thief.disconnect()
        thief.loop_stop()
