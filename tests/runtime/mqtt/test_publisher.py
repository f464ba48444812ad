from __future__ import annotations

import logging
import queue
import re
import threading
import time
from dataclasses import replace

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.errors import StorageError
from edge_runtime.monitoring.counters import Counters
from edge_runtime.mqtt.connection import Confirmed, Down, Refused, Up
from edge_runtime.mqtt.delivery import GIVE_UP_S, LIVE_WINDOW, MOMENT_S
from edge_runtime.mqtt.publisher import Publisher
from edge_runtime.mqtt.record_sender import TRY_AGAIN_S
from edge_runtime.records import ErrorCode, Flag, Verdict
from edge_runtime.storage.spool import Spool
from edge_runtime.wire.commands import SeqRange
from edge_runtime.wire.states import State, StateReport
from edge_runtime.wire.topics import Topics
from edge_runtime.wire.verdict_ascii import decode_ascii
from edge_runtime.wire.verdict_json import decode_json

TOPICS = Topics("l", "c")
VERDICT_TOPICS = [TOPICS.verdict, TOPICS.verdict_bin, TOPICS.verdict_json]
OFFLINE = StateReport(State.OFFLINE, text="stopped")
WAIT_S = 5


class ScriptedConnection:
    """A broker that confirms at once, or not at all while `holds`."""

    def __init__(self, publisher):
        self._publisher, self.holds, self.drops = publisher, False, 0
        self.heard_s = 0.0
        self.sent: queue.Queue[tuple[str, bytes, int, bool]] = queue.Queue()
        self._mid = 0

    def publish(self, topic, payload, qos, retain):
        self._mid += 1
        self.sent.put((topic, payload, qos, retain))
        if qos and not self.holds:
            self._publisher.on_connection_event(Confirmed(self._mid))
        return self._mid

    def confirm_all(self):
        """What was held; from now on each at once."""
        self.holds = False
        for mid in range(1, self._mid + 1):
            self._publisher.on_connection_event(Confirmed(mid))

    def refuse_all(self):
        """What was held; from now on each is confirmed at once."""
        self.holds = False
        for mid in range(1, self._mid + 1):
            self._publisher.on_connection_event(Refused(mid, "Not authorized"))

    def drop(self):
        self.drops += 1

    def last_heard_s(self):
        return self.heard_s

    def next_on(self, *topics):
        """The next message on one of these topics."""
        while True:
            message = self.sent.get(timeout=WAIT_S)
            if message[0] in topics:
                return message

    def skip_heartbeats(self, count):
        """Let that much time pass; `seen` are then the topics of what came meanwhile."""
        self.seen = set()
        for _ in range(count):
            while (topic := self.sent.get(timeout=WAIT_S)[0]) != TOPICS.heartbeat:
                self.seen.add(topic)

    def next_seqs(self, count):
        return [decode_ascii(self.next_on(TOPICS.verdict)[1]).seq for _ in range(count)]


class Clock:
    """Real time, and what was added to it; or a moment that lasts."""

    def __init__(self):
        self.ahead_s, self.now_s = 0.0, None

    def __call__(self):
        return time.monotonic() + self.ahead_s if self.now_s is None else self.now_s


class Stage:
    def __init__(self, folder):
        self.clock = Clock()
        self.spool = Spool(folder)
        self.failures: queue.Queue[Exception] = queue.Queue()
        self.counters = Counters()
        self.observed: list[Verdict] = []
        self.publisher = Publisher(
            *(TOPICS, self.spool, self.counters, 0.05, self.failures.put),
            clock=self.clock,
            on_verdict=self.observed.append,
            broker="h:1883",
        )
        self.connection = ScriptedConnection(self.publisher)

    def commit(self, count=1):
        """Verdicts on disk that the publisher does not know of."""
        verdicts = []
        for _ in range(count):
            verdicts.append(sample_verdict(seq=self.spool.next_seq))
            self.spool.commit(verdicts[-1])
        return verdicts

    def publish(self, count=1):
        for verdict in self.commit(count):
            self.publisher.publish(verdict, taken_ns=0)

    def start(self):
        self.publisher.start(self.connection)

    def up(self):
        self.publisher.on_connection_event(Up())

    def down(self):
        self.publisher.on_connection_event(Down("gone"))


def wait_until(holds):
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.publisher.close(OFFLINE)
    stage.spool.__exit__(None, None, None)


