"""What this station has judged with, in a small file of its state_dir: the product, and the newest version of each.

    served = read_served(folder)                  # None: nothing yet
    remember(folder, bundle)                      # before it judges its first part

A restart must not let another product's bundle judge, nor an older version of a signed one; only a file that outlives
the process can tell (daemon/admission.py decides).
"""

from __future__ import annotations

from pathlib import Path

import pydantic

from edge_runtime.bundle.manifest import Record, Sha256
from edge_runtime.bundle.reader import Bundle
from edge_runtime.bundle.versions import is_older
from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.files import Durability, write_file

FILE = "served.json"
MOST_BYTES = 1 << 20


class Newest(Record):
    """A version, and the SHA-256 of its manifest."""

    version: str
    manifest: Sha256


class Served(Record):
    """product: the name of the bundle that judged last. newest: of every product that judged here."""

    product: str
    newest: dict[str, Newest]


def read_served(folder: Path) -> Served | None:
    """What the folder remembers. Raises ConfigError for a file that cannot be understood, StorageError."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            return Served.model_validate_json(file.read(MOST_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}; be the station's user") from error
    except pydantic.ValidationError as error:
        raise ConfigError(
            f"{path} is damaged, and it says which product and versions judged here: verify that the active bundle is "
            f"the right one, then remove {path}"
        ) from error


def remember(folder: Path, bundle: Bundle) -> None:
    """From now on the station is this product's, and this version the newest if none before was newer. Durable.

    Raises ConfigError, StorageError.
    """
    before = read_served(folder)
    manifest, newest = bundle.manifest, dict(before.newest) if before is not None else {}
    known = newest.get(manifest.name)
    if known is None or not is_older(manifest.version, known.version):
        newest[manifest.name] = Newest(version=manifest.version, manifest=bundle.manifest_sha256)
    now = Served(product=manifest.name, newest=newest)
    if now == before:
        return
    path = folder / FILE
    try:
        write_file(path, now.model_dump_json(indent=1).encode() + b"\n", Durability.DURABLE, 0o600)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}; check that the disk is there, has room and can be written"
        ) from error
