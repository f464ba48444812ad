"""The station's own folder, `state_dir`: only its last part is made, for a path that is misspelt is not to be followed.

Where systemd runs the station, StateDirectory= has made all of it before.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_runtime.errors import StorageError

SYSTEMD_STATE = Path("/var/lib/edge-daemon")  # of the unit's StateDirectory=


def make_state_folder(folder: Path) -> None:
    """Make it if it is not there. Raises StorageError when it cannot be made."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        missing = not folder.parent.exists()
        why = f"its parent {folder.parent} is missing; make that" if missing else f"{error.strerror}; check the rights"
        raise StorageError(f"state_dir {folder} cannot be used: {why}, or correct state_dir") from error


def probe_state_folder(folder: Path) -> None:
    """Write into it and leave no trace. Raises StorageError."""
    is_new = not folder.exists()
    make_state_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(f"state_dir {folder} cannot be written: {error.strerror}; check disk and rights") from error
    finally:
        if is_new:
            folder.rmdir()
