"""The daemon's log: one line for each event. Text for people, JSON with a priority when systemd's journal reads it.

Nothing above DEBUG is written for each frame: what happens again and again is told when it begins.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def set_up_log(verbose: bool, stream: TextIO = sys.stderr, environ: Mapping[str, str] = os.environ) -> None:
    """Write the log to `stream`; verbose: one line for each verdict, too."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        JournalFormatter() if _is_journal(stream, environ) else logging.Formatter("%(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])


class JournalFormatter(logging.Formatter):
    """`<6>{"event":...}`: the journal takes the number as the entry's priority and keeps the rest (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        line = {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        priority = next((number for level, number in PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>{json.dumps(line, separators=(',', ':'))}"


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is the one that systemd connected to the journal: JOURNAL_STREAM has its device and inode."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
