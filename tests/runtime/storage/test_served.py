"""What a station has judged with outlives its process, in a file that fails closed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.support.tiny_bundle import write_bundle

from edge_runtime.bundle.reader import open_bundle
from edge_runtime.errors import ConfigError, StorageError
from edge_runtime.storage.served import FILE, Newest, read_served, remember


@pytest.fixture
def bundle(tmp_path):
    return open_bundle(write_bundle(tmp_path / "bundle"))


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def named(bundle, name="tiny", version="1.0", sha256="a" * 64):
    manifest = bundle.manifest.with_changes(name=name, version=version)
    return replace(bundle, manifest=manifest, manifest_sha256=sha256)


def test_a_new_station_remembers_nothing_also_before_its_folder_is_made(state):
    assert read_served(state) is None
    assert read_served(state / "not/there") is None


def test_the_product_and_its_newest_version_are_remembered_for_this_user_alone(state, bundle):
    remember(state, bundle)
    served = read_served(state)
    assert (served.product, served.newest) == ("tiny", {"tiny": Newest(version="1.0", manifest=bundle.manifest_sha256)})
    assert (state / FILE).stat().st_mode & 0o777 == 0o600


def test_an_older_version_does_not_become_the_newest_and_each_product_has_its_own(state, bundle):
    for name, version in (("tiny", "2.0"), ("tiny", "1.0"), ("nut", "7")):
        remember(state, named(bundle, name, version))
    served = read_served(state)
    assert served.product == "nut"
    assert {name: newest.version for name, newest in served.newest.items()} == {"tiny": "2.0", "nut": "7"}


def test_what_is_known_already_is_not_written_again(state, bundle):
    remember(state, bundle)
    before = (state / FILE).stat().st_ino
    remember(state, bundle)
    assert (state / FILE).stat().st_ino == before


@pytest.mark.parametrize("content", [b"", b"{", b'{"product": "tiny"}', b"\xff", b"[" * 100_000])
def test_a_damaged_memory_is_no_empty_one(state, bundle, content):
    (state / FILE).write_bytes(content)
    for read in (lambda: read_served(state), lambda: remember(state, bundle)):
        with pytest.raises(
            ConfigError, match=r"served\.json is damaged, .* verify that the active bundle is the right"
        ):
            read()


def test_a_memory_that_cannot_be_read_or_written_is_the_disks_fault(state, bundle):
    (state / FILE).mkdir()
    with pytest.raises(StorageError, match=r"served\.json cannot be read: Is a directory"):
        read_served(state)
    with pytest.raises(StorageError, match=r"served\.json cannot be written: No such file or directory"):
        remember(state / "gone", bundle)


def test_unknown_keys_are_refused_for_they_may_say_what_this_version_must_know(state):
    (state / FILE).write_text(json.dumps({"product": "tiny", "newest": {}, "more": 1}))
    with pytest.raises(ConfigError, match="is damaged"):
        read_served(state)
