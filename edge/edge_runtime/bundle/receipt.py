"""What `edge-deploy install` leaves beside a manifest: who signed it, and that this device has accepted it.

    write_receipt(folder, key, machine_id())          # after the signature was accepted
    require_receipt(bundle, machine_id())             # raises BundleError
    signer_at_install(bundle)                         # the key's fingerprint; None: not installed from a signed file

An engine is a program, and a hash in a manifest says nothing of who wrote the manifest. So a bundle's engines are
loaded only if the station has just verified the signature itself (`trust.require_signature`) or, where it requires
none, if the receipt says that this very device has: it is sealed like the engines that the device compiles itself
(docs/decisions/0040 and 0027).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pydantic

from edge_runtime.bundle.device_seal import same_seal, seal_of, writable_by_others
from edge_runtime.bundle.manifest import Record, Sha256
from edge_runtime.bundle.reader import MANIFEST, MOST_MANIFEST_BYTES, Bundle
from edge_runtime.bundle.trust import INSTALL, read_signature
from edge_runtime.bundle.trusted_key import TrustedKey
from edge_runtime.bundle.verified_file import read_at_most
from edge_runtime.errors import BundleError
from edge_runtime.files import Durability, write_file

RECEIPT = "installed.json"
MOST_RECEIPT_BYTES = 10_000
INDEX = "engines/engines.json"  # a bundle that lists this has engines in it
PURPOSE = b"edge-inspection installed bundle 1"


class Receipt(Record):
    """manifest: SHA-256 of the file that was signed. signer: the fingerprint of the key that was trusted. key: all of
    it, in hex; None: installed by an earlier version. seal: None on a device without a machine id."""

    manifest: Sha256
    signer: str
    key: Sha256 | None = None
    seal: str | None

    @property
    def sealed_facts(self) -> dict[str, str]:
        """What the seal is over; the fingerprint stands for the key."""
        return {"manifest": self.manifest, "signer": self.signer}


def write_receipt(folder: Path, key: TrustedKey, machine: str | None) -> None:
    """Write it into the folder of a bundle. machine: this device's id, if it has one."""
    manifest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    receipt = Receipt(manifest=manifest, signer=key.fingerprint, key=key.raw.hex(), seal=None)
    if machine is not None:
        receipt = receipt.with_changes(seal=seal_of(machine, PURPOSE, receipt.sealed_facts))
    content, where = receipt.model_dump_json(indent=1).encode() + b"\n", folder / RECEIPT
    if not where.is_file() or where.read_bytes() != content:
        write_file(where, content, Durability.DURABLE, 0o644)


def signer_at_install(bundle: Bundle) -> str | None:
    """The fingerprint of the key that signed a bundle, by what lies beside it; whether that key is to be trusted is for
    others to say. None for one that was not installed from a signed file.

    Raises BundleError when the signature does not fit the manifest any more.
    """
    signature, receipt = read_signature(bundle.folder), _read_receipt(bundle.folder)
    if signature is None or receipt is None or receipt.key is None:
        return None
    key = TrustedKey.of_bytes(bytes.fromhex(receipt.key), bundle.folder / RECEIPT)
    manifest = read_at_most(bundle.folder / MANIFEST, MOST_MANIFEST_BYTES)
    if hashlib.sha256(manifest).hexdigest() != bundle.manifest_sha256 or not key.accepts(signature, manifest):
        raise BundleError(f"{bundle.folder / MANIFEST} is not the one that key {key.fingerprint} signed: {INSTALL}")
    return key.fingerprint


def _read_receipt(folder: Path) -> Receipt | None:
    """None: there is none. Raises BundleError."""
    where = folder / RECEIPT
    try:
        return Receipt.model_validate_json(read_at_most(where, MOST_RECEIPT_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, pydantic.ValidationError) as error:
        raise BundleError(f"{where} is no valid receipt, so the engines beside it are not loaded: {INSTALL}") from error


def require_receipt(bundle: Bundle, machine: str) -> None:
    """Raises BundleError when this device has not installed just this bundle from a signed file."""
    where = bundle.folder / RECEIPT
    receipt = _read_receipt(bundle.folder)
    if receipt is None:
        raise BundleError(
            f"bundle {bundle.label} in {bundle.folder} was not installed from a signed file on this device, so the "
            f"engines in it are not loaded: {INSTALL}"
        )
    for place in (bundle.folder, where, bundle.folder / MANIFEST):
        if problem := writable_by_others(place):
            raise BundleError(f"{problem}, then {INSTALL}")
    if receipt.seal is None or not same_seal(receipt.seal, seal_of(machine, PURPOSE, receipt.sealed_facts)):
        raise BundleError(
            f"{where} was not written by this device (its seal does not fit the machine id), so the engines beside it "
            f"are not loaded: {INSTALL}"
        )
    if receipt.manifest != bundle.manifest_sha256:
        raise BundleError(
            f"{bundle.folder / MANIFEST} is not the one that was signed, so the engines beside it are not loaded: "
            f"{INSTALL}"
        )
