"""A long run: the daemon judges as fast as it can, and neither its memory nor its open files may grow."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_runtime.mqtt.paho_connection import send_at_once
from edge_runtime.wire.verdict_binary import decode_binary
from tests.support.faults.stand import PREFIX, Stand

WARM = 0.2  # of the pictures, after which nothing may grow any more
ACK_EVERY = 500
LIMIT = 0.01


@dataclass(frozen=True)
class Soak:
    """What came of it. Memory is the resident set of the daemon; that and open files are medians over a tenth of it."""

    pictures: int
    missing: int
    per_s: float
    warm_mb: float
    end_mb: float
    growth: float
    warm_files: int
    end_files: int

    @property
    def is_clean(self) -> bool:
        """Whether everything came and nothing grew."""
        return not self.missing and self.growth < LIMIT and self.end_files <= self.warm_files


def soak(folder: Path, count: int, seed: int = 0) -> Soak:
    """Judge so many pictures, free-running, with a consumer that acknowledges."""
    with Stand(folder, "on" * 10) as stand:
        seen: set[int] = set()
        contiguous = 0
        done = threading.Event()

        def take(client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
            nonlocal contiguous
            seen.add(decode_binary(bytes(message.payload)).seq)
            while contiguous + 1 in seen:
                contiguous += 1
            if contiguous and contiguous % ACK_EVERY == 0:
                client.publish(f"{PREFIX}/verdict/ack", str(contiguous), 1)
            if len(seen) >= count:
                done.set()

        consumer = paho.Client(CallbackAPIVersion.VERSION2, "consumer")
        consumer.on_message = take
        consumer.on_socket_open = lambda _client, _userdata, sock: send_at_once(sock)
        consumer.connect("127.0.0.1", stand.broker.port)
        consumer.subscribe(f"{PREFIX}/verdict/bin", 1)
        consumer.loop_start()
        source = {"uri": f"folder://{folder / 'pictures'}", "loop": True, "fps": 1000}
        began_s = time.monotonic()
        stand.start(stand.write_station(mode="free-running", source=source, pictures={"max_mb": 2, "every_ok": 10}))
        samples: list[tuple[int, float, int]] = []  # verdicts, megabytes, open files
        while not done.wait(0.5):
            samples.append((len(seen), *_size(stand.pid)))
        took_s = time.monotonic() - began_s
        consumer.disconnect()
        consumer.loop_stop()
    warm = [s for s in samples if WARM <= s[0] / count < WARM + 0.1]
    end = [s for s in samples if s[0] / count >= 0.9]
    warm_mb, end_mb = (float(np.median([mb for _, mb, _ in part])) for part in (warm, end))
    return Soak(
        pictures=len(seen),
        missing=max(seen) - len(seen),
        per_s=round(len(seen) / took_s),
        warm_mb=round(warm_mb, 2),
        end_mb=round(end_mb, 2),
        growth=round(end_mb / warm_mb - 1, 4),
        warm_files=int(np.median([files for _, _, files in warm])),
        end_files=int(np.median([files for _, _, files in end])),
    )


def _size(pid: int) -> tuple[float, int]:
    """Resident megabytes and open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(resident.split()[1]) / 1000, len(list(Path(f"/proc/{pid}/fd").iterdir()))
