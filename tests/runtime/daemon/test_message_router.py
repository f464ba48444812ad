from __future__ import annotations

import logging

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.daemon.events import MOST_COMMANDS, EventQueue
from edge_runtime.daemon.message_router import COMMANDS_PER_S, REFUSALS_PER_S, MessageRouter
from edge_runtime.daemon.status import Status
from edge_runtime.daemon.trigger_gate import TriggerGate
from edge_runtime.errors import StorageError
from edge_runtime.monitoring.counters import Counters
from edge_runtime.wire.commands import Command, Reply, SeqRange, Trigger
from edge_runtime.wire.topics import Topics
from edge_runtime.wire.verdict_json import encode_json

TOPICS = Topics("l", "c")


class RecordingPublisher:
    def __init__(self):
        self.heard = []

    def reply(self, topic, payload):
        self.heard.append((topic.rpartition("/c/")[2], payload))

    def publish_again(self, verdict):
        self.heard.append(("again", verdict.seq))

    def acknowledged(self, seq):
        self.heard.append(("acknowledged", seq))

    def came_back(self, seq):
        self.heard.append(("came back", seq))

    def replay(self, wanted):
        self.heard.append(("replay", wanted))


class RecordingIssuer:
    def __init__(self, publisher):
        self._publisher, self.failure = publisher, None
        self.accepted = []  # triggers, each with how many messages had gone out before it
        self.tracked = []

    def accept(self, trigger):
        if self.failure is not None:
            raise self.failure
        self.accepted.append((trigger, len(self._publisher.heard)))

    def track(self, request):
        self.tracked.append(request)


class Stage:
    def __init__(self, listens_to=(TOPICS.trigger, TOPICS.command, TOPICS.verdict_ack, TOPICS.replay)):
        self.publisher, self.events, self.counters = RecordingPublisher(), EventQueue(), Counters()
        self.issuer = RecordingIssuer(self.publisher)
        self.trigger_gate, self.now_ns = TriggerGate(12, 10, clock=lambda: 0.0), 5
        self.router = MessageRouter(
            TOPICS,
            self.trigger_gate,
            self.events,
            self.publisher,
            self.counters,
            200,
            self.issuer,
            listens_to,
            clock_ns=lambda: self.now_ns,
        )

    def receive(self, topic, payload, retained=False):
        self.router.receive(topic, payload, retained)
        heard, self.publisher.heard = self.publisher.heard, []
        return heard


@pytest.fixture
def stage():
    stage = Stage()
    stage.trigger_gate.open(True)
    return stage


def test_an_accepted_trigger_is_acknowledged_first_and_then_tracked_with_its_deadline(stage):
    assert stage.receive(TOPICS.trigger, b"7;12;PART-7") == [("trigger/ack", b"7;ACCEPTED")]
    request = stage.events.take(0)
    assert (request.trigger, request.arrived_ns) == (Trigger(7, 12, "PART-7"), 5)
    assert (request.deadline_ns, request.expires_ns) == (200_000_005, 180_000_005)  # ERROR needs its moment, too
    assert stage.issuer.tracked == [request]


def test_an_accepted_trigger_is_on_the_disk_before_anyone_hears_of_it(stage):
    stage.receive(TOPICS.trigger, b"7;12;PART-7")
    stage.receive(TOPICS.trigger, b"8;12;PART-8")  # busy
    assert stage.issuer.accepted == [(Trigger(7, 12, "PART-7"), 0)]


def test_a_trigger_that_cannot_be_written_is_not_accepted_and_ends_the_station(stage):
    stage.issuer.failure = StorageError("disk full")
    assert stage.receive(TOPICS.trigger, b"7;12;PART-7") == []
    with pytest.raises(StorageError, match="disk full"):
        stage.events.take(0)


