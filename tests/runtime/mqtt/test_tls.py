from __future__ import annotations

import ssl

import pytest
from tests.support.certificates import Authority

from edge_runtime.config.station import MqttSettings, TlsSettings
from edge_runtime.errors import ConfigError
from edge_runtime.mqtt.paho_connection import paho_client
from edge_runtime.mqtt.tls import tls_context


@pytest.fixture
def files(tmp_path):
    """Two certificates with their keys, their authority, and what is none of these."""
    authority = Authority(tmp_path, "ca")
    authority.sign("station")
    authority.sign("other")
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "folder").mkdir()
    return tmp_path


def settings(folder, ca="ca.pem", cert=None, key=None):
    return TlsSettings(
        ca=folder / ca, cert=None if cert is None else folder / cert, key=None if key is None else folder / key
    )


@pytest.mark.parametrize("own", [{}, {"cert": "station.pem", "key": "station.key"}])
def test_the_broker_must_prove_itself_by_certificate_and_name(files, own):
    context = tls_context(settings(files, **own))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ca": "none.pem"}, "mqtt.tls.ca {}/none.pem cannot be read: No such file or directory; check the path"),
        ({"ca": "folder"}, "mqtt.tls.ca {}/folder cannot be read: Is a directory"),
        ({"ca": "text"}, "mqtt.tls.ca {}/text holds no certificate in PEM form ("),
        ({"cert": "no.pem", "key": "station.key"}, "mqtt.tls.cert {}/no.pem cannot be read: No such file"),
        ({"cert": "station.pem", "key": "no.key"}, "mqtt.tls.key {}/no.key cannot be read: No such file"),
        (
            {"cert": "station.pem", "key": "other.key"},
            "mqtt.tls.cert {0}/station.pem and mqtt.tls.key {0}/other.key cannot be used (",
        ),
        (
            {"cert": "text", "key": "station.key"},
            "mqtt.tls.cert {0}/text and mqtt.tls.key {0}/station.key cannot be used",
        ),
    ],
)
def test_an_error_names_the_file_that_is_wrong(files, given, message):
    with pytest.raises(ConfigError) as caught:
        paho_client(MqttSettings(host="h", tls=settings(files, **given)), "l")
    assert str(caught.value).startswith(message.format(files))
    assert "None" not in str(caught.value)