def test_a_verdict_goes_out_as_its_three_records_and_is_then_delivered(stage):
    stage.start()
    stage.up()
    stage.publish()
    messages = [stage.connection.next_on(*VERDICT_TOPICS) for _ in range(3)]
    assert [m[0] for m in messages] == VERDICT_TOPICS
    assert all((qos, retain) == (1, False) for _, _, qos, retain in messages)
    sent = decode_json(messages[2][1])
    timings = sent.decision.timings
    assert timings.publish_us > 0  # the only difference to what was committed
    unpublished = replace(sent.decision, timings=replace(timings, publish_us=0))
    assert replace(sent, decision=unpublished) == sample_verdict(seq=1)
    assert stage.publisher.drained().wait(WAIT_S)
    assert stage.spool.waiting == 0


def test_without_a_broker_nothing_is_sent_and_nothing_is_lost(stage):
    stage.start()
    stage.publish(10)
    drained = stage.publisher.drained()
    assert not drained.wait(0.2)
    assert stage.connection.sent.empty()
    stage.up()
    found = [decode_json(stage.connection.next_on(TOPICS.verdict_json)[1]) for _ in range(10)]
    assert [v.seq for v in found] == list(range(1, 11))
    assert all(v.flags == Flag.REPLAY for v in found)  # they are old: no PLC may take one for the part that waits
    assert drained.wait(WAIT_S)
    assert stage.spool.waiting == 0


def test_what_earlier_runs_left_goes_out_too_and_each_verdict_once(tmp_path):
    with Spool(tmp_path) as spool:
        for seq in range(1, 31):
            spool.commit(sample_verdict(seq=seq))
        spool.mark_delivered(4)
    stage = Stage(tmp_path)
    stage.start()
    stage.up()
    stage.publish(5)
    found = stage.connection.next_seqs(34)
    assert sorted(found) == [s for s in range(1, 36) if s != 4]
    assert stage.publisher.drained().wait(WAIT_S)
    stage.publisher.close(OFFLINE)
    assert stage.connection.sent.qsize() < 50
    stage.spool.__exit__(None, None, None)


def test_live_verdicts_go_before_the_backlog(stage):
    stage.commit(100)
    stage.publisher = Publisher(
        TOPICS, stage.spool, stage.counters, 0.05, stage.failures.put
    )  # these are backlog to it
    stage.connection = ScriptedConnection(stage.publisher)
    stage.up()
    stage.publish(1)
    stage.start()
    found = stage.connection.next_seqs(101)
    assert found[0] == 101
    assert found[1:] == list(range(1, 101))


def test_a_broker_that_does_not_confirm_gets_no_backlog_beyond_the_window(stage):
    stage.connection.holds = True
    stage.publish(50)
    stage.start()
    stage.up()
    stage.publisher.drained()
    assert len(stage.connection.next_seqs(6)) == 6
    stage.connection.skip_heartbeats(3)
    assert TOPICS.verdict not in stage.connection.seen
    assert stage.spool.waiting == 50


def test_verdicts_published_during_an_outage_follow_when_it_ends(stage):
    stage.start()
    stage.up()
    stage.publish(2)
    assert stage.publisher.drained().wait(WAIT_S)
    stage.down()
    stage.publish(3)
    stage.up()
    stage.publish(1)
    assert sorted(stage.connection.next_seqs(6)) == [1, 2, 3, 4, 5, 6]
    assert stage.publisher.drained().wait(WAIT_S)


def flags_by_seq(connection, count):
    found = [decode_json(connection.next_on(TOPICS.verdict_json)[1]) for _ in range(count)]
    return {v.seq: v.flags for v in found}


def test_what_was_not_confirmed_when_the_connection_was_lost_comes_again_with_the_flag(stage):
    stage.start()
    stage.up()
    stage.connection.holds = True
    stage.publish(2)
    assert flags_by_seq(stage.connection, 2) == {1: 0, 2: 0}
    stage.down()
    stage.connection.holds = False
    stage.up()
    assert flags_by_seq(stage.connection, 2) == {1: Flag.REPLAY, 2: Flag.REPLAY}
    assert stage.publisher.drained().wait(WAIT_S)
    assert stage.spool.waiting == 0


def test_a_full_window_keeps_live_verdicts_back_and_they_follow_unflagged_while_they_are_fresh(stage):
    stage.start()
    stage.up()
    stage.connection.holds = True
    stage.publish(LIVE_WINDOW + 2)
    assert list(flags_by_seq(stage.connection, LIVE_WINDOW)) == list(range(1, LIVE_WINDOW + 1))
    stage.connection.skip_heartbeats(2)
    assert TOPICS.verdict_json not in stage.connection.seen
    stage.connection.confirm_all()
    assert flags_by_seq(stage.connection, 2) == {LIVE_WINDOW + 1: 0, LIVE_WINDOW + 2: 0}


