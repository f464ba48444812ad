"""Which bundle is active, and which ones were before: one link decides, so that a power cut cannot split the two.

    STORE/active         -> history/000002          the only thing that a switch changes
    STORE/history/000001 -> ../bundles/screw-1
    STORE/history/000002 -> ../bundles/screw-2

Activating writes the next number, then moves `active` to it; rolling back moves `active` to a lower number. What stands
above the active number was rolled back from: it is never looked at again, and overwritten by the next activation.
(Nix keeps its profiles in this way.)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import StorageError
from edge_runtime.files import make_folder, replace_link, sync_folder

ACTIVE, HISTORY, BUNDLES = "active", "history", "bundles"


@dataclass(frozen=True)
class History:
    """The bundles' labels by number; `position` is the active one's number, 0 when nothing was ever activated."""

    labels: Mapping[int, str]
    position: int

    @property
    def active(self) -> str | None:
        """The label of the bundle that serves."""
        return self.labels.get(self.position)

    def position_before(self, installed: Collection[str]) -> int | None:
        """Where rolling back leads: the last number before whose bundle is another one and still installed."""
        numbers = (n for n, label in self.labels.items() if n < self.position and label in installed)
        return max((n for n in numbers if self.labels[n] != self.active), default=None)

    def previous(self, installed: Collection[str]) -> str | None:
        """The label of the bundle that rolling back leads to."""
        position = self.position_before(installed)
        return None if position is None else self.labels[position]


def read_history(store: Path) -> History:
    """Read the links. Raises StorageError when `active` is not one that was made here, OSError when the disk fails."""
    links = (store / HISTORY).iterdir() if (store / HISTORY).is_dir() else ()
    labels = {int(link.name): link.readlink().name for link in links if link.name.isdecimal()}
    active = store / ACTIVE
    if not active.is_symlink():
        if active.exists():
            raise StorageError(f"{active} is no link, so edge-deploy did not make it: move it away and activate again")
        return History(labels, 0)
    match = re.fullmatch(rf"{HISTORY}/(\d+)", str(active.readlink()))
    if match is None:
        raise StorageError(
            f"{active} points to {active.readlink()}, and edge-deploy lets it point to {HISTORY}/NUMBER: delete the "
            f"link and activate again"
        )
    return History(labels, int(match[1]))


def append(store: Path, history: History, label: str, scratch: Path) -> None:
    """Activate a bundle as the newest one. `scratch` is an empty folder in the store."""
    number = history.position + 1
    make_folder(store / HISTORY)
    replace_link(store / HISTORY / _name(number), f"../{BUNDLES}/{label}", scratch)
    move_to(store, number, scratch)


def move_to(store: Path, number: int, scratch: Path) -> None:
    """Activate what stands at a number of the history. `scratch` is an empty folder in the store."""
    replace_link(store / ACTIVE, f"{HISTORY}/{_name(number)}", scratch)


def forget(store: Path, history: History, label: str) -> None:
    """Drop a bundle that is not active from the history, so that another one of this label never takes its place."""
    for number in (n for n, found in history.labels.items() if found == label):
        (store / HISTORY / _name(number)).unlink()
    if (store / HISTORY).is_dir():
        sync_folder(store / HISTORY)


def _name(number: int) -> str:
    return f"{number:06d}"
