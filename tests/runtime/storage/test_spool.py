from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from tests.support.kept_verdicts import ERROR, NOK, OK, PACKED
from tests.support.sample_verdict import sample_verdict

from edge_runtime.errors import ConfigError, RecordError, SpoolDamagedError, StorageError
from edge_runtime.records import Outcome, PictureFile
from edge_runtime.storage.database import FILE
from edge_runtime.storage.moment import Moment
from edge_runtime.storage.retention import Dropped, Retention
from edge_runtime.storage.spool import CHUNK, Spool
from edge_runtime.wire.commands import Trigger
from edge_runtime.wire.verdict_json import encode_json

DAY_MS = 86_400_000
NOW_MS = 1_750_000_000_000
ALL = 1 << 32


def fill(spool, count, **fields):
    for _ in range(count):
        spool.commit(sample_verdict(seq=spool.next_seq, **fields))


def seqs(verdicts):
    return [v.seq for v in verdicts]


def test_a_committed_verdict_comes_back_as_it_was(tmp_path):
    with Spool(tmp_path) as spool:
        verdict = sample_verdict(seq=spool.next_seq)
        spool.commit(verdict)
        assert spool.undelivered(1, ALL, 10) == [verdict]


def test_numbers_go_on_after_a_restart_even_when_every_verdict_has_left(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 3, trigger_id=0)
        spool.acknowledge(3, keep_triggered_ms=0)
        assert spool.between(1, ALL, 10) == []
    with Spool(tmp_path) as spool:
        assert spool.next_seq == 4


def test_each_start_has_its_own_boot_id(tmp_path):
    boots = []
    for _ in range(3):
        with Spool(tmp_path) as spool:
            boots.append(spool.boot_id)
    assert boots == [1, 2, 3]


def test_an_accepted_trigger_is_kept_over_a_restart_until_its_verdict_is_committed(tmp_path):
    first, second = Trigger(7, 12, "PART-7"), Trigger(8, 12, "")
    with Spool(tmp_path) as spool:
        spool.accept(first)
        spool.accept(second)
    with Spool(tmp_path) as spool:
        assert spool.accepted() == [first, second]
        fill(spool, 1, trigger_id=7)
        assert spool.accepted() == [second]


def test_a_spool_of_version_1_is_taken_over(tmp_path):
    verdict = sample_verdict(seq=3)
    database = sqlite3.connect(tmp_path / FILE)
    database.executescript("""
        CREATE TABLE verdict (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, unix_ms INTEGER NOT NULL, trigger_id INTEGER NOT NULL,
            delivered INTEGER NOT NULL, line TEXT NOT NULL
        ) STRICT;
        CREATE INDEX undelivered ON verdict (seq) WHERE delivered = 0;
        CREATE TABLE station (boot_id INTEGER NOT NULL) STRICT;
        INSERT INTO station VALUES (4);
        INSERT INTO verdict VALUES (7, 0, 0, 0, '');
        DELETE FROM verdict;
        PRAGMA user_version = 1;
    """)
    line = encode_json(verdict).decode("ascii")
    database.execute("INSERT INTO verdict VALUES (3, ?, ?, 0, ?)", (verdict.unix_ms, verdict.trigger_id, line))
    database.commit()
    database.close()
    with Spool(tmp_path) as spool:
        assert spool.undelivered(1, ALL, 10) == [verdict]
        assert (spool.next_seq, spool.boot_id, spool.waiting) == (8, 5, 1)