def test_a_broker_that_hangs_gets_no_live_verdicts_and_later_these_with_the_flag(stage):
    stage.start()
    stage.up()
    stage.connection.holds = True
    stage.publish(1)
    stage.connection.next_on(TOPICS.verdict_json)
    stage.clock.ahead_s += MOMENT_S + 0.1
    stage.publish(1)
    stage.connection.skip_heartbeats(2)
    assert TOPICS.verdict_json not in stage.connection.seen
    stage.clock.ahead_s += MOMENT_S + 0.1
    stage.connection.confirm_all()
    assert flags_by_seq(stage.connection, 1) == {2: Flag.REPLAY}


def test_a_connection_on_which_nothing_is_confirmed_for_long_is_given_up(stage):
    stage.start()
    stage.up()
    stage.connection.holds = True
    stage.publish(1)
    stage.connection.next_on(TOPICS.verdict_json)
    assert stage.connection.drops == 0
    stage.clock.ahead_s += GIVE_UP_S + 0.1
    wait_until(lambda: stage.connection.drops > 0)


def test_replies_and_repeated_verdicts_are_not_kept_for_a_later_connection(stage):
    stage.start()
    stage.publisher.reply(TOPICS.trigger_ack, b"7;ACCEPTED")
    (verdict,) = stage.commit()
    stage.publisher.acknowledged(verdict.seq)  # it is no backlog
    stage.publisher.publish_again(verdict)
    stage.up()
    stage.connection.skip_heartbeats(2)
    assert not stage.connection.seen & {TOPICS.trigger_ack, TOPICS.verdict}


def test_the_state_is_shown_when_it_changes_and_again_after_each_connection(stage):
    stage.start()
    stage.publisher.publish_state(StateReport(State.READY))
    stage.up()
    assert stage.connection.next_on(TOPICS.state) == (TOPICS.state, b"READY;000;", 1, True)
    stage.publisher.publish_state(StateReport(State.DEGRADED, ErrorCode.FRAME_BLACK, "dark"))
    assert stage.connection.next_on(TOPICS.state)[1] == b"DEGRADED;104;dark"
    stage.down()
    stage.up()
    assert stage.connection.next_on(TOPICS.state)[1] == b"DEGRADED;104;dark"


def test_heartbeat_counts_at_qos_0_and_counters_are_retained_and_sent_when_they_change(stage):
    stage.start()
    stage.up()
    assert stage.connection.next_on(TOPICS.counters) == (TOPICS.counters, b"0;0;0;0;0;0;0", 1, True)
    beats = [stage.connection.next_on(TOPICS.heartbeat) for _ in range(3)]
    assert [int(b[1]) for b in beats] == list(range(int(beats[0][1]), int(beats[0][1]) + 3))
    assert {b[2:] for b in beats} == {(0, False)}
    stage.counters.count(sample_verdict())
    assert stage.connection.next_on(TOPICS.counters)[1] == b"1;0;1;0;0;0;0"


def test_a_replay_gives_what_is_still_there_with_the_flag_set(stage):
    stage.commit(20)
    stage.start()
    stage.up()
    stage.publisher.acknowledged(3)
    stage.publisher.replay(SeqRange(1, 15))
    found = [decode_json(stage.connection.next_on(TOPICS.replay_data)[1]) for _ in range(12)]
    assert [v.seq for v in found] == list(range(4, 16))
    assert all(v.flags & Flag.REPLAY for v in found)
    stage.connection.skip_heartbeats(3)
    assert TOPICS.replay_data not in stage.connection.seen


def test_an_acknowledged_verdict_leaves_and_a_wrong_acknowledgement_is_logged(stage, caplog):
    stage.start()
    stage.up()
    stage.publish(5)
    stage.publisher.acknowledged(99)
    stage.publisher.acknowledged(4)
    assert stage.publisher.drained().wait(WAIT_S)
    assert [v.seq for v in stage.spool.between(1, 99, 10)] == [5]
    assert "acknowledgement refused: seq 99 has not been given out yet" in caplog.text


def test_a_duplicate_is_sent_again_with_the_same_seq(stage):
    stage.start()
    stage.up()
    stage.publish(1)
    stage.publisher.publish_again(sample_verdict(seq=1))
    assert stage.connection.next_seqs(2) == [1, 1]
    assert stage.publisher.drained().wait(WAIT_S)
    assert stage.spool.waiting == 0


