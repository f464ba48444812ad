"""Run by test_interruption: each change of a store is killed (SIGKILL) before every step that changes the disk.

The steps are the calls that Python's audit hooks report: open for writing, mkdir, chmod, symlink, rename, remove, lock.

    python killed_at_every_step.py WORK FILE.edgebundle... PUBLIC.pem

After each kill the store must be valid: every bundle in it whole, `active` a whole bundle that was the right one before
or after the change. Then the change is made again and must come out as if nothing had happened.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_deploy.store import Store
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.bundle.trust import read_trust

Change = Callable[[Store], object]
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def run_killed_at(number: int, change: Change, store: Store) -> bool:
    """Make the change in a child that dies before its step with this number. False when it had fewer steps."""
    child = os.fork()
    if child == 0:
        left = number

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event.startswith(("os.", "fcntl.")) or (event == "open" and arguments[2] & CHANGING):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        change(store)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), f"the change itself failed: status {status}"
    return status == signal.SIGKILL


def state(store: Store) -> dict[str, str]:
    """Every bundle's role; each must be whole, and the link must lead to the active one."""
    entries = store.entries() if (store.folder / "bundles").is_dir() else []
    assert not [entry.problem for entry in entries if entry.problem], entries
    roles = {entry.label: entry.role.value for entry in entries}
    for label in (label for label, role in roles.items() if role == "active"):
        assert open_bundle(store.folder / "active").label == label
    return roles


def kill_everywhere(name: str, change: Change, before: Path, work: Path) -> None:
    def fresh() -> Store:
        shutil.rmtree(work, ignore_errors=True)
        if before.exists():
            shutil.copytree(before, work, symlinks=True)
        return Store(work)

    allowed = [state(fresh())]
    store = fresh()
    change(store)
    after = state(store)
    allowed.append(after)
    number = 0
    while run_killed_at(number := number + 1, change, store := fresh()):
        found = state(store)
        assert found in allowed, f"{name}, step {number}: {found} is none of {allowed}"
        if found != after:
            change(store)
            assert state(store) == after, f"{name}, step {number}, again: {state(store)} is not {after}"
            assert not (work / "incoming").exists()
    print(f"{name}: {number - 1} kills")


def main(work: Path, one: Path, two: Path, three: Path, public: Path) -> None:
    key = read_trust([public], None)
    before = work / "before"
    kill_everywhere("first install", lambda store: store.install(one, key), before, work / "store")
    for file in (one, two, three):
        Store(before).install(file, key)
    Store(before).remove("screw-3")
    kill_everywhere("install", lambda store: store.install(three, key), before, work / "store")
    Store(before).install(three, key)
    kill_everywhere("first activate", lambda store: store.activate("screw-1"), before, work / "store")
    Store(before).activate("screw-3")
    Store(before).activate("screw-1")
    kill_everywhere("activate", lambda store: store.activate("screw-2"), before, work / "store")
    Store(before).activate("screw-2")
    kill_everywhere("rollback", lambda store: store.rollback(), before, work / "store")
    kill_everywhere("remove", lambda store: store.remove("screw-3"), before, work / "store")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
