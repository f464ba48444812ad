from __future__ import annotations

import pytest

from edge_runtime.daemon.assembly import announcing_offline
from edge_runtime.errors import ConfigError, EngineError, StorageError


class RecordingPublisher:
    def close(self, report):
        self.last = report.payload()


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (StorageError("x"), b"OFFLINE;303;ended by StorageError"),
        (EngineError("x"), b"OFFLINE;203;ended by EngineError"),
        (ConfigError("x"), b"OFFLINE;000;ended by ConfigError"),
        (ZeroDivisionError("x"), b"OFFLINE;302;ended by ZeroDivisionError"),
    ],
)
def test_a_station_that_ends_by_an_error_says_which_in_its_last_state(error, last):
    publisher = RecordingPublisher()
    with pytest.raises(type(error)), announcing_offline(publisher):
        raise error
    assert publisher.last == last


def test_a_station_that_is_stopped_says_so():
    publisher = RecordingPublisher()
    with announcing_offline(publisher):
        pass
    assert publisher.last == b"OFFLINE;000;stopped"
