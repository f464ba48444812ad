"""Verdicts to test with."""

from __future__ import annotations

from dataclasses import replace

from edge_runtime.records import Decision, ErrorCode, FrameMeasurement, Outcome, PartPlace, Region, Timings, Verdict

DECISIONS = {
    Outcome.OK: Decision(Outcome.OK, score=0.3127, raw_score=58.2, raw_threshold=128.0),
    Outcome.NOK: Decision(
        Outcome.NOK,
        score=0.7312,
        raw_score=348.2,
        raw_threshold=128.0,
        regions=(Region(10, 20, 30, 40, 700, 0.81), Region(1, 2, 3, 4, 9, 0.55)),
        timings=Timings(900, 200, 9000, 80, 110),
    ),
    Outcome.ERROR: Decision(Outcome.ERROR, ErrorCode.FRAME_BLACK, detail="the brightest pixel is 0: check the light"),
}


def sample_verdict(
    seq: int = 41, outcome: Outcome = Outcome.NOK, trigger_id: int = 7, unix_ms: int = 1_750_000_000_123
) -> Verdict:
    return Verdict(
        seq=seq,
        decision=DECISIONS[outcome],
        bundle="screw",
        bundle_version="1.2",
        unix_ms=unix_ms,
        boot_id=3,
        latency_us=83_456,
        trigger_id=trigger_id,
        recipe=12,
        part_id="PART-00000000007",
        source="test/bad/007.png",
    )


def seen_verdict(outcome: Outcome = Outcome.NOK) -> Verdict:
    """One whose decision still has what its frame looked like and where its part lay."""
    verdict = sample_verdict(outcome=outcome)
    measurement = FrameMeasurement(480, 640, brightness=150.0, saturated=0.02, sharpness=0.22)
    place = PartPlace(320.5, 240.25, -3.5, 0.93)
    return replace(verdict, decision=replace(verdict.decision, measurement=measurement, place=place))
