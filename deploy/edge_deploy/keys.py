"""Ed25519 keys: the private one signs where bundles are built, the public one is what a device trusts.

public = generate_pair(Path("keys"))
signature = load_signing_key(Path("keys/private.pem")).sign(data)
load_trusted_key(public).accepts(signature, data)

The public half is `edge_runtime.bundle.trusted_key`, for devices need it, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from edge_runtime.bundle.trusted_key import TrustedKey, load_trusted_key, read_key_file, wrong_key
from edge_runtime.errors import ConfigError
from edge_runtime.files import Durability, make_folder, replaced_file, storage_errors

PRIVATE, PUBLIC = "private.pem", "public.pem"


@dataclass(frozen=True)
class SigningKey:
    """A private key. It never leaves the machine that packs."""

    path: Path
    _key: Ed25519PrivateKey

    @property
    def trusted(self) -> TrustedKey:
        """The public half."""
        return TrustedKey(self.path, self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        """64 bytes, the same ones for the same data every time."""
        return self._key.sign(data)


def generate_pair(folder: Path) -> TrustedKey:
    """Write a new pair to the folder, private.pem for its owner alone. An existing key is never overwritten."""
    private, public = folder / PRIVATE, folder / PUBLIC
    for path in (private, public):
        if path.exists():
            raise ConfigError(
                f"{path} exists, and devices may trust it: choose another folder, or move the old pair away first"
            )
    key = Ed25519PrivateKey.generate()
    with storage_errors(folder):
        make_folder(folder)
    with storage_errors(private), replaced_file(private, Durability.DURABLE, 0o600) as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()  # a full disk shows here, before the public key stands there alone
        with storage_errors(public), replaced_file(public, Durability.DURABLE, 0o644) as public_file:
            public_file.write(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return load_trusted_key(public)


def load_signing_key(path: Path) -> SigningKey:
    """Read a private key. Raises ConfigError when the file holds anything else."""
    try:
        key = load_pem_private_key(read_key_file(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise wrong_key(path, "private", PRIVATE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise wrong_key(path, "private", PRIVATE)
    return SigningKey(path, key)