def test_a_trigger_that_is_turned_away_is_answered_and_counted_as_missed(stage):
    stage.receive(TOPICS.trigger, b"7;12;PART-7")
    assert stage.receive(TOPICS.trigger, b"8;12;PART-8") == [("trigger/ack", b"8;BUSY")]
    stage.trigger_gate.open(False)
    assert stage.receive(TOPICS.trigger, b"9;12;PART-9") == [("trigger/ack", b"9;NOTREADY")]
    assert stage.counters.sample(0).missed == 2
    assert stage.counters.refused() == {Reply.BUSY: 1, Reply.NOTREADY: 1, Reply.DUPLICATE: 0, Reply.BADREQUEST: 0}


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b"7;x", b"7;BADREQUEST;2 fields, not trigger_id, recipe and part_id"),
        (b"nonsense", b"0;BADREQUEST;1 fields, not trigger_id, recipe and part_id"),
        (b"7;13;p", b"7;BADREQUEST;recipe 13 is not this station's"),
        (b"0;12;p", b"0;BADREQUEST;trigger_id is no number from 1 to 4294967295"),
        (b"1732673000123;12;p", b"0;BADREQUEST;trigger_id is no number from 1 to 4294967295"),
        (b"7;123456;p", b"7;BADREQUEST;recipe is no number of at most five digits"),
        (
            b"4294967295;12;PART-000000000007",
            b"4294967295;BADREQUEST;part_id is not 16 printable ASCII characters at most",
        ),
    ],
)
def test_a_bad_trigger_is_answered_too(stage, payload, answer):
    assert stage.receive(TOPICS.trigger, payload) == [("trigger/ack", answer)]
    assert len(answer) <= 80
    assert stage.events.take(0) is None
    assert stage.counters.refused()[Reply.BADREQUEST] == 1
    assert stage.counters.sample(0).missed == 0  # the PLC's fault, not the station's lack of time


def test_why_triggers_are_refused_is_logged_when_it_begins_and_every_minute_and_each_time_at_debug(stage, caplog):
    caplog.set_level("DEBUG")
    busy = "is answered BUSY: queue_depth 1 is reached: wait for a verdict, or raise queue_depth"
    stage.receive(TOPICS.trigger, b"7;12;PART-7")
    stage.receive(TOPICS.trigger, b"8;12;PART-8")
    stage.receive(TOPICS.trigger, b"9;12;PART-9")
    stage.receive(TOPICS.trigger, b"10;13;p")  # another kind
    stage.receive(TOPICS.trigger, b"11;x")
    stage.receive(TOPICS.trigger, b"12;y")
    stage.now_ns += 60_000_000_000
    stage.receive(TOPICS.trigger, b"13;12;PART-13")
    assert [(record.levelname, record.getMessage().partition(" with a ")[0]) for record in caplog.records] == [
        ("WARNING", f"trigger 8 {busy}"),
        ("DEBUG", f"trigger 9 {busy}"),
        ("WARNING", "trigger 10 is answered BADREQUEST: recipe 13 is not this station's"),
        ("WARNING", "trigger 11 is answered BADREQUEST: b'11;x' is no trigger: `trigger_id;recipe;part_id`"),
        ("DEBUG", "trigger 12 is answered BADREQUEST: b'12;y' is no trigger: `trigger_id;recipe;part_id`"),
        ("WARNING", f"trigger 13 {busy}"),
    ]


@pytest.mark.parametrize(
    ("triggered", "changes", "why"),
    [
        (True, {}, "the station is starting"),
        (True, {"started": True}, "the state is NOTREADY;203;the self-test failed"),
        (True, {"started": True, "self_test_passed": True, "paused": True}, "the state is NOTREADY;000;paused"),
        (False, {"started": True, "self_test_passed": True}, "the station's mode takes none; mode: triggered does"),
    ],
)
def test_a_trigger_that_comes_when_none_is_taken_is_logged_with_the_stations_reason(caplog, triggered, changes, why):
    stage = Stage()
    if changes:
        Status(lambda report: None, stage.trigger_gate, triggered).note(**changes)
    assert stage.receive(TOPICS.trigger, b"7;12;PART-7") == [("trigger/ack", b"7;NOTREADY")]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"trigger 7 is answered NOTREADY: {why}"
    ]


def test_a_duplicate_is_acknowledged_as_such_and_its_verdict_sent_again(stage):
    stage.receive(TOPICS.trigger, b"7;12;PART-00000000007")
    stage.trigger_gate.complete(sample_verdict())
    assert stage.receive(TOPICS.trigger, b"7;12;PART-00000000007") == [
        ("trigger/ack", b"7;DUPLICATE"),
        ("again", 41),
    ]
    assert (stage.counters.refused()[Reply.DUPLICATE], stage.counters.sample(0).missed) == (1, 0)


def test_commands_go_to_the_serving_thread_and_unknown_ones_are_refused(stage):
    assert stage.receive(TOPICS.command, b"PAUSE") == []
    assert stage.events.take(0) is Command.PAUSE
    assert stage.receive(TOPICS.command, b"DAN\xffCE;1") == [("command/ack", b"DAN?CE_1;REFUSED;unknown command")]


