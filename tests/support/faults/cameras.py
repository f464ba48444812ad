"""Aravis' simulated GigE camera at a station: many triggers, kills of the camera, lost packets.

The camera's picture is a pattern that its frame number determines. So every OK can be verified: the picture that the
station kept of it must be, to the last bit, that of the frame number in the verdict.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_runtime.records import Flag, Outcome, Verdict
from tests.support.faults.consumer import Consumer
from tests.support.faults.gige_proxy import GigeProxy
from tests.support.faults.ledger import Account
from tests.support.faults.stand import Stand
from tests.support.gige_camera import GigeCamera

SIDE = 64
SETTINGS = {"width": SIDE, "height": SIDE, "pixel_format": "Mono8", "exposure_us": 2000.0, "packet_size": 576}
GAIN = 1 + np.log10(2000.0 / 10_000)  # of the pattern, at this exposure
IDS = 65_535  # its frame ids begin again at 1 after this one


@dataclass(frozen=True)
class CameraRun:
    """What came of it."""

    faults: int
    ok: int
    nok: int
    errors: dict[int, int]  # verdicts by error code
    late: int  # verdicts after their deadline
    proven: int  # OK verdicts whose kept picture is that of their frame number
    unproven: int  # those of which no picture was kept
    false: int  # those whose picture is not
    repeated: int  # frame numbers that more than one OK has
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return self.account.is_clean and not (self.false or self.late or self.repeated)


def trigger_camera(folder: Path, count: int, seed: int = 0) -> CameraRun:
    """So many software triggers, one after the other."""
    with Stand(folder) as stand, GigeCamera():
        consumer = _started(stand)
        consumer.start_machine()
        if not consumer.wait_more(count, 60 + count):
            raise TimeoutError(f"{len(consumer.ledger)} of {count} verdicts came")
        return _ended(stand, consumer, 0)


def kill_camera(folder: Path, count: int, seed: int = 0) -> CameraRun:
    """The camera's process is killed so many times while triggers come, and started again, sooner or later."""
    chance = random.Random(seed)
    with Stand(folder) as stand, GigeCamera() as camera:
        consumer = _started(stand)
        consumer.start_machine()
        for _ in range(count):
            if not consumer.wait_more(3, 60):
                raise TimeoutError(f"no verdicts come any more after {len(consumer.ledger)}")
            time.sleep(chance.uniform(0.0, 0.3))
            camera.kill()
            time.sleep(chance.choice((0.0, 0.2, 1.0, 3.0)))
            camera.start()
        consumer.wait_more(5, 60)
        return _ended(stand, consumer, count)


def lose_packets(folder: Path, count: int, seed: int = 0) -> CameraRun:
    """For so many seconds one packet in a hundred is lost; Aravis' camera leaves it out and sends none again."""
    with Stand(folder) as stand, GigeCamera(lost_per_thousand=10):
        consumer = _started(stand)
        consumer.start_machine()
        time.sleep(count)
        return _ended(stand, consumer, count)


def lose_datagrams(folder: Path, count: int, seed: int = 0) -> CameraRun:
    """For so many seconds a proxy between camera and station drops one datagram of the stream in a hundred."""
    with Stand(folder) as stand, GigeCamera(), GigeProxy(0.01, seed) as proxy:
        consumer = _started(stand, proxy.uri)
        consumer.start_machine()
        time.sleep(count)
        return _ended(stand, consumer, proxy.dropped)


def _started(stand: Stand, uri: str = GigeCamera.uri) -> Consumer:
    consumer = Consumer(stand.broker.port)
    stand.start(
        stand.write_station(
            source={"uri": uri, "camera": SETTINGS},
            pictures={"max_mb": 2000, "every_ok": 1},
        )
    )
    if not consumer.wait_state("READY", 30):
        raise TimeoutError(f"the station does not get ready: see {stand.log}")
    return consumer


def _ended(stand: Stand, consumer: Consumer, faults: int) -> CameraRun:
    consumer.stop_machine()
    consumer.wait_until_quiet()
    consumer.close()
    stand.kill(15)
    verdicts = consumer.ledger.verdicts()
    ok = [verdict for verdict in verdicts if verdict.decision.outcome is Outcome.OK]
    proofs = Counter(_proof(stand.folder / "state/pictures", verdict) for verdict in ok)
    numbers = Counter(verdict.source for verdict in ok) if not faults else Counter()
    return CameraRun(
        faults=faults,
        ok=len(ok),
        nok=sum(verdict.decision.outcome is Outcome.NOK for verdict in verdicts),
        errors=dict(Counter(int(v.decision.error) for v in verdicts if v.decision.outcome is Outcome.ERROR)),
        late=sum(
            bool(verdict.flags & Flag.LATE) and verdict.decision.outcome is not Outcome.ERROR for verdict in verdicts
        ),
        proven=proofs[True],
        unproven=proofs[None],
        false=proofs[False],
        repeated=sum(times > 1 for times in numbers.values()),
        account=replace(consumer.ledger.account(), false_ok=proofs[False]),
    )


def _proof(folder: Path, verdict: Verdict) -> bool | None:
    """Whether the kept picture is the frame's; None: none was kept."""
    found = cv2.imread(str(folder / f"{verdict.seq:010d}-OK.png"), cv2.IMREAD_UNCHANGED)
    if found is None:
        return None
    number = int(verdict.source.partition("#")[2])
    return bool((found == pattern((number - 1) % IDS + 1)[..., None]).all())


def pattern(frame_id: int) -> NDArray[np.uint8]:
    """The simulated camera's picture, grey (SIDE, SIDE)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray(((rows + columns + frame_id) % 255) * GAIN, np.uint8)