def test_a_message_that_the_broker_refuses_is_logged_once_and_the_verdict_stays(stage, caplog):
    stage.connection.holds = True
    stage.start()
    stage.up()
    stage.publish(1)
    stage.connection.next_on(TOPICS.verdict_json)
    for mid in (1, 2, 3):
        stage.publisher.on_connection_event(Refused(mid, "Not authorized"))
    assert not stage.publisher.drained().wait(0.2)
    assert caplog.text.count("is held back: the broker refuses it (Not authorized): check its access list") == 3
    assert stage.spool.waiting == 1


def test_a_delivered_verdict_that_is_refused_when_it_is_repeated_is_no_trouble_that_lasts(stage):
    problems = []
    stage.publisher.start(stage.connection, on_problem=lambda problem: problems.append(problem.stops))
    stage.up()
    stage.publish(1)
    assert stage.publisher.drained().wait(WAIT_S)
    stage.connection.holds = True
    stage.publisher.publish_again(sample_verdict(seq=1))
    stage.connection.next_on(TOPICS.verdict_json)
    stage.connection.next_on(TOPICS.verdict_json)
    stage.connection.refuse_all()
    for _ in range(2):
        stage.connection.skip_heartbeats(3)
        stage.clock.ahead_s += TRY_AGAIN_S + 0.1
    stage.connection.skip_heartbeats(3)
    assert problems[-1:] in ([], [""])
    assert stage.spool.waiting == 0


def test_an_outage_is_logged_once(stage, caplog):
    stage.down()
    stage.down()
    stage.start()
    stage.up()
    stage.publish(1)
    assert stage.publisher.drained().wait(WAIT_S)
    stage.down()
    wait_until(lambda: caplog.text.count("broker h:1883: gone") == 2)
    found = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert found == ["broker h:1883: gone; it is tried again, and verdicts are kept"] * 2


def test_closing_sends_what_is_in_hand_and_then_the_last_state(stage):
    stage.start()
    stage.up()
    stage.publish(3)
    stage.publisher.close(OFFLINE)
    topics = [stage.connection.sent.get_nowait()[0] for _ in range(stage.connection.sent.qsize())]
    assert topics.count(TOPICS.verdict) == 3
    assert topics[-1] == TOPICS.state
    assert stage.spool.waiting == 0
    assert "publisher" not in [t.name for t in threading.enumerate()]


def test_a_failing_disk_ends_the_thread_and_is_reported(stage):
    stage.commit(1)
    stage.spool._db.execute("PRAGMA query_only = 1")  # the disk became read-only
    stage.start()
    stage.publisher.acknowledged(1)
    failure = stage.failures.get(timeout=WAIT_S)
    assert isinstance(failure, StorageError)
    assert "readonly" in str(failure)
    stage.spool._db.execute("PRAGMA query_only = 0")


def test_a_verdicts_line_and_times_are_logged_whatever_the_broker_does(stage, caplog):
    caplog.set_level("DEBUG")
    stage.start()  # and nobody is there
    stage.publish()
    stage.publisher.close(OFFLINE)
    assert [verdict.seq for verdict in stage.observed] == [1]
    (logged,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("verdict ")]
    times = " ".join(rf"{name}=\d+" for name in ("capture", "prepare", "infer", "decide", "commit", "latency"))
    assert re.fullmatch(rf"verdict 1 NOK: score=0\.\d{{4}} {times} us", logged)


def test_a_verdicts_line_comes_after_its_sending_and_before_the_line_of_that_also_when_it_had_to_wait(stage):
    log, seen = logging.getLogger("edge_runtime.mqtt.delivery"), []

    class Seen(logging.Handler):
        def emit(self, record):
            words = record.getMessage().split()
            seen.append((words[0], words[1].rstrip(":"), sum(topic in VERDICT_TOPICS for topic in sent)))

    stage.clock.now_s = time.monotonic()
    sent: list[str] = []
    stage.connection.sent.put = lambda message: sent.append(message[0])
    stage.connection.holds = True
    handler, level = Seen(), log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        stage.start()
        stage.up()
        stage.publish(LIVE_WINDOW + 1)
        wait_until(lambda: len(seen) == 2 * LIVE_WINDOW + 1)  # the last one waits for room
        stage.connection.confirm_all()
        wait_until(lambda: len(seen) == 2 * LIVE_WINDOW + 2)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    lines = [(what, str(seq), 3 * seq) for seq in range(1, LIVE_WINDOW + 1) for what in ("verdict", "published")]
    last, all_sent = str(LIVE_WINDOW + 1), 3 * LIVE_WINDOW
    assert seen == [*lines, ("verdict", last, all_sent), ("published", last, all_sent + 3)]
