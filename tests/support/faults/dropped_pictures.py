"""Pictures by FTP into a watched folder, slowly, in pieces and by renaming, while the daemon is killed; and a share
that stalls: bindfs, whose process is stopped.
"""

from __future__ import annotations

import ftplib
import io
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge_runtime.records import Outcome
from tests.support.faults.consumer import Consumer
from tests.support.faults.ledger import Account
from tests.support.faults.stand import Stand
from tests.support.ports import free_port
from tests.support.tiny_bundle import picture

VSFTPD = shutil.which("vsftpd", path=os.environ["PATH"] + ":/usr/sbin")
BINDFS = shutil.which("bindfs")
KILL_EVERY = 20  # pictures
USER, PASSWORD = "ftp", "edge"


@dataclass(frozen=True)
class DropRun:
    """What came of it."""

    pictures: int
    kills: int
    judged: int
    lost: int  # pictures without a verdict
    twice: int  # pictures with two
    misjudged: int  # whole pictures whose verdict is not what they show: half read, or another's
    left_behind: int  # files that are still in the folder
    longest_s: float
    account: Account

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return self.account.is_clean and not (self.lost or self.twice or self.misjudged or self.left_behind)


class FtpServer:
    """vsftpd on loopback, for an anonymous camera that may write into one folder. Needs root."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.port = free_port()
        uploads = root / "in"
        uploads.mkdir(parents=True, exist_ok=True)
        shutil.chown(uploads, "ftp")
        for one in (root, *root.parents):
            if one != Path("/") and one.stat().st_uid == os.getuid() and not one.stat().st_mode & 0o001:
                one.chmod(one.stat().st_mode | 0o011)
        empty = folder / "empty"
        empty.mkdir(exist_ok=True)
        lines = {
            "listen": "YES", "listen_address": "127.0.0.1", "listen_port": self.port, "background": "NO",
            "anonymous_enable": "YES", "local_enable": "NO", "write_enable": "YES", "anon_upload_enable": "YES",
            "anon_mkdir_write_enable": "YES", "anon_other_write_enable": "YES", "anon_root": root, "no_anon_password":
            "YES", "anon_umask": "022", "secure_chroot_dir": empty, "seccomp_sandbox": "NO", "xferlog_enable": "NO",
            "run_as_launching_user": "NO", "pasv_address": "127.0.0.1",
        }  # fmt: skip
        self._config = folder / "vsftpd.conf"
        self._config.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> FtpServer:
        self._process = subprocess.Popen([VSFTPD or "", str(self._config)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.connect().quit()
                return self
            except (OSError, ftplib.Error):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def connect(self) -> ftplib.FTP:
        """A camera's session, in the folder for pictures."""
        ftp = ftplib.FTP()
        ftp.connect("127.0.0.1", self.port, 10)
        ftp.login()
        ftp.cwd("in")
        return ftp


def drop_by_ftp(folder: Path, count: int, seed: int = 0) -> DropRun:
    """So many pictures, with a kill of the daemon every KILL_EVERY of them, at a random instant."""
    chance, kills = random.Random(seed), 0
    with Stand(folder, pictures="o") as stand, FtpServer(folder, folder / "ftp") as server:
        consumer = Consumer(stand.broker.port)
        watched = folder / "ftp/in"
        station = stand.write_station(
            mode="free-running", source={"uri": f"folder://{watched}?watch", "watch": {"after": "delete"}}
        )
        stand.start(station)
        ftp = server.connect()
        for number in range(count):
            upload(ftp, number, chance)
            if number % KILL_EVERY == KILL_EVERY - 1:
                time.sleep(chance.uniform(0.0, 0.4))
                stand.kill()
                stand.start(station)
                kills += 1
        ftp.quit()
        longest_s = _wait_until_empty(watched, 120)
        time.sleep(1)
        consumer.wait_until_quiet()
        consumer.close()
        stand.kill(15)
        return _account(consumer, count, kills, watched, longest_s)


