"""The proof that a bundle came out of a signed file: `edge-deploy install` leaves it beside the manifest.

    write_receipt(folder, machine_id(), key.fingerprint)       # after the signature was accepted
    require_receipt(bundle, machine_id())                      # raises BundleError

Only a bundle with engines in it needs one: an engine is a program, and a hash in a manifest says nothing of who wrote
the manifest. The receipt is sealed like the engines that the device compiles itself (docs/decisions/0040).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pydantic

from edge_runtime.bundle.device_seal import same_seal, seal_of, writable_by_others
from edge_runtime.bundle.manifest import Record, Sha256
from edge_runtime.bundle.reader import MANIFEST, Bundle
from edge_runtime.errors import BundleError
from edge_runtime.files import Durability, write_file

RECEIPT = "installed.json"
INDEX = "engines/engines.json"  # a bundle that lists this has engines in it
PURPOSE = b"edge-inspection installed bundle 1"
INSTALL = "install it from the signed file with `edge-deploy install`"


class Receipt(Record):
    """manifest: SHA-256 of the file that was signed. signer: the fingerprint of the key that was trusted."""

    manifest: Sha256
    signer: str
    seal: str


def receipt_of(manifest: bytes, machine: str, signer: str) -> bytes:
    """What to write beside a manifest whose signature this device has accepted."""
    facts = {"manifest": hashlib.sha256(manifest).hexdigest(), "signer": signer}
    receipt = Receipt.model_validate({**facts, "seal": seal_of(machine, PURPOSE, facts)})
    return receipt.model_dump_json(indent=1).encode() + b"\n"


def write_receipt(folder: Path, machine: str, signer: str) -> None:
    """Write it into the folder of a bundle."""
    receipt = receipt_of((folder / MANIFEST).read_bytes(), machine, signer)
    write_file(folder / RECEIPT, receipt, Durability.DURABLE, 0o644)


def require_receipt(bundle: Bundle, machine: str) -> None:
    """Raises BundleError when this device has not installed just this bundle from a signed file."""
    where = bundle.folder / RECEIPT
    try:
        receipt = Receipt.model_validate_json(where.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(
            f"bundle {bundle.label} in {bundle.folder} was not installed from a signed file on this device, so the "
            f"engines in it are not loaded: {INSTALL}"
        ) from error
    except (OSError, pydantic.ValidationError) as error:
        raise BundleError(f"{where} is no valid receipt, so the engines beside it are not loaded: {INSTALL}") from error
    for place in (bundle.folder, where, bundle.folder / MANIFEST):
        if problem := writable_by_others(place):
            raise BundleError(f"{problem}, then {INSTALL}")
    if not same_seal(receipt.seal, seal_of(machine, PURPOSE, receipt.model_dump(exclude={"seal"}))):
        raise BundleError(
            f"{where} was not written by this device (its seal does not fit the machine id), so the engines beside it "
            f"are not loaded: {INSTALL}"
        )
    if receipt.manifest != bundle.manifest_sha256:
        raise BundleError(
            f"{bundle.folder / MANIFEST} is not the one that was signed, so the engines beside it are not loaded: "
            f"{INSTALL}"
        )
