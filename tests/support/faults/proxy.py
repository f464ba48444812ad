"""A TCP proxy that does to a connection what networks do: cut, reset, silence, delay, slices.

with FaultProxy(broker_port) as proxy:
    station connects to proxy.port
    proxy.reset()
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

CHUNK = 4096


class FaultProxy:
    """Passes every connection on to `target` (a port of this machine), or not, as was set last."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._closing = False
        self.refuses = False
        self.up_silent = self.down_silent = False  # towards the target, and back: bytes wait, the connection stays
        self.delay_s = 0.0
        self.slice_bytes = 0
        self.spoil_next: Callable[[bytes], bytes] | None = None  # done to what comes next from the target, once
        self.connections = 0  # how many were made

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._listener.close()
        self.cut()

    def heal(self) -> None:
        """From now on everything passes; what waited goes on."""
        self.refuses = self.up_silent = self.down_silent = False
        self.delay_s, self.slice_bytes = 0.0, 0

    def cut(self) -> None:
        """Close every connection in the orderly way."""
        for pair in self._take_pairs():
            for sock in pair:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close every connection with a TCP reset; what was on its way is lost."""
        for pair in self._take_pairs():
            for sock in pair:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.close()

    def _take_pairs(self) -> list[tuple[socket.socket, socket.socket]]:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        return pairs

    def _accept(self) -> None:
        while not self._closing:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=2)
            except OSError:
                near.close()
                continue
            for sock in (near, far):
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.append((near, far))
                self.connections += 1
            for source, sink, upward in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pass, args=(source, sink, upward), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        try:
            while True:
                if self.up_silent if upward else self.down_silent:
                    time.sleep(0.01)
                    if source.fileno() < 0:
                        return
                    continue
                ready, _, _ = select.select([source], [], [], 0.05)
                if not ready:
                    continue
                data = source.recv(CHUNK)
                if not data:
                    break
                if not upward and self.spoil_next is not None:
                    data, self.spoil_next = self.spoil_next(data), None
                if self.delay_s:
                    time.sleep(self.delay_s)
                step = self.slice_bytes or len(data)
                for start in range(0, len(data), step):
                    sink.sendall(data[start : start + step])
                    if self.slice_bytes:
                        time.sleep(0.0005)
        except (OSError, ValueError):
            pass
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
