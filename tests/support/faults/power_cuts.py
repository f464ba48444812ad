"""The power of the disk fails at random instants, and everything that was not flushed is lost or half written.

The station's folder is on ext4, on a loop device, on a disk of our own that knows what was flushed (lossy_disk.py).
After each cut the file system is mounted again from what is left, and the daemon goes on with it.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.lossy_disk import LossyDisk
from tests.support.faults.stand import Stand

IMAGE_MB = 32
STARTING_S = 0.4
WORKING_S = 0.5


def can_cut_power() -> bool:
    """Whether this user may mount, and the kernel has what is needed."""
    return os.geteuid() == 0 and Path("/dev/fuse").exists() and Path("/dev/loop-control").exists()


def cut_power(folder: Path, count: int, seed: int = 0) -> Account:
    """Cut it so many times, one time in four while the daemon starts; then let it answer what is left."""
    chance = random.Random(seed)
    with Stand(folder) as stand:
        image = new_file_system(folder / "image")
        state_dir = folder / "mounted"
        consumer = Consumer(stand.broker.port)
        station = stand.write_station(state_dir=str(state_dir / "state"))
        consumer.start_machine()
        for _ in range(count):
            disk = LossyDisk(folder / "disk", image)
            with mounted(disk, state_dir):
                stand.start(station)
                if chance.random() < 0.25:
                    time.sleep(chance.uniform(0.0, STARTING_S))
                else:
                    consumer.wait_state("READY", 20)
                    time.sleep(chance.uniform(0.0, WORKING_S))
                image = disk.cut(chance)
                stand.kill()
                consumer.forget_states()
        with mounted(LossyDisk(folder / "disk", image), state_dir):
            stand.start(station)
            consumer.stop_machine()
            consumer.wait_until_quiet()
            consumer.close()
            stand.kill()
        return consumer.ledger.account()


def new_file_system(path: Path) -> bytes:
    """An empty ext4."""
    path.write_bytes(b"")
    os.truncate(path, IMAGE_MB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(path)], check=True)
    image = path.read_bytes()
    path.unlink()
    return image


@contextmanager
def mounted(disk: LossyDisk, folder: Path) -> Iterator[None]:
    """The file system of a disk, mounted on a folder. Leaving it unmounts, and closes the disk."""
    folder.mkdir(exist_ok=True)
    device = _run("losetup", "--find", "--show", "--direct-io=on", str(disk.path)).strip()
    try:
        _run("mount", "-t", "ext4", device, str(folder))
        try:
            yield
        finally:
            _run("umount", str(folder))
    finally:
        _run("losetup", "--detach", device)
        disk.close()


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