def test_a_spool_that_an_earlier_daemon_wrote_is_read_and_goes_on(tmp_path):
    database = sqlite3.connect(tmp_path / FILE)
    database.executescript("""
        CREATE TABLE verdict (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, unix_ms INTEGER NOT NULL, trigger_id INTEGER NOT NULL,
            delivered INTEGER NOT NULL, packed BLOB NOT NULL
        ) STRICT;
        CREATE INDEX undelivered ON verdict (seq) WHERE delivered = 0;
        CREATE TABLE station (boot_id INTEGER NOT NULL, acknowledged INTEGER NOT NULL) STRICT;
        INSERT INTO station VALUES (4, 0);
        CREATE TABLE accepted (trigger_id INTEGER PRIMARY KEY, recipe INTEGER NOT NULL, part_id TEXT NOT NULL) STRICT;
        PRAGMA user_version = 2;
    """)
    rows = [(v.seq, v.unix_ms, v.trigger_id, 0, PACKED[v.seq]) for v in (OK, NOK, ERROR)]
    database.executemany("INSERT INTO verdict VALUES (?, ?, ?, ?, ?)", rows)
    database.commit()
    database.close()
    with Spool(tmp_path) as spool:
        assert spool.undelivered(1, ALL, 10) == [OK, NOK, ERROR]
        assert (spool.next_seq, spool.boot_id, spool.waiting) == (4, 5, 3)
        spool.commit(sample_verdict(seq=4))
        assert seqs(spool.between(1, ALL, 10)) == [1, 2, 3, 4]


def test_a_number_out_of_turn_is_a_mistake_of_ours(tmp_path):
    with Spool(tmp_path) as spool, pytest.raises(ValueError, match="verdict 5 is out of turn: the next seq is 1"):
        spool.commit(sample_verdict(seq=5))


def test_what_the_broker_confirmed_is_not_sent_again_after_a_restart(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 4)
        spool.mark_delivered(1)
        spool.mark_delivered(3)
        assert spool.waiting == 2
        assert seqs(spool.undelivered(1, ALL, 10)) == [2, 4]
        spool.mark_delivered(2)
    with Spool(tmp_path) as spool:
        assert spool.waiting == 1
        assert seqs(spool.undelivered(1, ALL, 10)) == [4]
        assert seqs(spool.between(2, 3, 10)) == [2, 3]


def test_a_confirmation_does_not_wait_for_a_commit_that_the_disk_keeps_waiting(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 1)
        confirming = threading.Thread(target=spool.mark_delivered, args=(1,))
        with spool._lock:  # as a commit holds it
            confirming.start()
            confirming.join(5)
            assert not confirming.is_alive()
        assert spool.waiting == 0


def test_marking_twice_counts_once(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 2)
        for _ in range(2):
            spool.mark_delivered(1)
            spool.flush()
        assert spool.waiting == 1


def test_a_confirmation_after_the_acknowledgement_counts_nothing_twice(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 2)  # of triggers: they stay for a while
        spool.acknowledge(2, keep_triggered_ms=0)
        for seq in (1, 2):
            spool.mark_delivered(seq)
        assert spool.waiting == 0
        spool.flush()
        assert spool.waiting == 0


def test_an_acknowledgement_lets_verdicts_leave_delivered_or_not(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 5, trigger_id=0)
        spool.mark_delivered(1)
        spool.acknowledge(3, keep_triggered_ms=0)
        assert seqs(spool.between(1, ALL, 10)) == [4, 5]
        assert spool.waiting == 2


class Machine:
    """A clock that nobody sets, and that a test moves. A restart of the machine is another start, from zero."""

    def __init__(self):
        self.start, self.since_ms = 1, 50_000

    def __call__(self):
        return Moment(f"start {self.start}", self.since_ms)

    def pass_s(self, seconds):
        self.since_ms += round(seconds * 1000)

    def switch_off_and_on(self):
        self.start, self.since_ms = self.start + 1, 3_000


def test_an_acknowledged_answer_to_a_recent_trigger_stays_for_its_duplicate(tmp_path):
    machine = Machine()
    with Spool(tmp_path, moment=machine) as spool:
        fill(spool, 1, trigger_id=7)
        machine.pass_s(20)
        fill(spool, 1, trigger_id=8)
        spool.acknowledge(2, keep_triggered_ms=10_000)
        assert seqs(spool.between(1, ALL, 10)) == [2]
        assert [(a.verdict.seq, a.age_ms) for a in spool.answered_within(10_000, 0)] == [(2, 0)]
        assert spool.waiting == 0
        machine.pass_s(11)
        spool.tidy(keep_triggered_ms=10_000)
        assert spool.between(1, ALL, 10) == []


