from __future__ import annotations

import json
import logging
import os
import sys

from edge_runtime.monitoring.log import JournalFormatter, LogThrottle, _is_journal


def record(level, message, *arguments, error=None):
    info = (type(error), error, None) if error else None
    return logging.LogRecord("edge", level, "file.py", 1, message, arguments, info)


def test_a_line_for_the_journal_is_json_behind_its_priority():
    line = JournalFormatter().format(record(logging.WARNING, 'trigger %d\nis late; "so"', 7))
    assert line.startswith("<4>{")
    assert "\n" not in line
    assert json.loads(line[3:]) == {"level": "WARNING", "logger": "edge", "message": 'trigger 7\nis late; "so"'}


def test_a_traceback_stays_in_the_line():
    line = JournalFormatter().format(record(logging.ERROR, "judging failed", error=ZeroDivisionError("oops")))
    assert line.startswith("<3>")
    assert "\n" not in line
    assert "ZeroDivisionError: oops" in json.loads(line[3:])["traceback"]


def test_each_level_has_its_priority():
    levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
    assert [JournalFormatter().format(record(level, ""))[:3] for level in levels] == ["<7>", "<6>", "<4>", "<3>", "<2>"]


def test_the_journal_is_known_by_the_streams_device_and_inode(tmp_path):
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        assert _is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not _is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not _is_journal(stream, {})
    assert not _is_journal(sys.stdin, {"JOURNAL_STREAM": "1:1"})


def test_each_thing_is_logged_when_it_begins_and_again_every_minute():
    now_s = 5.0
    throttle = LogThrottle(lambda: now_s)
    assert [throttle.is_due(what) for what in ("dark", "dark", "small", "dark")] == [True, False, True, False]
    now_s = 64.9
    assert not throttle.is_due("dark")
    now_s = 65.0
    assert [throttle.is_due("dark"), throttle.is_due("dark"), throttle.is_due("small")] == [True, False, True]
