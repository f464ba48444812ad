"""Why a connection to the broker did not come about, in words that say what was found and what to do."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timezone

from edge_runtime.config.station import TlsSettings

CLOSED = "it closed the connection before it answered: is this an MQTT port, with or without TLS?"


def connect_reason(error: Exception) -> str:
    """What an error of connecting means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the broker's certificate is refused: {error.verify_message}; check mqtt.tls.ca, "
            "the certificate's dates and names, and this machine's clock"
        )
    if isinstance(error, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError):
        return CLOSED  # it was there, and wanted no TLS
    if isinstance(error, ssl.SSLError):
        return f"TLS fails: {error.reason or error}; check mqtt.port, and that both sides speak TLS"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there: check that the broker runs, mqtt.port, and that no firewall refuses"
    if isinstance(error, socket.gaierror):
        return (
            f"its name is not known here ({error.strerror}): check mqtt.host and this machine's DNS, or give an address"
        )
    if isinstance(error, TimeoutError):
        return "nobody answers there: check mqtt.host and mqtt.port, cable, network and firewall"
    found = error.strerror if isinstance(error, OSError) else None
    return f"it cannot be reached ({found or error}): check mqtt.host, cable and network"


def refusal_reason(reason: object) -> str:
    """What a broker's own refusal means. reason: its words."""
    return f"it refused the connection: {reason}; check mqtt.user, password_file, client_id and protocol"


def end_reason(log_line: str, tls: TlsSettings | None, now: datetime | None = None) -> str | None:
    """What the end of a connection means, from what paho logged of it. None: nothing that TLS would explain."""
    if tls is None:
        return None
    own = None if tls.cert is None else own_certificate_problem(tls, now or datetime.now(timezone.utc))
    if own:
        return own
    if "ALERT" not in log_line.upper():
        return None
    alert = log_line.partition("[SSL: ")[2].partition("]")[0].replace("_", " ").lower()
    what = (
        "wants a certificate from the station"
        if "certificate required" in alert
        else "refuses the station's certificate"
    )
    return f"it {what} ({alert}): check mqtt.tls.cert and key, and which authority the broker trusts"


def own_certificate_problem(tls: TlsSettings, now: datetime) -> str | None:
    """What is wrong with the dates of the station's own certificate; None when nothing is."""
    assert tls.cert is not None
    from cryptography import x509  # only a station with a certificate of its own needs it

    try:
        certificate = x509.load_pem_x509_certificate(tls.cert.read_bytes())
    except (OSError, ValueError):
        return None  # `tls_context` reports it
    if now > certificate.not_valid_after_utc:
        return f"the station's certificate {tls.cert} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: renew it"
    if now < certificate.not_valid_before_utc:
        return (
            f"the station's certificate {tls.cert} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}: "
            "check this machine's clock"
        )
    return None
