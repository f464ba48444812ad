"""The faults of `benchmarks/faults.py` in a few rounds each: nothing lost, conflicting, falsely OK or unanswered."""

from __future__ import annotations

import pytest
from _faults.broker_kills import kill_broker
from _faults.kills import kill_daemon
from _faults.power_cuts import can_cut_power, cut_power


def test_the_daemon_killed_at_random_instants(tmp_path):
    account = kill_daemon(tmp_path / "stand", 6)
    assert account.is_clean, account
    assert account.verdicts > 6


def test_the_broker_killed_at_random_instants_with_all_that_it_held(tmp_path):
    account = kill_broker(tmp_path / "stand", 3)
    assert account.is_clean, account
    assert account.verdicts > 3


@pytest.mark.skipif(not can_cut_power(), reason="needs root, /dev/fuse and loop devices")
def test_power_cuts_of_a_disk_that_loses_what_was_not_flushed(tmp_path):
    account = cut_power(tmp_path / "stand", 5)
    assert account.is_clean, account
    assert account.verdicts > 5
