"""No password gets into what people read, and no character that a terminal obeys; the rest stays as it is."""

from __future__ import annotations

import pytest

from edge_runtime.readable import readable, readable_lines, redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://viewer:hunter2@10.0.0.7/live", "rtsp://viewer:***@10.0.0.7/live"),
        ("source rtsp://u:p@ss/w:rd@cam:554/x: away", "source rtsp://u:***@cam:554/x: away"),
        ("rtsp://:hunter2@cam", "rtsp://:***@cam"),
        ("mqtt host u:hunter2@broker.local is unknown", "mqtt host u:***@broker.local is unknown"),
        ("'u:hunter2@[fe80::1]'", "'u:***@[fe80::1]'"),
        ("rtspsrc location=x user-id=a user-pw=hunter2 ! d", "rtspsrc location=x user-id=a user-pw=*** ! d"),
        ('rtspsrc user-pw="hunter 2" ! d', "rtspsrc user-pw=*** ! d"),
        ("password = hunter2, next", "password = ***, next"),
    ],
)
def test_what_stands_where_a_password_does_is_hidden(text, expected):
    assert redacted(text) == expected
    assert "hunter" not in readable(text)


@pytest.mark.parametrize(
    "text",
    [
        "state READY;000;screw-2",
        "rtsp://10.0.0.7:554/live",
        "verdict 41 NOK: score=0.7312 capture=900 us",
        "broker [fe80::1]:1883",
        "mail a@b.example at 12:30",
        "passed=3 of 4: pass",
        "/srv/parts/a@2x.png",
    ],
)
def test_what_is_no_password_stays(text):
    assert readable(text) == text


def test_lines_stay_lines_and_each_is_made_readable():
    assert readable_lines("a\n\x1b[2J u:pw@h\nb") == "a\n\\x1b[2J u:***@h\nb"
