"""An HTTP server for a few scrapers: so many connections at a time, each for so long, whoever opens them and is silent.

Without bounds each connection costs a thread and a descriptor for as long as its other end likes, and a process has
1,024 of these: then no picture can be opened any more, and every part is ERROR.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

MOST = 8  # connections at a time; for one more the oldest is closed
SILENT_S = 5.0  # for which one may send nothing


class BoundedHandler(WSGIRequestHandler):
    """Logs nothing, and waits for nobody longer than SILENT_S."""

    timeout = SILENT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scraper asks every few seconds."""


class BoundedServer(ThreadingMixIn, WSGIServer):
    """See the module. A thread for each connection."""

    daemon_threads = True

    def __init__(self, *args: Any, **named: Any) -> None:
        self._lock = threading.Lock()
        self._open: deque[socket.socket] = deque()
        super().__init__(*args, **named)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin with a connection; close the oldest if there are too many."""
        with self._lock:
            self._open.append(request)
            oldest = self._open.popleft() if len(self._open) > MOST else None
        if oldest is not None:
            with suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)  # its thread finds the end, and closes it
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """A connection has ended."""
        with self._lock, suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is no matter for the log."""
