"""A real broker over TLS with client certificates: the right ones get through, and each wrong one has its own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.support.tiny_bundle import write_pictures


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ca")


def tls_broker(start_broker, certificate: Path):
    return start_broker(
        *("allow_anonymous true", "require_certificate true", f"cafile {certificate.parent}/ca.pem"),
        *(f"certfile {certificate}", f"keyfile {certificate.with_suffix('.key')}"),
    )


def station(bench, broker, client: str | None, protocol="3.1.1", ca="ca.pem"):
    write_pictures(bench.pictures, "on")
    own = f", cert: {client}.pem, key: {client}.key" if client else ""
    return bench.station(broker.port, mqtt=f", protocol: '{protocol}', tls: {{ca: {ca}{own}}}")


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_both_sides_prove_themselves(bench, start_broker, authority, protocol):
    broker = tls_broker(start_broker, authority.sign("broker"))
    authority.sign("station")
    daemon = bench.daemon(station(bench, broker, "station", protocol), "--once")
    assert daemon.wait() == 0, daemon.log


def test_a_broker_whose_certificate_expired_is_refused_and_the_log_says_so(bench, start_broker, authority):
    broker = tls_broker(start_broker, authority.sign("broker", first_day=-9, last_day=-2))
    authority.sign("station")
    daemon = bench.daemon(station(bench, broker, "station"))
    daemon.read_until("the broker's certificate is refused: certificate has expired; check mqtt.tls.ca")


def test_a_broker_of_another_authority_is_refused(bench, start_broker, authority, tmp_path):
    broker = tls_broker(start_broker, authority.sign("broker"))
    authority.sign("station")
    Authority(tmp_path, "other")
    daemon = bench.daemon(station(bench, broker, "station", ca="other.pem"))
    daemon.read_until("the broker's certificate is refused: ")


def test_a_station_whose_certificate_expired_is_named(bench, start_broker, authority):
    broker = tls_broker(start_broker, authority.sign("broker"))
    authority.sign("station", first_day=-9, last_day=-2)
    daemon = bench.daemon(station(bench, broker, "station"))
    daemon.read_until(f"the station's certificate {bench.folder}/station.pem expired on ")


def test_a_certificate_of_another_authority_is_reported_in_the_brokers_words(bench, start_broker, authority, tmp_path):
    broker = tls_broker(start_broker, authority.sign("broker"))
    Authority(tmp_path, "other").sign("station")
    daemon = bench.daemon(station(bench, broker, "station"))
    daemon.read_until("it refuses the station's certificate (")


def test_a_broker_that_wants_a_certificate_is_reported_when_the_station_has_none(bench, start_broker, authority):
    broker = tls_broker(start_broker, authority.sign("broker"))
    daemon = bench.daemon(station(bench, broker, None))
    daemon.read_until("it wants a certificate from the station (")
