"""The station's own folder, `state_dir`: only its last part is made, for a path that is misspelt is not to be followed.

Where systemd runs the station, StateDirectory= has made all of it before.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edge_runtime.errors import ConfigError, EdgeError, StorageError

SYSTEMD_STATE = Path("/var/lib/edge-daemon")  # of the unit's StateDirectory=


def make_state_folder(folder: Path) -> bool:
    """Make it if it is not there, for this user alone whatever the umask; returns whether it was made.

    Raises ConfigError for a path that is misspelt, StorageError for a disk that is not as it must be.
    """
    try:
        if folder.is_dir():
            return False
        folder.mkdir(0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise _unusable(folder, folder.parent, error) from error
    return True


def probe_state_folder(folder: Path) -> None:
    """Write into it and leave no trace. Raises ConfigError, StorageError, as above."""
    is_new = make_state_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unusable(folder, folder, error) from error
    finally:
        if is_new:
            folder.rmdir()


def _unusable(folder: Path, place: Path, error: OSError) -> EdgeError:
    """place: the folder that was to take something new."""
    kind: type[EdgeError] = StorageError  # which systemd starts again for: the disk may come
    it = "it" if place == folder else f"its parent {place}"
    if isinstance(error, PermissionError):
        user = f"user {os.geteuid()}"
        why = f"{user} may not write into {it} ({error.strerror}); be the station's user, or give {user} that right"
    elif (file := next((path for path in (folder, *folder.parents) if path.is_file()), None)) is not None:
        kind, why = ConfigError, f"{file} is a file and no folder; correct state_dir"
    elif folder.is_symlink():
        why = f"it is a link to {folder.readlink()}, which is not there; is its disk mounted?"
    elif not place.exists():
        kind, why = ConfigError, f"{it} is missing; make that, or correct state_dir"
    else:
        why = f"{it} takes nothing new ({error.strerror}); choose a folder on a disk that lasts and can be written"
    return kind(f"state_dir {folder} cannot be used: {why}")
