"""Notices that another client has this station's id: the broker then ends the older connection, and both come back.

MQTT 5 says so ("Session taken over"). MQTT 3.1.1 just closes the connection, soon after it was made, again and again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SOON_S = 5.0
LOSSES = 5  # in a row; a broker that restarts makes one, and one that does not take a message makes four
TAKEN_OVER = "Session taken over"  # MQTT 5, reason code 0x8E
TOO_LARGE = "Packet too large"  # MQTT 5, reason code 0x95


class ClientIdConflict:
    """Hears of every connection that came up and of every end, in turn. May be used from one thread."""

    def __init__(self, client_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client_id, self._clock = client_id, clock
        self._up_s: float | None = None
        self._losses = 0

    def came_up(self) -> None:
        """A connection is up."""
        self._up_s = self._clock()

    def ended(self, reason: str) -> str:
        """The connection ended, or did not come about. Returns the reason, with what it may mean."""
        soon = self._up_s is not None and self._clock() - self._up_s < SOON_S
        self._losses, self._up_s = self._losses + 1 if soon else 0, None
        if TOO_LARGE in reason or (self._losses < LOSSES and TAKEN_OVER not in reason):
            return reason
        return (
            f"{reason}; another client with the id {self._client_id} may be connected: each station needs its own "
            "line and cell, or mqtt.client_id; or the broker ends it for a message that it does not take"
        )
