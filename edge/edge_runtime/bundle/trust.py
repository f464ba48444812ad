"""Whose bundles are accepted: the keys that may have signed, and what was revoked since.

    trust = read_trust([Path("/etc/edge/2026.pem"), Path("/etc/edge/2027.pem")], Path("/etc/edge/revoked.txt"))
    signer = trust.verify(manifest_bytes, signature, where)      # before the manifest is parsed
    trust.require_not_revoked(manifest.label, where)             # after it, for a label is in it

The signature is over the bytes of `manifest.json`, which lists the hash of every other file: it covers all of a bundle.
`edge-deploy install` verifies it and leaves it beside the manifest; a station with `trust.require_signature` verifies
it again whenever it opens a bundle.

A file of revocations has one on each line:

    key 0f3c5a7e9b1d2f40          # every bundle that this key signed; the fingerprint that keygen and pack print
    bundle screw-2                # by name and version
    bundle 3b1c...                # by the SHA-256 of its manifest.json, 64 digits
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.bundle.trusted_key import SIGNATURE_BYTES, TrustedKey, load_trusted_key
from edge_runtime.bundle.verified_file import read_at_most
from edge_runtime.errors import BundleError, ConfigError

SIGNATURE = "manifest.sig"  # beside manifest.json, and in an .edgebundle
MOST_REVOCATIONS_BYTES = 1 << 20
INSTALL = "install it from the signed file with `edge-deploy install`"
_REVOCATION = re.compile(r"(key) ([0-9a-f]{16})|(bundle) ([0-9a-f]{64}|[A-Za-z0-9][A-Za-z0-9_-]{0,39}-[A-Za-z0-9._-]+)")


@dataclass(frozen=True)
class Revoked:
    """keys: fingerprints. bundles: labels, and SHA-256 of manifests. path: the file that says so, for people."""

    keys: frozenset[str] = frozenset()
    bundles: frozenset[str] = frozenset()
    path: Path | None = None


@dataclass(frozen=True)
class Trust:
    """The keys of which one must have signed, and what none may bring back."""

    keys: tuple[TrustedKey, ...]
    revoked: Revoked = Revoked()

    def verify(self, manifest: bytes, signature: bytes, where: str) -> TrustedKey:
        """The key that signed these bytes. where: what they were read from, for people. Raises BundleError."""
        signer = next((key for key in self.keys if key.accepts(signature, manifest)), None)
        if signer is None:
            raise BundleError(
                f"{where} is not signed by {self._named()}: it was packed with another key or changed after packing; "
                "do not use it, get it again from whom you trust"
            )
        if signer.fingerprint in self.revoked.keys:
            raise BundleError(
                f"{where} is signed by key {signer.fingerprint}, which is revoked ({self.revoked.path}): pack the "
                "bundle again with a key that is trusted"
            )
        self._require_not_listed(hashlib.sha256(manifest).hexdigest(), where)
        return signer

    def require_not_revoked(self, label: str, where: str) -> None:
        """Raises BundleError for a label that is revoked."""
        self._require_not_listed(label, where)

    def _require_not_listed(self, found: str, where: str) -> None:
        if found in self.revoked.bundles:
            raise BundleError(f"{where} is revoked ({self.revoked.path} lists `bundle {found}`): use another bundle")

    def _named(self) -> str:
        named = ", ".join(f"{key.path} ({key.fingerprint})" for key in self.keys)
        return f"the trusted key {named}" if len(self.keys) == 1 else f"any of the trusted keys {named}"


def read_trust(keys: Sequence[Path], revoked: Path | None) -> Trust:
    """Read keys and revocations. Raises ConfigError for a file that is not what it should be."""
    if not keys:
        raise ConfigError("no key is trusted, so that no bundle could be: give the public.pem that keygen wrote")
    return Trust(tuple(map(load_trusted_key, keys)), Revoked() if revoked is None else read_revoked(revoked))


def read_revoked(path: Path) -> Revoked:
    """Read a file of revocations. Raises ConfigError, also for a single line that cannot be understood: it may be the
    one that matters."""
    try:
        content = read_at_most(path, MOST_REVOCATIONS_BYTES)
        text = content.decode("ascii")
    except OSError as error:
        raise ConfigError(f"the revocations {path} cannot be read: {error.strerror}; check the path") from error
    except BundleError as error:
        raise ConfigError(f"the revocations {path} are no regular file: check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} holds other characters than ASCII: write revocations as plain text") from error
    if len(content) > MOST_REVOCATIONS_BYTES:
        raise ConfigError(f"{path} has more than {MOST_REVOCATIONS_BYTES} bytes: it is no list of revocations")
    keys, bundles = set(), set()
    for number, line in enumerate(text.splitlines(), 1):
        stated = " ".join(line.partition("#")[0].split())
        if not stated:
            continue
        found = _REVOCATION.fullmatch(stated)
        if found is None:
            raise ConfigError(
                f"{path}, line {number}: found {stated[:80]!r}: must be `key FINGERPRINT` (16 digits), `bundle "
                "NAME-VERSION` or `bundle SHA256` of its manifest.json"
            )
        if found[1]:
            keys.add(found[2])
        else:
            bundles.add(found[4])
    return Revoked(frozenset(keys), frozenset(bundles), path)


def read_signature(folder: Path) -> bytes | None:
    """The signature that is kept beside a manifest; None for a bundle that has none. Raises BundleError."""
    path = folder / SIGNATURE
    try:
        signature = read_at_most(path, SIGNATURE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}; check the disk and the rights") from error
    if len(signature) != SIGNATURE_BYTES:
        raise BundleError(f"{path} is no signature, which has {SIGNATURE_BYTES} bytes: {INSTALL}")
    return signature


def require_signature(folder: Path) -> bytes:
    """The signature beside a manifest. Raises BundleError for a bundle that has none."""
    signature = read_signature(folder)
    if signature is None:
        raise BundleError(
            f"{folder} is not signed (it has no {SIGNATURE}), and trust.require_signature asks for it: {INSTALL}; a "
            "bundle that an earlier version installed gets its signature when it is installed again"
        )
    return signature
