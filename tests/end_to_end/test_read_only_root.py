"""A device whose root file system is read-only, and nothing but the state folder can be written: no /tmp either."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from tests.support.tiny_bundle import write_pictures

READ_ONLY = """
mount --make-rprivate / && mount --bind {state} {state} || exit 99
for place in $(findmnt -rno TARGET | grep -vx {state} | grep -vE '^/(proc|sys)(/|$)'); do
  mount -o remount,bind,ro "$place" 2>/dev/null
done
for place in /tmp /var/tmp /dev/shm . {folder}; do touch $place/probe 2>/dev/null && exit 99; done
cd / && exec "$@"
"""


def in_read_only_root(bench, *command, timeout_s=60):
    script = READ_ONLY.format(state=bench.folder / "state", folder=bench.folder)
    program = ["unshare", "-m", "bash", "-c", script, "bash", *map(str, command)]
    found = subprocess.run(program, capture_output=True, text=True, timeout=timeout_s)
    if found.returncode == 99 or "unshare failed" in found.stderr:
        pytest.skip("this machine does not let a test mount anything")
    return found


@pytest.mark.skipif(shutil.which("unshare") is None, reason="util-linux is not there")
def test_a_station_judges_where_nothing_but_its_state_folder_can_be_written(bench, broker, listener):
    write_pictures(bench.pictures, "onon")
    station = bench.station(broker.port, product="tiny")
    (bench.folder / "state").mkdir(0o700)
    daemon = [sys.executable, "-c", "from edge_runtime.cli import main; main()"]

    checked = in_read_only_root(bench, *daemon, "check", station)
    assert f"ok     state_dir {bench.folder}/state\n" in checked.stdout, checked.stderr
    ran = in_read_only_root(bench, *daemon, "run", station, "--once")
    assert ran.returncode == 0, ran.stderr
    assert len(listener.take("verdict", 4)) == 4