@pytest.mark.parametrize("utc_steps_ms", [-3_600_000, 0, 3_600_000, 40 * DAY_MS])
def test_what_is_recent_does_not_rest_on_utc_while_the_machine_is_on(tmp_path, utc_steps_ms):
    machine = Machine()
    with Spool(tmp_path, moment=machine) as spool:
        fill(spool, 1, trigger_id=7, unix_ms=NOW_MS)
        machine.pass_s(8)
        fill(spool, 1, trigger_id=8, unix_ms=NOW_MS + 8_000)
    machine.pass_s(4)

    with Spool(tmp_path, moment=machine) as spool:
        found = spool.answered_within(10_000, NOW_MS + 12_000 + utc_steps_ms)

    assert [(a.verdict.trigger_id, a.age_ms) for a in found] == [(8, 4_000)]


@pytest.mark.parametrize(("utc_ms", "remembered"), [(5_000, [7]), (15_000, []), (-1, []), (-3_600_000, [])])
def test_after_the_machine_was_off_utc_decides_and_nothing_is_from_the_future(tmp_path, utc_ms, remembered):
    machine = Machine()
    with Spool(tmp_path, moment=machine) as spool:
        fill(spool, 1, trigger_id=7, unix_ms=NOW_MS)
    machine.switch_off_and_on()

    with Spool(tmp_path, moment=machine) as spool:
        found = spool.answered_within(10_000, NOW_MS + utc_ms)

    assert [a.verdict.trigger_id for a in found] == remembered


def test_an_answer_of_a_spool_from_before_ages_were_written_is_judged_by_utc(tmp_path):
    machine = Machine()
    with Spool(tmp_path, moment=machine) as spool:
        fill(spool, 1, trigger_id=7, unix_ms=NOW_MS)
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        database.execute("DROP TABLE answered")
        database.execute("DROP TABLE running")
    with Spool(tmp_path, moment=machine) as spool:
        assert [a.age_ms for a in spool.answered_within(10_000, NOW_MS + 3_000)] == [3_000]


def test_answers_from_before_a_restart_stay_for_a_whole_window_after_it(tmp_path):
    machine = Machine()
    with Spool(tmp_path, moment=machine) as spool:
        fill(spool, 1, trigger_id=7)
    with Spool(tmp_path, moment=machine) as spool:
        spool.acknowledge(1, keep_triggered_ms=10_000)
        assert seqs(spool.between(1, ALL, 10)) == [1]
        machine.pass_s(11)
        spool.tidy(keep_triggered_ms=10_000)
        assert spool.between(1, ALL, 10) == []


def test_an_acknowledgement_of_the_future_is_refused(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 2)
        with pytest.raises(ValueError, match="seq 3 has not been given out yet: the last one is 2"):
            spool.acknowledge(3, 0)
        assert spool.waiting == 2


def test_what_is_too_old_leaves_if_the_broker_had_it_and_it_is_logged(tmp_path):
    machine = Machine()
    with Spool(tmp_path, Retention(max_age_s=30 * 86_400), moment=machine) as spool:
        fill(spool, 2)
        machine.pass_s(86_400)
        spool.tidy(0)
        fill(spool, 3)
        spool.mark_delivered(1)
        machine.pass_s(29 * 86_400)
        assert spool.tidy(0) == Dropped()
        machine.pass_s(86_400)
        assert spool.tidy(0) == Dropped(by_age=1)
        assert seqs(spool.between(1, ALL, 10)) == [2, 3, 4, 5]  # nobody has 2 yet
        assert spool.waiting == 4
        assert spool.tidy(0) == Dropped()
        assert not spool.overfull


