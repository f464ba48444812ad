"""docs/how-to/who-may-command.md: the access list that it prints, at a real mosquitto."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.support.tiny_bundle import write_pictures

PAGE = Path(__file__).parents[2] / "docs/how-to/who-may-command.md"
USERS = ("station-press-1", "plc-press-1", "mes", "operator", "stranger")


@pytest.fixture
def guarded(start_broker, tmp_path):
    """A broker with the page's list, and a password for each user: their names."""
    (tmp_path / "acl").write_text(re.search(r"```text mosquitto-acl\n(.*?)```", PAGE.read_text(), re.DOTALL)[1])
    passwords = tmp_path / "passwords"
    passwords.touch()
    for user in USERS:
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, user], check=True, capture_output=True)
    return start_broker(
        *("allow_anonymous false", f"password_file {passwords}", f"acl_file {tmp_path}/acl"),
        "max_queued_messages 1000",
    )


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_each_user_can_do_what_the_table_says_and_nothing_else(bench, guarded, make_listener, protocol):
    write_pictures(bench.pictures, "on")
    (bench.folder / "password").write_text("station-press-1")
    login = f', user: station-press-1, password_file: password, protocol: "{protocol}"'
    daemon = bench.daemon(bench.station(guarded.port, mode="triggered", source=", loop: true", mqtt=login))
    plc, mes, operator, stranger = (make_listener(guarded.port, name) for name in USERS[1:])
    plc.wait_state("READY")
    for intruder in (mes, operator, stranger):
        intruder.send("trigger", b"9;0;")
    for intruder in (plc, mes, stranger):
        intruder.send("command", b"PAUSE")
    for intruder in (plc, operator, stranger):
        intruder.send("verdict/ack", b"1")
        intruder.send("verdict", b"1;0000000001;OK ;000;0000;0.1000;0.5000;0001;                ")
    plc.send("trigger", b"1;0;")
    assert plc.next_on("trigger/ack") == b"1;ACCEPTED"
    assert plc.next_on("verdict").startswith(b"1;0000000001;")
    assert b'"seq":1,' in mes.next_on("verdict/json")
    operator.send("command", b"PAUSE")
    assert operator.next_on("command/ack") == b"PAUSE;DONE"
    mes.send("replay", b"1;1")
    assert b'"seq":1,' in mes.next_on("replay/data")
    mes.send("verdict/ack", b"1")
    assert daemon.terminate() == 0
    assert list(stranger.messages.queue) == []
    seen = {topic.removeprefix("ev1/press/1/") for topic, _, _ in [*plc.seen, *plc.messages.queue]}
    assert seen <= {"trigger/ack", "verdict", "verdict/bin", "state", "heartbeat"}
    assert "305" not in daemon.log
