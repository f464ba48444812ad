"""A network that loses datagrams, between a GigE Vision camera and its station: a proxy for both of its protocols.

Control (GVCP) passes as it is, but for the address and port that the camera streams to: the proxy writes its own there.
Of the stream (GVSP) each datagram is dropped with a chance, whichever it is: leader, payload, trailer, or one that was
sent again on request.

    with GigeCamera(), GigeProxy(lost=0.01) as proxy:
        source = open_source(SourceSettings(uri=proxy.uri), "triggered")
"""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
from types import TracebackType

CAMERA, HERE, CONTROL_PORT = "127.0.0.1", "127.0.0.2", 3956
DISCOVERY_ACK, WRITE_REGISTER, WRITE_MEMORY, RESEND = 0x0003, 0x0082, 0x0086, 0x0040
STREAM_PORT, STREAM_ADDRESS = 0x0D00, 0x0D18  # the camera's registers: where it sends the frames to
CURRENT_ADDRESS = 0x24  # in the answer to a discovery
HEADER = 8
TURN_S = 0.1
RECEIVE_BYTES = 4 << 20


class GigeProxy:
    """See the module. A context manager; the camera's process runs already. lost: the share of stream datagrams."""

    uri = f"aravis://{HERE}"

    def __init__(self, lost: float, seed: int = 0) -> None:
        self._lost, self._chance = lost, random.Random(seed)
        self.passed = self.dropped = self.asked_again = 0  # datagrams of the stream, and requests to send some again
        self._control = _udp(HERE, CONTROL_PORT)
        self._from_camera = _udp(CAMERA, 0)
        self._to_station: socket.socket | None = None
        self._stations: dict[tuple[str, int], socket.socket] = {}
        self._wanted: dict[int, int] = {}  # by register: where the station wants the stream
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gige proxy", daemon=True)

    def __enter__(self) -> GigeProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        for one in (self._control, self._from_camera, self._to_station, *self._stations.values()):
            if one is not None:
                one.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            ways = {upstream: station for station, upstream in self._stations.items()}
            ready, _, _ = select.select([self._control, self._from_camera, *ways], [], [], TURN_S)
            for one in ready:
                try:
                    packet, sender = one.recvfrom(65_536)
                except ConnectionRefusedError:  # the camera is off
                    continue
                if one is self._control:
                    self._to_camera(packet, sender)
                elif one is self._from_camera:
                    self._stream(packet, sender)
                else:
                    self._control.sendto(_with_own_address(packet), ways[one])

    def _to_camera(self, packet: bytes, station: tuple[str, int]) -> None:
        if station not in self._stations:
            upstream = _udp(CAMERA, 0)
            upstream.connect((CAMERA, CONTROL_PORT))
            self._stations[station] = upstream
        command = int.from_bytes(packet[2:4], "big")
        self.asked_again += command == RESEND
        if command in (WRITE_REGISTER, WRITE_MEMORY):
            packet = self._redirected(packet)
        self._stations[station].send(packet)

    def _redirected(self, packet: bytes) -> bytes:
        """Writes to the stream's registers name the proxy instead."""
        out = bytearray(packet)
        for at in range(HEADER, len(packet) - 7, 8):
            register, value = struct.unpack_from(">II", packet, at)
            if register in (STREAM_PORT, STREAM_ADDRESS) and value:
                self._wanted[register] = value
                address, port = self._from_camera.getsockname()
                own = port if register == STREAM_PORT else int.from_bytes(socket.inet_aton(address), "big")
                struct.pack_into(">I", out, at + 4, own)
        return bytes(out)

    def _stream(self, packet: bytes, camera: tuple[str, int]) -> None:
        if self._chance.random() < self._lost:
            self.dropped += 1
            return
        if self._to_station is None or self._to_station.getsockname()[1] != camera[1]:
            if self._to_station is not None:
                self._to_station.close()
            self._to_station = _udp(HERE, camera[1])  # a station may look at the port that the stream comes from
        address = socket.inet_ntoa(self._wanted[STREAM_ADDRESS].to_bytes(4, "big"))
        self._to_station.sendto(packet, (address, self._wanted[STREAM_PORT] & 0xFFFF))
        self.passed += 1


def _udp(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    made.bind((address, port))
    return made


def _with_own_address(packet: bytes) -> bytes:
    """A camera's answer to a discovery says its address, and a station goes there."""
    if int.from_bytes(packet[2:4], "big") != DISCOVERY_ACK:
        return packet
    at = HEADER + CURRENT_ADDRESS
    return packet[:at] + socket.inet_aton(HERE) + packet[at + 4 :]
