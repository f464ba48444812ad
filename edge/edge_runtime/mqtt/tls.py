"""The certificates and the key of `mqtt.tls`, read; errors name the file that is wrong.

client.tls_set_context(tls_context(station.mqtt.tls))
"""

from __future__ import annotations

import ssl
from pathlib import Path

from edge_runtime.config.station import TlsSettings
from edge_runtime.errors import ConfigError


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """How the station verifies the broker, and proves its own identity. Raises ConfigError."""
    _check_readable("ca", tls.ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the broker must prove its identity, by certificate and name
    try:
        context.load_verify_locations(tls.ca)
    except ssl.SSLError as error:
        raise ConfigError(f"mqtt.tls.ca {tls.ca} holds no certificate in PEM form ({_words(error)})") from error
    if tls.cert is not None and tls.key is not None:
        _check_readable("cert", tls.cert)
        _check_readable("key", tls.key)
        try:
            context.load_cert_chain(tls.cert, tls.key)
        except ssl.SSLError as error:
            raise ConfigError(
                f"mqtt.tls.cert {tls.cert} and mqtt.tls.key {tls.key} cannot be used ({_words(error)}): they must be a "
                "certificate and its private key in PEM form"
            ) from error
    return context


def _check_readable(name: str, file: Path) -> None:
    """Python's own error for a missing file does not say which one."""
    try:
        file.open("rb").close()
    except OSError as error:
        raise ConfigError(
            f"mqtt.tls.{name} {file} cannot be read: {error.strerror}; check the path and the rights"
        ) from error


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
