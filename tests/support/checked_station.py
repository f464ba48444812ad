"""A station's configuration for the tests of `edge-daemon check`."""

from __future__ import annotations

from edge_runtime.config.station import MqttSettings, SourceSettings, Station


def station(folder, **settings):
    defaults = {
        "source": SourceSettings(uri="folder://x"),
        "mqtt": MqttSettings(host="h"),
        "state_dir": folder / "state",
    }
    return Station(**{"line": "press", "cell": "1", "bundle": folder / "bundle", **defaults, **settings})
