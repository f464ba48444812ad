"""Whose a state_dir is: its line and cell, in a small file. What waits in its spool goes out on their topics alone.

    check_owner(folder, "L1/C3")                # before anything in the folder is touched
    with open_spool(folder, retention):
        claim_folder(folder, "L1/C3")           # before the first verdict

A folder of an earlier version has no such file: it becomes the first one's who opens its spool.
"""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.files import Durability, write_file
from edge_runtime.storage.database import waiting_at_rest

FILE = "station.txt"


def check_owner(folder: Path, name: str) -> None:
    """name: LINE/CELL. Raises ConfigError when the folder is another station's."""
    owner = _owner(folder)
    if owner is None or owner == name:
        return
    waiting = waiting_at_rest(folder)
    verdicts = f" (its verdicts that wait for the broker: {waiting})" if waiting else ""
    raise ConfigError(
        f"state_dir {folder} belongs to station {owner}{verdicts}, and this is {name}: give {name} a state_dir of its "
        f"own; or, if {owner} was renamed to {name}, remove {folder / FILE}, and what waits goes out on {name}'s topics"
    )


def claim_folder(folder: Path, name: str) -> None:
    """Remember whose the folder is; for whoever has its spool. Raises ConfigError as above, and StorageError."""
    check_owner(folder, name)
    if _owner(folder) is not None:
        return
    path = folder / FILE
    try:
        write_file(path, f"{name}\n".encode("ascii"), Durability.DURABLE, 0o600)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}; check that the disk is there, has room and can be written"
        ) from error


def _owner(folder: Path) -> str | None:
    path = folder / FILE
    try:
        return path.read_text(encoding="ascii", errors="replace").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}; be the station's user") from error
