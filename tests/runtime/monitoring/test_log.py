from __future__ import annotations

import json
import logging
import os
import sys

import pytest

from edge_runtime.monitoring.log import JournalFormatter, LogThrottle, TextFormatter, _is_journal
from edge_runtime.readable import escaped


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Teil 7 ä é 部品", "Teil 7 ä é 部品"),
        ("a\nERROR forged", "a\\nERROR forged"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("b\udcff.png", "b\\udcff.png"),
        ("tab\tnul\0del\x7f", "tab\\tnul\\x00del\\x7f"),
        ("\u2028line\u202eright to left", "\\u2028line\\u202eright to left"),
    ],
)
def test_what_a_name_may_hold_and_a_terminal_should_not_get_is_escaped(text, expected):
    assert escaped(text) == expected
    record = logging.makeLogRecord({"levelname": "INFO", "msg": "part %s", "args": (text,)})
    assert TextFormatter().format(record) == f"INFO part {expected}"


def test_a_traceback_keeps_its_lines():
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.makeLogRecord({"levelname": "ERROR", "msg": "failed", "exc_info": sys.exc_info()})
    lines = TextFormatter().format(record).splitlines()
    assert lines[0] == "ERROR failed"
    assert lines[-1] == "ValueError: odd"


def test_no_password_and_no_control_character_of_an_error_gets_into_either_log():
    try:
        raise ValueError("rtsp://u:hunter2@cam \x1b[2J")
    except ValueError:
        error = sys.exc_info()
    record = logging.makeLogRecord({"levelname": "ERROR", "levelno": 40, "msg": "u:hunter2@cam", "exc_info": error})
    for formatter in (TextFormatter(), JournalFormatter()):
        line = formatter.format(record)
        assert "hunter2" not in line
        assert "\x1b" not in line
        assert "u:***@cam" in line
