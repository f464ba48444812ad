"""How a device marks what it made or checked itself: with a key made from its machine id, which no other device has.

    seal_of(machine_id(), b"edge-inspection engine record 1", {"sha256": ...})

A copied file does not fit another device's seal. Who may write as root owns the device already; so that nobody else can
forge a seal, the sealed file and its folder must belong to this user or to root, and be writable by nobody else.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from edge_runtime.errors import ConfigError

MACHINE_ID = Path("/etc/machine-id")


def machine_id(path: Path = MACHINE_ID) -> str:
    """What tells this device from all others. Raises ConfigError."""
    try:
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}), and without it no engine can be known as this device's own: run "
            f"systemd-machine-id-setup, or give a container its host's with -v {path}:{path}:ro"
        ) from error
    if not re.fullmatch(r"[0-9a-f]{32}", found):
        raise ConfigError(f"{path} holds no machine id (32 hexadecimal digits): run systemd-machine-id-setup")
    return found


def seal_of(machine: str, purpose: bytes, facts: Mapping[str, object]) -> str:
    """The seal of a record, in hex. purpose: what kind of record it is, so that one never passes as another."""
    key = hmac.digest(bytes.fromhex(machine), purpose, "sha256")
    return hmac.digest(key, json.dumps(facts, sort_keys=True).encode(), "sha256").hex()


def same_seal(one: str, other: str) -> bool:
    """Whether two seals are the same, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def writable_by_others(path: Path) -> str | None:
    """Who else could have written a file or a folder, in words; None for nobody but this user and root."""
    status = path.stat()
    if status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022:
        return None
    return (
        f"{path} could have been written by other users (owner {status.st_uid}, mode {status.st_mode & 0o777:o}): "
        "nothing in it is loaded. Make it root's with mode 755 (folder) or 644 (file)"
    )