def upload(ftp: ftplib.FTP, number: int, chance: random.Random) -> None:
    """One picture, as cameras do it: at once, slowly, in pieces, or under another name first."""
    spot = number % 3 == 2
    name = f"{number:06d}-{'defect' if spot else 'good'}.png"
    data = cv2.imencode(".png", picture(spot, number))[1].tobytes()
    kind = chance.choice(("at once", "slowly", "in pieces", "renamed"))
    if kind == "renamed":
        ftp.storbinary(f"STOR {number:06d}.tmp", io.BytesIO(data))
        ftp.rename(f"{number:06d}.tmp", name)
    elif kind == "in pieces":
        cut = chance.randrange(1, len(data))
        ftp.storbinary(f"STOR {name}", io.BytesIO(data[:cut]))
        ftp.storbinary(f"APPE {name}", io.BytesIO(data[cut:]))
    elif kind == "slowly":
        with ftp.transfercmd(f"STOR {name}") as connection:
            for start in range(0, len(data), 4096):
                connection.sendall(data[start : start + 4096])
                time.sleep(0.01)
        ftp.voidresp()
    else:
        ftp.storbinary(f"STOR {name}", io.BytesIO(data))


def stall_share(folder: Path, count: int, seed: int = 0) -> DropRun:
    """A share that answers nobody for so many seconds, while pictures come to its server all the time."""
    with Stand(folder, pictures="o") as stand:
        server, share = folder / "server", folder / "share"
        server.mkdir()
        share.mkdir()
        bindfs = subprocess.Popen([BINDFS or "", "-f", "--no-allow-other", str(server), str(share)])
        try:
            while not share.is_mount():
                time.sleep(0.05)
            consumer = Consumer(stand.broker.port)
            source = {"uri": f"folder://{share}?watch", "watch": {"after": "delete", "settle_ms": 50}}
            stand.start(stand.write_station(mode="free-running", source=source))
            if not consumer.wait_state("READY", 30):
                raise TimeoutError("the station does not get ready")
            stop, dropped = threading.Event(), [0]
            writer = threading.Thread(target=_drop_until, args=(stop, server, dropped))
            writer.start()
            consumer.wait_more(5, 30)
            began_s = time.monotonic()
            bindfs.send_signal(signal.SIGSTOP)
            said = consumer.wait_state("NOTREADY;101", 30)
            time.sleep(max(0.0, count - (time.monotonic() - began_s)))
            bindfs.send_signal(signal.SIGCONT)
            recovered = consumer.wait_state("READY", 30)
            consumer.wait_more(5, 30)
            stop.set()
            writer.join()
            _wait_until_empty(server, 60)
            consumer.wait_until_quiet()
            consumer.close()
            stand.kill(15)
            if not (said and recovered):
                raise TimeoutError("the state did not tell of the share, or not of its return")
            return _account(consumer, dropped[0], 0, server, time.monotonic() - began_s)
        finally:
            bindfs.send_signal(signal.SIGCONT)
            subprocess.run(["fusermount", "-u", "-z", str(share)], check=False)
            bindfs.terminate()
            bindfs.wait()


def _drop_until(stop: threading.Event, server: Path, dropped: list[int]) -> None:
    while not stop.wait(0.1):
        number = dropped[0]
        spot = number % 3 == 2
        unfinished = server / f"{number}.tmp"
        unfinished.write_bytes(cv2.imencode(".png", picture(spot, number))[1].tobytes())
        unfinished.rename(server / f"{number:06d}-{'defect' if spot else 'good'}.png")
        dropped[0] += 1


def _wait_until_empty(folder: Path, within_s: float) -> float:
    began_s = time.monotonic()
    while any(folder.glob("*.png")) and time.monotonic() - began_s < within_s:
        time.sleep(0.1)
    return time.monotonic() - began_s


def _account(consumer: Consumer, count: int, kills: int, folder: Path, longest_s: float) -> DropRun:
    verdicts = consumer.ledger.verdicts()
    by_name = Counter(verdict.source for verdict in verdicts)
    wrong = [v for v in verdicts if v.decision.outcome is not (Outcome.OK if "-good" in v.source else Outcome.NOK)]
    return DropRun(
        pictures=count,
        kills=kills,
        judged=len(by_name),
        lost=count - len(by_name),
        twice=sum(times > 1 for times in by_name.values()),
        misjudged=len(wrong),
        left_behind=len(list(folder.glob("*.png"))),
        longest_s=round(longest_s, 1),
        account=consumer.ledger.account(),
    )
