"""A broker of a hundred lines on a real socket: it answers as MQTT wants, and sends one packet of its own.

with FakeBroker(packets=[b"\\x30\\x00"], moment="subscribed") as broker:
    ...
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from tests.support.faults.malformed_packets import remaining_length


class FakeBroker:
    """Connection n gets packets[n] at a moment: instead of CONNACK or SUBACK, or when it is subscribed. Later ones get
    none. hold: whether a connection stays open after its packet."""

    def __init__(self, packets, moment="subscribed", protocol="3.1.1", hold=False):
        self._packets, self._moment, self._hold = list(packets), moment, hold
        self._is_5 = protocol == "5"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self.received = []  # topics of what was published
        self.subscribed = threading.Semaphore(0)
        self._open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                packet = self._packets[self.connections] if self.connections < len(self._packets) else None
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, packet), daemon=True).start()

    def _serve(self, connection, packet):
        with suppress(OSError), connection:
            connection.settimeout(10)
            while (found := self._read(connection)) is not None:
                kind, body = found
                moment = {1: "connect", 8: "subscribe"}.get(kind >> 4)
                if packet is not None and moment == self._moment:
                    connection.sendall(packet)
                    if not self._hold:
                        return
                    packet = None
                elif moment == "connect":
                    connection.sendall(b"\x20\x03\x00\x00\x00" if self._is_5 else b"\x20\x02\x00\x00")
                elif moment == "subscribe":
                    codes = b"\x01" * 5
                    answer = body[:2] + (b"\x00" if self._is_5 else b"") + codes
                    connection.sendall(b"\x90" + remaining_length(len(answer)) + answer)
                    self.subscribed.release()
                    if packet is not None:
                        connection.sendall(packet)
                        packet = None
                        if not self._hold:
                            return
                elif kind >> 4 == 3:
                    length = int.from_bytes(body[:2], "big")
                    self.received.append(body[2 : 2 + length].decode())
                    if kind & 6:
                        connection.sendall(b"\x40\x02" + body[2 + length : 4 + length])
                elif kind >> 4 == 12:
                    connection.sendall(b"\xd0\x00")
                elif kind >> 4 == 14:
                    return

    def _read(self, connection):
        """One packet: its first byte, and what follows the length. None: the other side has ended."""
        head = connection.recv(1)
        if not head:
            return None
        length = shift = 0
        while True:
            byte = connection.recv(1)
            if not byte:
                return None
            length |= (byte[0] & 127) << shift
            shift += 7
            if not byte[0] & 128:
                break
        body = b""
        while len(body) < length:
            part = connection.recv(length - len(body))
            if not part:
                return None
            body += part
        return head[0], body
