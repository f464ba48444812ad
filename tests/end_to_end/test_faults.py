"""The faults of `benchmarks.reliability.faults`, a few rounds each: nothing lost, conflicting, falsely OK or open."""

from __future__ import annotations

import shutil

import pytest
from tests.support.faults.broker_kills import kill_broker
from tests.support.faults.clocks import fake_clock, step_clock
from tests.support.faults.consumer import Consumer
from tests.support.faults.drain import drain_backlog
from tests.support.faults.floods import FLOODS, flood
from tests.support.faults.kills import kill_daemon
from tests.support.faults.limits import LIMITS, change_limits
from tests.support.faults.odd_names import name_pictures_oddly
from tests.support.faults.outage import spool_a_day
from tests.support.faults.packets import inject_packets
from tests.support.faults.power_cuts import can_cut_power, cut_power
from tests.support.faults.stand import Stand
from tests.support.faults.triggers import trigger_through_faults
from tests.support.small_disk import small_disk


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


def test_a_plc_of_100_bytes_while_everything_goes_wrong_in_turn(tmp_path):
    found = trigger_through_faults(tmp_path / "stand", 60, between=6)
    assert found.is_clean, found
    assert found.ok > 0
    assert found.ok + found.nok + found.error + found.rejected == found.parts >= 60


@pytest.mark.skipif(fake_clock() is None, reason="needs libfaketime: apt-get install libfaketime")
def test_a_clock_that_steps_brings_no_answer_back_unflagged_and_no_second_number(tmp_path):
    found = step_clock(tmp_path / "stand", 60)
    assert found.is_clean, found
    assert found.duplicates > 0


def test_pictures_whose_names_are_no_text(tmp_path):
    found = name_pictures_oddly(tmp_path / "stand", 60)
    assert found.is_clean, found
    assert found.account.errors > 0


def test_a_broker_that_takes_less_for_a_while_and_then_everything_again(tmp_path):
    found = change_limits(tmp_path / "stand", 30, between=8, under_s=(0.5, 1.5), limits=LIMITS[:4])
    assert found.is_clean, found
    assert found.account.verdicts > 10


def test_malformed_packets_from_the_broker(tmp_path):
    found = inject_packets(tmp_path / "stand", 60, between=6)
    assert found.is_clean, found
    assert found.connections_ended > 0


def test_another_client_floods_the_station(tmp_path):
    found = flood(tmp_path / "stand", 30, between=5, flood_s=0.4)
    assert found.is_clean, found
    assert found.floods == 2 * found.stops == 2 * len(FLOODS)


def test_an_outage_is_spooled_in_few_bytes_and_every_verdict_comes_back_as_it_was(tmp_path):
    found = spool_a_day(tmp_path / "state", 2000)
    assert found.lost_or_changed == 0


def test_a_backlog_drains_in_order(tmp_path):
    found = drain_backlog(tmp_path / "stand", 2000, quiet_s=1.0)
    assert found.is_clean, found


def test_a_disk_that_fills_up_is_a_fault_before_verdicts_are_lost_and_is_over_when_there_is_room(tmp_path):
    with small_disk(tmp_path / "disk", 20_000) as disk, Stand(tmp_path / "stand") as stand:
        consumer = Consumer(stand.broker.port)
        stand.start(stand.write_station(state_dir=str(disk / "state")))
        assert consumer.wait_state("READY", 20)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 2_000_000))
        assert consumer.wait_state("FAULT;303;the disk is full", 20)
        ballast.unlink()
        assert consumer.wait_state("READY", 20)
        consumer.start_machine()
        assert consumer.wait_more(3, 20)
        consumer.stop_machine()
        consumer.close()
        assert consumer.ledger.account().is_clean
