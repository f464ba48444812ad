"""What several tests of the runtime start from."""

import pytest
from tests.support.station_stage import Stage


@pytest.fixture
def stage(tmp_path):
    """Makes stations whose camera, engine and broker are scripted, and which have started."""
    stages = []

    def make(mode="free-running", *frames, **settings):
        stages.append(Stage(tmp_path, mode, *frames, **settings))
        stages[-1].self_test.conclude_first(once=False)
        return stages[-1]

    yield make
    for made in stages:
        made.spool.__exit__(None, None, None)
