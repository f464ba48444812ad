"""A folder that grows, the real daemon, and a machine that does not wait for it."""

from __future__ import annotations

import random
import time

import cv2
from tests.support.tiny_bundle import picture, write_pictures

from edge_runtime.records import ErrorCode, Flag, Outcome
from edge_runtime.wire.verdict_json import decode_json

UNTIL_S = 20


def drop(path, spot, seed):
    unfinished = path.with_suffix(".tmp")
    unfinished.write_bytes(cv2.imencode(".png", picture(spot, seed))[1].tobytes())
    unfinished.rename(path)


def next_verdict(listener):
    return decode_json(listener.next_on("verdict/json"))


def test_pictures_that_come_are_judged_as_live_ones_and_moved(bench, broker, listener):
    bench.pictures.mkdir()
    bench.daemon(bench.station(broker.port, f"folder://{bench.pictures}?watch", source=", watch: {after: done}"))
    listener.wait_state("READY")
    for number, spot in enumerate((False, True, False)):
        drop(bench.pictures / f"{number}.png", spot, number)
        verdict = next_verdict(listener)
        assert (verdict.source, verdict.decision.outcome) == (f"{number}.png", (Outcome.OK, Outcome.NOK)[spot])
        assert not verdict.flags & Flag.SIMULATED
    deadline = time.monotonic() + UNTIL_S
    while sorted(p.name for p in (bench.pictures / "done").glob("*")) != ["0.png", "1.png", "2.png"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ten_thousand_pictures_that_wait_do_not_keep_the_station_from_being_ready(bench, broker, listener):
    write_pictures(bench.pictures, "o")
    for number in range(1, 10_000):
        (bench.pictures / f"{number:05d}.png").hardlink_to(bench.pictures / "0000.png")
    began_s = time.monotonic()
    bench.daemon(bench.station(broker.port, f"folder://{bench.pictures}?watch", health="{frozen: false}"))
    first = next_verdict(listener)
    assert time.monotonic() - began_s < UNTIL_S
    assert first.decision.outcome is Outcome.OK


def test_kills_lose_no_picture_and_judge_none_twice(bench, broker, listener):
    bench.pictures.mkdir()
    chance, judged = random.Random(1), []
    station = bench.station(broker.port, f"folder://{bench.pictures}?watch", source=", watch: {after: delete}")
    for round_ in range(5):
        daemon = bench.daemon(station)
        for number in range(8):
            drop(bench.pictures / f"{round_}-{number}.png", False, round_ * 8 + number)
        time.sleep(chance.uniform(0.3, 1.2))
        daemon.kill()
    bench.daemon(station)
    deadline = time.monotonic() + UNTIL_S
    while any(bench.pictures.glob("*.png")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while len({v.source for v in judged}) < 40:  # some may come twice, with the same seq
        judged.append(next_verdict(listener))
    by_source = {(v.source, v.seq) for v in judged}
    assert sorted(source for source, _ in by_source) == sorted(f"{r}-{n}.png" for r in range(5) for n in range(8))
    assert {v.decision.error for v in judged} == {ErrorCode.NONE}


def test_a_folder_that_is_not_there_is_a_state_and_not_an_end(bench, broker, listener):
    bench.daemon(bench.station(broker.port, f"folder://{bench.pictures}?watch"))
    assert listener.wait_state("NOTREADY") == b"NOTREADY;101;the camera delivers nothing"
    bench.pictures.mkdir()
    drop(bench.pictures / "1.png", False, 1)
    assert next_verdict(listener).decision.outcome is Outcome.OK
