"""Triggers that were accepted and never answered, because the daemon was killed meanwhile: each gets ERROR 302.

Written into the spool before the publisher starts, so that they go out with the replay flag, as all that is old does.
"""

from __future__ import annotations

import logging

from edge_runtime.bundle.reader import Bundle
from edge_runtime.monitoring.clock import Clock
from edge_runtime.monitoring.counters import Counters
from edge_runtime.records import Decision, ErrorCode, Flag, Outcome, Verdict
from edge_runtime.storage.spool import Spool

log = logging.getLogger(__name__)


def issue_interrupted(spool: Spool, bundle: Bundle, counters: Counters, clock: Clock) -> None:
    """Commit and count an ERROR verdict for each trigger that an earlier run left. Raises StorageError."""
    for trigger in spool.accepted():
        decision = Decision(
            Outcome.ERROR, ErrorCode.INTERRUPTED, detail="the station ended between the trigger and its verdict"
        )
        verdict = Verdict(
            seq=spool.next_seq,
            decision=decision,
            bundle=bundle.manifest.name,
            bundle_version=bundle.manifest.version,
            unix_ms=clock.unix_ms(),
            boot_id=spool.boot_id,
            trigger_id=trigger.trigger_id,
            recipe=trigger.recipe,
            part_id=trigger.part_id,
            flags=0 if clock.is_synchronised() else Flag.UNSYNCED,
        )
        spool.commit(verdict)
        counters.count(verdict)
        log.warning("trigger %d had no verdict when the station ended: it is ERROR 302", trigger.trigger_id)
