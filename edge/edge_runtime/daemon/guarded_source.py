"""A source that never raises: whatever a picture or a driver can do becomes a frame that failed, and so ERROR.

source = GuardedSource(open_source(settings))
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

from edge_runtime.monitoring.log import LogThrottle
from edge_runtime.records import ErrorCode, FailedFrame, Frame, NoFrame, PictureFile
from edge_runtime.sources.protocol import Counting, JudgedFiles, Source

log = logging.getLogger(__name__)

PAUSE_S = 0.1  # after a failure: a source that fails at once, again and again, must not become a flood of verdicts


@dataclass
class GuardedSource:
    """See the module. A context manager, as its source is."""

    source: Source
    _throttle: LogThrottle = field(default_factory=LogThrottle)

    @property
    def simulated(self) -> bool:
        """See Source."""
        return self.source.simulated

    def resume(self, judged: JudgedFiles) -> None:
        """See Source."""
        self.source.resume(judged)

    def next_frame(self, wait_s: float) -> Frame | FailedFrame | NoFrame | None:
        """See Source."""
        try:
            return self.source.next_frame(wait_s)
        except Exception as error:  # a bug, or no memory; but a part may be waiting for its answer
            text = f"{type(error).__name__}: {error}"
            level = logging.ERROR if self._throttle.is_due(text) else logging.DEBUG
            log.log(level, "taking a frame failed; the next one is tried", exc_info=error)
            time.sleep(min(wait_s, PAUSE_S))
            detail = f"taking the frame failed: {text}; see the log"
            return FailedFrame("", time.monotonic_ns(), ErrorCode.FRAME_UNREADABLE, detail)

    def committed(self, file: PictureFile) -> None:
        """See Source."""
        self.source.committed(file)

    def problem(self) -> str | None:
        """See Source."""
        try:
            return self.source.problem()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            level = logging.ERROR if self._throttle.is_due(text) else logging.DEBUG
            log.log(level, "the camera cannot be asked how it is", exc_info=error)
            return f"the camera cannot be asked how it is: {text}; see the log"

    def left_out(self) -> Mapping[str, int]:
        """See Counting; empty for a source that counts nothing."""
        return self.source.left_out() if isinstance(self.source, Counting) else {}

    def __enter__(self) -> GuardedSource:
        self.source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.__exit__(kind, error, trace)
