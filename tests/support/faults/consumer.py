"""A consumer that must have everything, and a machine that triggers: both on one MQTT connection, through every outage.

The consumer stores each verdict in a ledger, acknowledges what is contiguous, and asks for what is missing. The machine
sends one trigger after the other, each again and again until it has its verdict.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from functools import partial

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_runtime.errors import RecordError
from edge_runtime.mqtt.paho_connection import send_at_once
from edge_runtime.wire.verdict_json import decode_json
from tests.support.faults.ledger import Ledger
from tests.support.faults.stand import PREFIX

AGAIN_S = 0.1  # a trigger without an answer is sent again: soon, to meet the station in every moment of its start
ASK_S = 1.0  # how often a gap is asked for


class Consumer:
    """See the module. Connects at once, and again whenever the connection is lost. `close` ends it.

    asks_by_ack: whether the triggers to be answered are those that the station says it accepted, whoever sent them.
    """

    def __init__(self, port: int, asks_by_ack: bool = False) -> None:
        self.ledger = Ledger()
        self.unreadable: list[bytes] = []
        self.spooled = 0  # how many verdicts wait for the broker, as `/counters` said last
        self.replies: dict[str, int] = {}  # how often each word came on /trigger/ack
        self._asks_by_ack = asks_by_ack
        self._lock = threading.Condition()
        self._stopping = threading.Event()
        self._asked_s = self._acked_s = 0.0
        self._states: queue.Queue[str] = queue.Queue()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "consumer", clean_session=True)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(
            [(f"{PREFIX}/{topic}", 1) for topic in ("verdict/json", "replay/data", "trigger/ack", "state", "counters")]
        )
        self.client.on_message = self._take
        self.client.on_socket_open = lambda _client, _userdata, sock: send_at_once(sock)
        self.client.connect("127.0.0.1", port, 5)
        self._network = threading.Thread(target=self._run_network, daemon=True)
        self._network.start()
        self._trigger_id = 0
        self._machine = threading.Thread(target=self._run_machine, daemon=True)

    def start_machine(self) -> None:
        """Send triggers from now on."""
        self._machine.start()

    def wait_state(self, word: str, within_s: float) -> bool:
        """Wait for a `/state` that begins with a word."""
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                if self._states.get(timeout=left).startswith(word):
                    return True
            except queue.Empty:
                return False
        return False

    def wait_more(self, count: int, within_s: float) -> bool:
        """Wait for so many more verdicts."""
        with self._lock:
            wanted = len(self.ledger) + count
            return self._lock.wait_for(lambda: len(self.ledger) >= wanted, within_s)

    def forget_states(self) -> None:
        """Let `wait_state` look only at what comes from now on."""
        while not self._states.empty():
            self._states.get()

    def wait_all(self, within_s: float) -> bool:
        """Wait until every number came, every accepted trigger has its verdict, and none waits for the broker."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            with self._lock:
                self._ask()
                account = self.ledger.account()
            if not (account.lost or account.unanswered or self.spooled):
                return True
            time.sleep(0.1)
        return False

    def stop_machine(self) -> None:
        """The trigger in hand is answered, and none follows."""
        self._stopping.set()
        if self._machine.is_alive():
            self._machine.join(60)

    def wait_until_quiet(self, within_s: float = 30.0) -> None:
        """Ask for what is missing until nothing is, or the time is over."""
        deadline = time.monotonic() + within_s
        quiet_until = time.monotonic() + 1.5  # for what is on its way
        while time.monotonic() < deadline:
            with self._lock:
                gap = self.ledger.first_gap()
                if gap is None and time.monotonic() > quiet_until:
                    return
                self._ask()
            time.sleep(0.05)

    def expect_jump(self) -> None:
        """The spool was damaged, and everything of it is here: the next number may be any greater one."""
        with self._lock:
            self.ledger.expect_jump()

    def close(self) -> None:
        """End the connection."""
        self._stopping.set()
        self.client.disconnect()

    def _run_network(self) -> None:
        while not (self._stopping.is_set() and not self.client.is_connected()):
            try:
                if self.client.loop(0.1) == 0:
                    continue
            except OSError:
                pass
            if self._stopping.is_set():
                return
            time.sleep(0.02)  # sooner back than the station, to miss nothing
            with suppress(OSError):
                self.client.reconnect()

    def _take(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        name, payload = message.topic.removeprefix(f"{PREFIX}/"), bytes(message.payload)
        if name == "state":
            self._states.put(payload.decode("ascii"))
            return
        if name == "counters":
            self.spooled = int(payload.rsplit(b";", 1)[1])
            return
        if name == "trigger/ack":
            number, _, word = payload.decode("ascii").partition(";")
            with self._lock:
                if self._asks_by_ack and word in ("ACCEPTED", "DUPLICATE"):
                    self.ledger.ask(int(number))
                self.replies[word] = self.replies.get(word, 0) + 1
            return
        try:
            verdict = decode_json(payload)
        except RecordError:
            self.unreadable.append(payload)
            return
        with self._lock:
            self.ledger.add(verdict)
            self._lock.notify_all()
            self._acknowledge()
            self._ask()

    def _acknowledge(self) -> None:
        now = time.monotonic()
        if now - self._acked_s > 0.2 and self.ledger.contiguous:
            self._acked_s = now
            self.client.publish(f"{PREFIX}/verdict/ack", str(self.ledger.contiguous), 1)

    def _ask(self) -> None:
        now, gap = time.monotonic(), self.ledger.first_gap()
        if gap is not None and now - self._asked_s > ASK_S:
            self._asked_s = now
            self.client.publish(f"{PREFIX}/replay", f"{gap[0]};{gap[1]}", 1)

    def _run_machine(self) -> None:
        while not self._stopping.is_set():
            self._trigger_id += 1
            number = self._trigger_id
            with self._lock:
                self.ledger.ask(number)
                gives_up = time.monotonic() + 60
                while not self.ledger.is_answered(number) and time.monotonic() < gives_up:
                    self.client.publish(f"{PREFIX}/trigger", f"{number};12;PART-{number:06d}", 1)
                    self._lock.wait_for(partial(self.ledger.is_answered, number), AGAIN_S)
