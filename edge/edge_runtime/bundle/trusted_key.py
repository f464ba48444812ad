"""The public half of a pair of Ed25519 keys: what a device trusts. `edge-deploy keygen` makes pairs.

    load_trusted_key(Path("/etc/edge/public.pem")).accepts(signature, data)

`cryptography` is imported where it is used, for a station that trusts no key does not need it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.bundle.verified_file import read_at_most
from edge_runtime.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE_BYTES = 64
MOST_KEY_BYTES = 10_000


@dataclass(frozen=True)
class TrustedKey:
    """A public key. What it accepts was signed by whoever holds the private one. path: its file, for people."""

    path: Path
    _key: Ed25519PublicKey

    @staticmethod
    def of_bytes(raw: bytes, path: Path) -> TrustedKey:
        """raw: the 32 bytes of the key. Raises ValueError."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return TrustedKey(path, Ed25519PublicKey.from_public_bytes(raw))

    @property
    def raw(self) -> bytes:
        """32 bytes."""
        return self._key.public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """The start of the SHA-256 over the raw key: what people compare."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def accepts(self, signature: bytes, data: bytes) -> bool:
        """Whether the private half signed exactly these bytes."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def load_trusted_key(path: Path) -> TrustedKey:
    """Read a public key. Raises ConfigError when the file holds anything else."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(read_key_file(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise wrong_key(path, "public", "public.pem") from error
    if not isinstance(key, Ed25519PublicKey):
        raise wrong_key(path, "public", "public.pem")
    return TrustedKey(path, key)


def read_key_file(path: Path) -> bytes:
    """What a key's file holds. Raises ConfigError."""
    try:
        return read_at_most(path, MOST_KEY_BYTES)
    except OSError as error:
        raise ConfigError(f"the key {path} cannot be read: {error.strerror}; check the path and the rights") from error
    except BundleError as error:  # a pipe or a device
        raise ConfigError(f"the key {path} is no regular file: check the path") from error


def wrong_key(path: Path, half: str, name: str) -> ConfigError:
    """The error for a file that is not the half of a pair that it should be. name: what keygen calls such a file."""
    return ConfigError(f"{path} is no unencrypted Ed25519 {half} key in PEM: give the {name} that keygen wrote")