def test_the_retention_counts_the_time_that_the_station_runs_and_no_step_of_a_clock(tmp_path):
    machine = Machine()
    retention = Retention(max_age_s=86_400)
    with Spool(tmp_path, retention, moment=machine) as spool:
        fill(spool, 1, trigger_id=0, unix_ms=NOW_MS)
        spool.mark_delivered(1)
    for _ in range(3):  # days of nine hours each, and years in between
        machine.switch_off_and_on()
        with Spool(tmp_path, retention, moment=machine) as spool:
            assert spool.tidy(0) == Dropped()
            machine.pass_s(9 * 3600)
            last = spool.tidy(0)
    assert last == Dropped(by_age=1)


def room_for(verdicts):
    """Bytes that these take, roughly."""
    return 40_000 + verdicts * 200


def fill_quickly(spool, count, **fields):
    spool._db.execute("PRAGMA synchronous = OFF")
    fill(spool, count, **fields)


def test_when_the_room_is_used_up_what_the_broker_confirmed_leaves_if_that_is_enough(tmp_path):
    with Spool(tmp_path, Retention(max_bytes=room_for(3000), until_confirmed=True)) as spool:
        fill_quickly(spool, 6000)
        for seq in range(2001, 6000):
            spool.mark_delivered(seq)
        assert spool.tidy(ALL) == Dropped(confirmed=2000)
        assert seqs(spool.between(1, ALL, 2001))[-2:] == [2000, 4001]
        assert not spool.overfull


def test_otherwise_the_spool_takes_the_room_of_the_pictures_and_then_the_oldest_leave_with_a_fault(tmp_path):
    with Spool(tmp_path, Retention(max_bytes=room_for(1000), borrowed_bytes=room_for(3000))) as spool:
        fill_quickly(spool, 2000)
        assert spool.tidy(ALL) == Dropped()
        assert not spool.overfull
        fill_quickly(spool, 5000)
        assert spool.tidy(ALL) == Dropped(unconfirmed=2000)
        assert spool.overfull
        assert seqs(spool.between(1, ALL, 1)) == [2001]
        assert spool.waiting == 5000
        # given that a consumer stores them, the fault is over
        spool.acknowledge(6900, keep_triggered_ms=0)
        while spool.between(1, 6900, 1):
            assert not spool.tidy(0)
        assert spool.tidy(0) == Dropped()
        assert not spool.overfull
        assert spool.waiting == 100


def test_a_large_acknowledgement_lets_verdicts_leave_a_few_at_a_time_but_counts_at_once(tmp_path):
    with Spool(tmp_path) as spool:
        fill_quickly(spool, 2 * CHUNK + 10, trigger_id=0)
        spool.acknowledge(2 * CHUNK, keep_triggered_ms=0)
        assert spool.waiting == 10
        assert seqs(spool.undelivered(1, ALL, 1)) == [2 * CHUNK + 1]
        spool.tidy(0)
        assert seqs(spool.between(1, ALL, 1)) == [2 * CHUNK + 1]
    with Spool(tmp_path) as spool:
        assert spool.waiting == 10


def test_a_verdict_takes_few_bytes(tmp_path):
    with Spool(tmp_path) as spool:
        before = spool.used_bytes()
        fill_quickly(spool, 1000, outcome=Outcome.OK)
        assert (spool.used_bytes() - before) / 1000 < 250


def test_a_second_daemon_with_the_same_folder_is_refused(tmp_path):
    with Spool(tmp_path), pytest.raises(StorageError, match="two daemons must not share a state_dir"):
        Spool(tmp_path)


