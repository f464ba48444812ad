"""What a station keeps is for its own user alone, whatever the umask that it was started with."""

from __future__ import annotations

import os

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.storage.database import probe_spool
from edge_runtime.storage.spool import Spool
from edge_runtime.storage.state_dir import make_state_folder
from edge_runtime.storage.state_owner import claim_folder


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder):
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}


def test_the_folder_and_all_that_a_spool_makes_are_private(tmp_path, umask):
    state = tmp_path / "state"
    with Spool(state) as spool:
        claim_folder(state, "L1/C3")
        spool.commit(sample_verdict(seq=spool.next_seq))
        assert state.stat().st_mode & 0o777 == 0o700
        found = modes(state)
        assert {"spool.sqlite3", "spool.sqlite3-wal", "seq.mark", "station.txt"} <= set(found)
        assert set(found.values()) == {"0o600"}


def test_a_folder_that_is_there_keeps_the_rights_that_somebody_gave_it(tmp_path):
    (tmp_path / "state").mkdir(0o750)
    assert not make_state_folder(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o750


def test_probing_for_a_spool_leaves_no_trace(tmp_path):
    probe_spool(tmp_path)
    assert list(tmp_path.iterdir()) == []