def test_acknowledgements_and_replays_go_to_the_publisher(stage):
    assert stage.receive(TOPICS.verdict_ack, b"41") == [("acknowledged", 41)]
    assert stage.receive(TOPICS.replay, b"3;9") == [("replay", SeqRange(3, 9))]


def test_nonsense_is_logged_and_nothing_else_happens(stage, caplog):
    assert stage.receive(TOPICS.verdict_ack, b"all") == []
    assert stage.receive(TOPICS.replay, b"9;3") == []
    assert "verdict/ack: b'all' is no acknowledgement" in caplog.text
    assert "replay: b'9;3' is no replay request" in caplog.text


def test_an_order_that_the_broker_kept_is_ignored_for_it_was_meant_for_another_part(stage, caplog):
    with caplog.at_level(logging.WARNING):
        assert stage.receive(TOPICS.trigger, b"7;12;PART-7", retained=True) == []
    assert stage.events.take(0) is None
    assert "a retained message is ignored" in caplog.text


def test_a_bug_in_here_reaches_the_serving_thread_instead_of_ending_the_network_thread(stage):
    stage.publisher.replay = None  # calling it is a TypeError
    stage.receive(TOPICS.replay, b"3;9")
    with pytest.raises(TypeError):
        stage.events.take(0)


def test_a_flood_of_refused_triggers_gets_a_bounded_number_of_answers_and_log_lines_and_all_are_counted(stage, caplog):
    answers = [len(stage.receive(TOPICS.trigger, f"{n + 1};{n % 60_000};p{n}".encode())) for n in range(5000)]
    assert sum(answers) <= 2 * REFUSALS_PER_S + 1  # one has the station's recipe
    assert stage.counters.refused()[Reply.BADREQUEST] == 4999
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2
    stage.now_ns += 1_000_000_000
    assert stage.receive(TOPICS.trigger, b"9;13;p") == [
        ("trigger/ack", b"9;BADREQUEST;recipe 13 is not this station's")
    ]


def test_a_flood_of_duplicates_does_not_send_the_verdict_without_end(stage):
    stage.receive(TOPICS.trigger, b"7;12;PART-00000000007")
    stage.trigger_gate.complete(sample_verdict())
    sent = [stage.receive(TOPICS.trigger, b"7;12;PART-00000000007") for _ in range(2000)]
    assert sum(("again", 41) in heard for heard in sent) == 2 * REFUSALS_PER_S


@pytest.mark.parametrize("topic", [TOPICS.trigger, TOPICS.command, TOPICS.verdict_ack, TOPICS.replay])
@pytest.mark.parametrize("retained", [False, True])
def test_malformed_messages_make_one_log_line_a_minute_for_each_topic(stage, caplog, topic, retained):
    for n in range(300):
        stage.receive(topic, f"nonsense {n}".encode(), retained)
    lines = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == 1
    stage.now_ns += 60_000_000_000
    stage.receive(topic, b"nonsense", retained)
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2


def test_commands_that_come_too_often_are_refused_and_the_same_ones_wait_once(stage, caplog):
    assert [stage.receive(TOPICS.command, b"SELFTEST") for _ in range(4 * COMMANDS_PER_S)] == [[]] * 4 * COMMANDS_PER_S
    assert stage.receive(TOPICS.command, b"SELFTEST") == [("command/ack", b"SELFTEST;REFUSED;too many commands")]
    assert (stage.events.take(0), stage.events.take(0)) == (Command.SELFTEST, None)
    assert "SELFTEST is left out: too many commands come" in caplog.text


def test_only_so_many_different_commands_wait(stage):
    heard = [stage.receive(TOPICS.command, word) for word in [b"PAUSE", b"RESUME"] * 5]
    assert heard[:MOST_COMMANDS] == [[]] * MOST_COMMANDS
    assert heard[MOST_COMMANDS] == [("command/ack", b"PAUSE;REFUSED;too many commands")]


def test_what_the_station_does_not_listen_to_is_not_obeyed_even_if_it_comes():
    stage = Stage(listens_to=(TOPICS.trigger, TOPICS.replay))
    assert stage.receive(TOPICS.command, b"PAUSE") + stage.receive(TOPICS.verdict_ack, b"41") == []
    assert stage.events.take(0) is None


def test_the_stations_own_line_that_comes_back_is_known_by_its_seq(stage):
    assert stage.receive(TOPICS.verdict_json, encode_json(sample_verdict())) == [("came back", 41)]
    assert stage.receive(TOPICS.verdict_json, b"nonsense") == [("came back", 0)]
