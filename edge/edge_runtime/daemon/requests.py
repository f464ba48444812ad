"""One verdict is wanted: an InspectionRequest. It says since when, by when, and for which trigger."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.records import FailedFrame, Frame
from edge_runtime.wire.commands import Trigger

DEADLINE_RESERVE_NS = 20_000_000  # an ERROR needs a moment to reach the disk and the broker by the deadline
CAPTURE_RESERVE_NS = 10_000_000  # a camera is given up so long before its request expires: the answer says more then
HANGS_AFTER_NS = (
    10_000_000_000  # no engine is that late; reported before the unit's watchdog acts, if deadline_ms is usual
)
CAMERA = "check camera, cable and trigger, or raise deadline_ms if taking a picture needs longer"  # when none comes
FASTER = "raise deadline_ms, or take a faster engine, precision or detector"  # what helps when verdicts are late


@dataclass(frozen=True)
class Capture:
    """What the source gave, and when it was in hand (monotonic). None: the source has no more frames."""

    frame: Frame | FailedFrame | None
    taken_ns: int


@dataclass(frozen=True, eq=False)
class InspectionRequest:
    """One verdict is wanted. All times are time.monotonic_ns().

    trigger: None in free-running and interval mode. arrived_ns: when the trigger or the frame came. deadline_ns: a
    verdict given later is late. expires_ns: who has no verdict by then gets ERROR. capture: the frame that the request
    came with; None: one is to be taken.
    """

    trigger: Trigger | None
    arrived_ns: int
    deadline_ns: int
    expires_ns: int
    capture: Capture | None = None

    @property
    def deadline_ms(self) -> int:
        """As in the station's file."""
        return (self.deadline_ns - self.arrived_ns) // 1_000_000

    @property
    def is_binding(self) -> bool:
        """Whether a late answer is ERROR. A free-running frame keeps its outcome, flagged late."""
        return self.expires_ns <= self.deadline_ns


def binding_request(
    trigger: Trigger | None, arrived_ns: int, deadline_ms: int, capture: Capture | None = None
) -> InspectionRequest:
    """A request that is answered by its deadline, whatever happens."""
    deadline_ns = deadline_ms * 1_000_000
    margin_ns = min(DEADLINE_RESERVE_NS, deadline_ns // 10)
    return InspectionRequest(
        trigger, arrived_ns, arrived_ns + deadline_ns, arrived_ns + deadline_ns - margin_ns, capture
    )


def free_running_request(arrived_ns: int, deadline_ms: int, capture: Capture) -> InspectionRequest:
    """A free-running frame: a late answer is only flagged. One that is late by HANGS_AFTER_NS is taken for hung."""
    deadline_ns = arrived_ns + deadline_ms * 1_000_000
    return InspectionRequest(None, arrived_ns, deadline_ns, deadline_ns + HANGS_AFTER_NS, capture)
