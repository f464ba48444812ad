"""An authority, and certificates signed by it, with the dates that a test wants."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Authority:
    """Writes `name.pem` of itself, and of what it signs `name.pem` and `name.key`, into a folder."""

    def __init__(self, folder: Path, name: str):
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(name)
        now = datetime.now(timezone.utc)
        certificate = (
            _builder(self._subject, self._subject, self._key, now - DAY, now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str, first_day: int = -1, last_day: int = 1) -> Path:
        """A certificate for 127.0.0.1, valid from and to so many days from now. Returns its path."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
        certificate = (
            _builder(_named(name), self._subject, key, now + first_day * DAY, now + last_day * DAY)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        path.with_suffix(".key").write_bytes(
            key.private_bytes(
                *(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8), serialization.NoEncryption()
            )
        )
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject, issuer, key, first, last):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
    )
