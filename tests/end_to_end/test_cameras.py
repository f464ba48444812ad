"""Real camera processes behind the real daemon: a few rounds of `benchmarks.reliability.faults`."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest
from tests.support.faults.cameras import kill_camera, lose_datagrams, lose_packets, trigger_camera
from tests.support.faults.dropped_pictures import BINDFS, VSFTPD, drop_by_ftp, stall_share
from tests.support.faults.streams import kill_rtsp_server
from tests.support.gige_camera import NEEDS, has_aravis

aravis = pytest.mark.skipif(not has_aravis(), reason=NEEDS)
root = os.getuid() == 0


def has_rtsp() -> bool:
    if find_spec("gi") is None:
        return False
    import gi

    try:
        gi.require_version("GstRtspServer", "1.0")
    except ValueError:
        return False
    return True


@aravis
def test_each_software_trigger_gets_the_picture_with_the_next_number(tmp_path):
    found = trigger_camera(tmp_path / "stand", 150)
    assert found.is_clean, found
    assert found.proven >= 100


@aravis
def test_a_camera_that_is_killed_comes_back_and_no_part_gets_another_s_picture(tmp_path):
    found = kill_camera(tmp_path / "stand", 1)
    assert found.is_clean, found
    assert found.proven > 5


@aravis
def test_lost_packets_are_errors_and_never_pictures_with_holes(tmp_path):
    found = lose_packets(tmp_path / "stand", 5)
    assert found.is_clean, found
    assert found.errors.get(106, 0) > 0
    assert found.proven > 5


@aravis
def test_datagrams_that_a_network_drops_are_errors_and_never_pictures_with_holes(tmp_path):
    found = lose_datagrams(tmp_path / "stand", 5)
    assert found.is_clean, found
    assert found.errors.get(106, 0) > 0
    assert found.proven > 5


@pytest.mark.skipif(not has_rtsp(), reason="needs PyGObject and gir1.2-gst-rtsp-server-1.0")
def test_an_rtsp_server_that_is_killed_comes_back(tmp_path):
    found = kill_rtsp_server(tmp_path / "stand", 1)
    assert found.is_clean, found
    assert found.nok > 3


@pytest.mark.skipif(VSFTPD is None or not root, reason="needs vsftpd and root")
def test_pictures_by_ftp_are_judged_once_each_while_the_daemon_is_killed(tmp_path):
    found = drop_by_ftp(tmp_path / "stand", 60)
    assert found.is_clean, found
    assert found.judged == 60


@pytest.mark.skipif(BINDFS is None or not root, reason="needs bindfs, /dev/fuse and root")
def test_a_share_that_stalls_is_a_state_and_loses_nothing(tmp_path):
    found = stall_share(tmp_path / "stand", 7)
    assert found.is_clean, found
