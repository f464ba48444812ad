from __future__ import annotations

import sqlite3

import pytest
from tests.support.sample_verdict import sample_verdict

from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.storage.database import FILE as DATABASE
from edge_runtime.storage.recovery import open_spool
from edge_runtime.storage.retention import Retention
from edge_runtime.storage.spool import Spool
from edge_runtime.storage.state_owner import FILE, check_owner, claim_folder


def fill(folder, count):
    with Spool(folder) as spool:
        for _ in range(count):
            spool.commit(sample_verdict(seq=spool.next_seq))


def refusal(folder, name):
    with pytest.raises(ConfigError) as refused:
        check_owner(folder, name)
    return str(refused.value)


def test_the_first_station_has_the_folder_and_another_is_refused_with_its_name(tmp_path):
    check_owner(tmp_path, "L1/C3")
    check_owner(tmp_path, "L1/PRESS9")  # looking claims nothing
    fill(tmp_path, 12)
    claim_folder(tmp_path, "L1/C3")
    check_owner(tmp_path, "L1/C3")
    claim_folder(tmp_path, "L1/C3")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert refusal(tmp_path, "L1/PRESS9") == (
        f"state_dir {tmp_path} belongs to station L1/C3 (its verdicts that wait for the broker: 12), and this is "
        "L1/PRESS9: give L1/PRESS9 a state_dir of its own; or, if L1/C3 was renamed to L1/PRESS9, remove "
        f"{tmp_path}/station.txt, and what waits goes out on L1/PRESS9's topics"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / FILE).read_text() == "L1/C3\n"


def test_one_that_opens_it_between_anothers_look_and_claim_keeps_it(tmp_path):
    check_owner(tmp_path, "L1/PRESS9")
    claim_folder(tmp_path, "L1/C3")
    with pytest.raises(ConfigError, match="belongs to station L1/C3, and this is L1/PRESS9"):
        claim_folder(tmp_path, "L1/PRESS9")
    check_owner(tmp_path, "L1/C3")


@pytest.mark.parametrize("as_told", [lambda file: file.unlink(), lambda file: file.write_text("")])
def test_a_renamed_station_takes_its_folder_over_on_purpose(tmp_path, as_told):
    claim_folder(tmp_path, "L1/C3")
    as_told(tmp_path / FILE)
    claim_folder(tmp_path, "L1/PRESS9")
    assert "belongs to station L1/PRESS9" in refusal(tmp_path, "L1/C3")


def test_a_folder_of_which_only_the_pictures_or_a_damaged_spool_are_left_has_still_its_owner(tmp_path):
    fill(tmp_path, 3)
    claim_folder(tmp_path, "L1/C3")
    with (tmp_path / DATABASE).open("r+b") as file:
        file.write(bytes(4096))
    assert "belongs to station L1/C3, and" in refusal(tmp_path, "L1/PRESS9")  # how many wait cannot be known
    with open_spool(tmp_path, Retention()):  # the rescue leaves the owner in its place
        claim_folder(tmp_path, "L1/C3")
    (tmp_path / DATABASE).unlink()
    assert "belongs to station L1/C3, and" in refusal(tmp_path, "L1/PRESS9")


def test_a_spool_that_is_in_use_is_not_looked_into(tmp_path):
    claim_folder(tmp_path, "L1/C3")
    fill(tmp_path, 1)
    with Spool(tmp_path) as spool:
        spool.commit(sample_verdict(seq=spool.next_seq))
        assert "belongs to station L1/C3, and" in refusal(tmp_path, "L1/PRESS9")


def test_verdicts_that_the_broker_or_a_consumer_has_do_not_wait(tmp_path):
    claim_folder(tmp_path, "L1/C3")
    fill(tmp_path, 5)
    with sqlite3.connect(tmp_path / DATABASE) as database:
        database.execute("UPDATE verdict SET delivered = 1 WHERE seq = 4")
        database.execute("UPDATE station SET acknowledged = 2")
    database.close()
    assert "(its verdicts that wait for the broker: 2)" in refusal(tmp_path, "L1/PRESS9")


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path):
    with pytest.raises(StorageError, match=rf"{tmp_path}/gone/station\.txt cannot be written: No such file"):
        claim_folder(tmp_path / "gone", "L1/C3")
    (tmp_path / FILE).mkdir()
    with pytest.raises(StorageError, match=rf"{tmp_path}/station\.txt cannot be read: Is a directory"):
        check_owner(tmp_path, "L1/C3")