def test_a_file_that_is_no_spool_is_an_error_that_names_it(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(SpoolDamagedError, match=f"{FILE} is damaged: file is not a database"):
        Spool(tmp_path)


def test_a_spool_of_another_version_is_refused(tmp_path):
    database = sqlite3.connect(tmp_path / FILE)
    database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(StorageError, match="has schema version 9, this daemon knows 2"):
        Spool(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state_dir .*file/state cannot be used"):
        Spool(tmp_path / "file" / "state")


def test_a_full_disk_is_an_error_and_the_number_is_used_later(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Spool(tmp_path) as spool:
        fill(spool, 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # no file may be written beyond its first page
        try:
            with pytest.raises(
                StorageError, match="no verdict can be numbered: check that the disk is there, has room"
            ):
                fill(spool, 1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert spool.next_seq == 2
        fill(spool, 1, outcome=Outcome.ERROR)
        assert [(v.seq, v.decision.outcome) for v in spool.between(1, ALL, 9)] == [(1, Outcome.NOK), (2, Outcome.ERROR)]


COMMIT_FOR_EVER = """
import sys
from pathlib import Path
from tests.support.kept_verdicts import ERROR, NOK, OK, PACKED
from tests.support.sample_verdict import sample_verdict
from edge_runtime.storage.spool import Spool
with Spool(Path(sys.argv[1])) as spool:
    while True:
        seq = spool.next_seq
        spool.commit(sample_verdict(seq=seq))
        print(seq, flush=True)
"""


def test_killed_at_any_moment_no_number_is_lost_and_none_comes_twice(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    given: list[int] = []
    for round_ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", COMMIT_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        with process:
            lines = [process.stdout.readline() for _ in range(7 + 5 * round_)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        given += [int(line) for line in lines if line.endswith("\n")]
    assert given == sorted(set(given))
    with Spool(tmp_path) as spool:
        kept = seqs(spool.between(1, ALL, 100_000))
        assert set(given) <= set(kept)
        assert kept == list(range(1, spool.next_seq))
        assert spool.boot_id == 5


def test_a_verdict_of_the_spool_keeps_its_full_precision(tmp_path):
    with Spool(tmp_path) as spool:
        verdict = sample_verdict(seq=1)
        verdict = replace(verdict, decision=replace(verdict.decision, score=0.1 + 0.2, raw_score=1 / 3))
        spool.commit(verdict)
        assert spool.between(1, 1, 1) == [verdict]


def test_a_judged_file_is_remembered_with_its_verdict_until_it_left_and_the_next_verdict_is_written(tmp_path):
    one, two = PictureFile(b"caf\xe9.png", "1-2-3"), PictureFile(b"two.png", "4-5-6")
    with Spool(tmp_path) as spool:
        spool.commit(sample_verdict(seq=1), one)
        spool.commit(sample_verdict(seq=2), two)
        spool.forget_judged([one, PictureFile(b"two.png", "of another content")])
    with Spool(tmp_path) as spool:
        assert spool.judged() == {b"caf\xe9.png": "1-2-3", b"two.png": "4-5-6"}
        spool.forget_judged([one, PictureFile(b"two.png", "of another content")])
        spool.commit(sample_verdict(seq=3), PictureFile(b"two.png", "new"))
    with Spool(tmp_path) as spool:
        assert spool.judged() == {b"two.png": "new"}


def test_a_verdict_that_cannot_be_written_remembers_no_file(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 1)
        spool.next_seq = 1  # as if another had used it
        with pytest.raises(StorageError):
            spool.commit(sample_verdict(seq=1), PictureFile(b"one.png", "1"))
        assert spool.judged() == {}


def test_one_thread_alone_keeps_the_books_and_any_may_commit_and_read(tmp_path):
    with Spool(tmp_path) as spool:
        fill(spool, 2)
        spool.mark_delivered(1)
        caught = []

        def in_another_thread():
            fill(spool, 1)
            assert len(spool.between(1, ALL, 10)) == 3
            for call in (lambda: spool.mark_delivered(2), spool.flush, lambda: spool.tidy(0)):
                try:
                    call()
                except RuntimeError as error:
                    caught.append(str(error))

        thread = threading.Thread(target=in_another_thread, name="another")
        thread.start()
        thread.join()
    assert caught == [
        "the spool's bookkeeping belongs to the thread 'MainThread', and 'another' called: this is a bug"
    ] * 3  # fmt: skip


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    with Spool(tmp_path) as spool:
        with pytest.raises(RecordError):
            spool.commit(replace(sample_verdict(seq=1), source="b\udcff.png"))
        fill(spool, 1)
        assert seqs(spool.between(1, ALL, 10)) == [1]
