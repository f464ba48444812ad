"""The daemon's log: one line for each event. Text for people, JSON with a priority when systemd's journal reads it.

Nothing above DEBUG is written for each frame: what goes on and on is logged when it begins, and again every minute, so
that a person can read the log to its end.

    throttle = LogThrottle()
    if throttle.is_due(ErrorCode.FRAME_BLACK):
        log.warning("too dark")
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TextIO

from edge_runtime.readable import readable, readable_lines, redacted

REPEAT_S = 60.0
KINDS = 64  # that are logged within that time: what a message says must not make lines without end
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def set_up_log(verbose: bool, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Write the log to `stream`, standard error unless one is given; verbose: one line for each verdict, too.

    A stream that breaks (whoever read it has ended) loses lines and nothing else.
    """
    logging.raiseExceptions = False  # its report would go the same way
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JournalFormatter() if _is_journal(stream, environ) else TextFormatter())
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])


class TextFormatter(logging.Formatter):
    """`WARNING ...`: one line for people, and a traceback below it where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Control characters and the message's own line ends are escaped, and passwords left out."""
        line = f"{record.levelname} {readable(record.getMessage())}"
        return f"{line}\n{readable_lines(self.formatException(record.exc_info))}" if record.exc_info else line


class JournalFormatter(logging.Formatter):
    """`<6>{"event":...}`: the journal takes the number as the entry's priority and keeps the rest (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        line = {"level": record.levelname, "logger": record.name, "message": redacted(record.getMessage())}
        if record.exc_info:
            line["traceback"] = redacted(self.formatException(record.exc_info))
        priority = next((number for level, number in PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>{json.dumps(line, separators=(',', ':'))}"


class LogThrottle:
    """Remembers when each thing was logged last. To be used by one thread at a time.

    Not a logging.Filter: `Status` must know whether a change was logged, for only then is the way back logged, too.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_s: dict[Hashable, float] = {}

    def is_due(self, what: Hashable) -> bool:
        """Whether this is to be logged now; the caller then does so."""
        now_s = self._clock()
        logged_s = self._logged_s.get(what)
        if logged_s is not None and now_s - logged_s < REPEAT_S:
            return False
        if logged_s is None and len(self._logged_s) >= KINDS:
            self._logged_s = {kind: at_s for kind, at_s in self._logged_s.items() if now_s - at_s < REPEAT_S}
            if len(self._logged_s) >= KINDS:
                return False
        self._logged_s[what] = now_s
        return True


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is the one that systemd connected to the journal: JOURNAL_STREAM has its device and inode."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
