from __future__ import annotations

import threading
from dataclasses import replace

from tests.support.sample_verdict import sample_verdict

from edge_runtime.monitoring.counters import Counters
from edge_runtime.records import Flag, Outcome
from edge_runtime.wire.commands import Reply


def test_every_sample_adds_up_while_others_count():
    counters, done = Counters(), threading.Event()

    def count():
        for n in range(3000):
            counters.count(sample_verdict(outcome=Outcome(n % 3 + 1)))
        done.set()

    worker = threading.Thread(target=count)
    worker.start()
    samples = [counters.sample(0)]
    while not done.is_set():
        samples.append(counters.sample(0))
    worker.join()
    for sample in samples:
        triggers, ok, nok, error, *_ = map(int, sample.payload().split(b";"))
        assert triggers == ok + nok + error
    assert counters.sample(0).payload() == b"3000;1000;1000;1000;0;0;0"


def test_late_missed_and_spooled_stand_in_their_places():
    counters = Counters()
    counters.count(replace(sample_verdict(outcome=Outcome.OK), flags=Flag.LATE))
    counters.count_refused(Reply.BUSY)
    counters.count_missed(1)
    assert counters.sample(spooled=9).payload() == b"1;1;0;0;2;1;9"
