from __future__ import annotations

from tests.support.tiny_bundle import write_bundle

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.daemon.crash_recovery import issue_interrupted
from edge_runtime.monitoring.clock import Clock
from edge_runtime.monitoring.counters import Counters
from edge_runtime.records import ErrorCode, Flag, Outcome
from edge_runtime.storage.spool import Spool
from edge_runtime.wire.commands import Trigger


def test_each_trigger_that_was_left_gets_one_error_verdict_and_only_once(tmp_path):
    bundle = open_bundle(write_bundle(tmp_path / "bundle"))
    with Spool(tmp_path) as spool:
        spool.accept(Trigger(7, 12, "PART-7"))
    for interrupted in (1, 0):
        counters = Counters()
        with Spool(tmp_path) as spool:
            issue_interrupted(spool, bundle, counters, Clock(lambda: False, time_ns=lambda: 1_750_000_000_000_000_000))
            (verdict,) = spool.undelivered(1, 10, 10)
        assert counters.sample(0).error == interrupted
        assert (verdict.decision.outcome, verdict.decision.error) == (Outcome.ERROR, ErrorCode.INTERRUPTED)
        assert (verdict.unix_ms, verdict.flags) == (1_750_000_000_000, Flag.UNSYNCED)
        assert (verdict.trigger_id, verdict.recipe, verdict.part_id, verdict.boot_id) == (7, 12, "PART-7", 2)
