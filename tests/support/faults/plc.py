"""A PLC as small as they come: a scan every 10 ms, a buffer of 100 bytes, no JSON, MQTT 3.1.1 by hand.

It runs the handshake of docs/reference/mqtt.md, decodes the binary record as the reference decoder does, rejects a part
whose verdict does not come in its window, and counts what it saw. One part is in hand at a time.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from tests.support.faults.stand import PREFIX

SCAN_S = 0.010
BUFFER = 100  # bytes: of a packet, and of what one scan takes from the line
WINDOW_S = 3.0  # the PLC's own timer for a part; then it is rejected
AGAIN_S = 0.5  # no acknowledgement: the same trigger is sent again
RETRY_S = 0.03  # BUSY or NOTREADY: it is sent again
KEEPALIVE_S = 5


class Part(Enum):
    """What became of a part."""

    OK = "ok"
    NOK = "nok"
    ERROR = "error"
    REJECTED = "rejected"  # no verdict within the window


class Plc:
    """Sends triggers one after the other while it is not `paused`, until `stop`. `parts` has what became of each.

    on_trigger is called with each new trigger id before it is sent.
    """

    def __init__(self, port: int, recipe: int, on_trigger: Callable[[int], None]) -> None:
        self._port, self._recipe, self._on_trigger = port, recipe, on_trigger
        self.parts: dict[int, Part] = {}
        self.replies: dict[str, int] = {}
        self.refused_records = self.oversized = 0
        self.paused = threading.Event()
        self.idle = threading.Event()
        self._stopping = threading.Event()
        self._sock: socket.socket | None = None
        self._line = bytearray()
        self._skip = 0  # bytes of an oversized packet that are still to come
        self._subscribed = False
        self._packet_id = 0
        self._last_seq = 0  # in retained memory, like the trigger id
        self._trigger_id = 0
        self._waits = False  # a part is in hand
        self._began_s = self._pinged_s = 0.0
        self._due_s = 0.0  # when the trigger is sent (again)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Power on."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the part in hand, then power off."""
        self._stopping.set()
        self._thread.join(60)

    def wait_parts(self, count: int, within_s: float) -> bool:
        """Until so many parts went through."""
        deadline = time.monotonic() + within_s
        while len(self.parts) < count:
            if time.monotonic() > deadline:
                return False
            time.sleep(SCAN_S)
        return True

    def _run(self) -> None:
        due_s = time.monotonic()
        while not (self._stopping.is_set() and not self._waits):
            self._scan(time.monotonic())
            due_s = max(due_s + SCAN_S, time.monotonic())
            time.sleep(max(0.0, due_s - time.monotonic()))
        self.idle.set()
        if self._sock is not None:
            self._sock.close()

    def _scan(self, now_s: float) -> None:
        """One cycle: inputs, logic, outputs."""
        try:
            if self._sock is None:
                self._connect()
            self._read()
        except OSError:
            self._drop()
        self._advance(now_s)
        if self._sock is not None and now_s - self._pinged_s > KEEPALIVE_S / 2:
            self._pinged_s = now_s
            self._send(b"\xc0\x00")

    def _advance(self, now_s: float) -> None:
        if self._waits:
            if now_s - self._began_s > WINDOW_S:
                self._complete(Part.REJECTED)
            elif now_s >= self._due_s and self._subscribed:
                self._send_trigger(now_s, AGAIN_S)
        elif self._subscribed and not self._stopping.is_set() and not self.paused.is_set():
            self.idle.clear()
            self._trigger_id += 1
            self._on_trigger(self._trigger_id)
            self._waits, self._began_s = True, now_s
            self._send_trigger(now_s, AGAIN_S)
        else:
            self.idle.set()

    def _send_trigger(self, now_s: float, again_s: float) -> None:
        self._due_s = now_s + again_s
        payload = f"{self._trigger_id};{self._recipe};P{self._trigger_id:010d}".encode("ascii")
        self._packet_id = self._packet_id % 65535 + 1
        topic = f"{PREFIX}/trigger".encode("ascii")
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", self._packet_id) + payload
        self._send(b"\x32" + bytes([len(body)]) + body)

    def _complete(self, part: Part) -> None:
        self.parts[self._trigger_id] = part
        self._waits = False

    def _connect(self) -> None:
        self._sock = socket.create_connection(("127.0.0.1", self._port), timeout=0.5)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setblocking(False)
        self._line.clear()
        self._skip, self._subscribed = 0, False
        body = b"\x00\x04MQTT\x04\x02" + struct.pack(">H", KEEPALIVE_S) + b"\x00\x03plc"
        self._send(b"\x10" + bytes([len(body)]) + body)
        body = b"\x00\x01"
        for name in ("trigger/ack", "verdict/bin"):
            topic = f"{PREFIX}/{name}".encode("ascii")
            body += struct.pack(">H", len(topic)) + topic + b"\x01"
        self._send(b"\x82" + bytes([len(body)]) + body)

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock, self._subscribed = None, False

    def _send(self, packet: bytes) -> None:
        if self._sock is not None:
            try:
                self._sock.sendall(packet)
            except OSError:
                self._drop()

    def _read(self) -> None:
        assert self._sock is not None
        with suppress(BlockingIOError):
            data = self._sock.recv(BUFFER - len(self._line))
            if not data:
                raise ConnectionError("the broker closed the connection")
            self._line += data
        while (packet := self._next_packet()) is not None:
            self._handle(packet)

    def _next_packet(self) -> bytes | None:
        if self._skip:
            gone = min(self._skip, len(self._line))
            del self._line[:gone]
            self._skip -= gone
        if len(self._line) < 2:
            return None
        length, position, shift = 0, 1, 0
        while True:
            if position >= len(self._line):
                return None
            length |= (self._line[position] & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if not self._line[position - 1] & 0x80:
                break
        total = position + length
        if total > BUFFER:  # no room for it: it passes by unread
            self.oversized += 1
            self._skip = total
            return self._next_packet()
        if len(self._line) < total:
            return None
        packet = bytes(self._line[:1]) + bytes(self._line[position:total])
        del self._line[:total]
        return packet

    def _handle(self, packet: bytes) -> None:
        kind = packet[0] >> 4
        if kind == 9:  # SUBACK
            self._subscribed = True
        elif kind == 3:  # PUBLISH
            (length,) = struct.unpack_from(">H", packet, 1)
            topic, rest = packet[3 : 3 + length].decode("ascii"), packet[3 + length :]
            if packet[0] & 0x06:
                self._send(b"\x40\x02" + rest[:2])
                rest = rest[2:]
            if topic.endswith("/trigger/ack"):
                self._take_ack(rest.decode("ascii"))
            else:
                self._take_verdict(rest)

    def _take_ack(self, text: str) -> None:
        number, _, word = text.partition(";")
        self.replies[word] = self.replies.get(word, 0) + 1
        if self._waits and number == str(self._trigger_id) and word in ("BUSY", "NOTREADY"):
            self._due_s = time.monotonic() + RETRY_S

    def _take_verdict(self, record: bytes) -> None:
        """FB_VerdictBin of deploy/plc, in Python, for it must keep up with thousands of parts."""
        if len(record) != 64 or zlib.crc32(record[:60]) != int.from_bytes(record[60:], "big") or record[0] != 1:
            self.refused_records += 1
            return
        seq, trigger_id = struct.unpack_from(">II", record, 4)
        if record[2] != record[1] ^ 0xFF or seq == 0 or seq != int.from_bytes(record[56:60], "big"):
            self.refused_records += 1
            return
        if not self._waits or trigger_id != self._trigger_id or seq <= self._last_seq:
            return
        self._last_seq = seq
        (error,) = struct.unpack_from(">H", record, 12)
        if record[1] == 1 and error == 0 and not record[3] & 0x1F:
            self._complete(Part.OK)
        else:
            self._complete(Part.NOK if record[1] == 2 else Part.ERROR)
