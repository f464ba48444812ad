"""The store: installing, activating, rolling back, removing, and what each of them refuses."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_deploy.archive import pack_bundle
from edge_deploy.keys import SigningKey, generate_pair
from edge_deploy.store import Entry, Installation, Role, Store
from edge_runtime.bundle.manifest_digest import with_digest
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.bundle.trust import Revoked, Trust
from edge_runtime.errors import BundleError, ConfigError, StorageError

Pack = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def install(store: Store, pack: Pack, trusted: Trust) -> Callable[..., str]:
    return lambda version: store.install(pack(version), trusted)[0]


Install = Callable[[str], str]


def roles(store: Store) -> dict[str, str]:
    return {entry.label: entry.role.value for entry in store.entries()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_installed_bundle_is_whole_and_does_not_serve_yet(store: Store, pack: Pack, trusted: Trust) -> None:
    assert store.install(pack("1"), trusted) == ("screw-1", Installation.NEW)

    assert open_bundle(store.folder / "bundles" / "screw-1").label == "screw-1"
    assert names(store.folder) == ["bundles"]
    assert store.entries() == [Entry("screw-1", Role.SPARE, None, trusted.keys[0].fingerprint)]


def test_the_daemon_may_read_everything_whatever_the_umask(store: Store, pack: Pack, trusted: Trust) -> None:
    before = os.umask(0o077)
    try:
        store.install(pack("1"), trusted)
        store.activate("screw-1")
    finally:
        os.umask(before)

    modes = {path.stat().st_mode & 0o777 for path in (store.folder, *store.folder.rglob("*")) if path.is_dir()}
    assert modes == {0o755}


def test_installing_again_changes_nothing(store: Store, pack: Pack, trusted: Trust) -> None:
    file = pack("1")
    store.install(file, trusted)
    model = store.folder / "bundles" / "screw-1" / "model.fp32.onnx"
    inode = model.stat().st_ino

    assert store.install(file, trusted) == ("screw-1", Installation.THERE)

    assert model.stat().st_ino == inode


def test_installing_again_repairs_what_is_damaged_even_in_the_active_bundle(
    store: Store, pack: Pack, trusted: Trust
) -> None:
    file = pack("1")
    store.install(file, trusted)
    store.activate("screw-1")
    active = store.folder / "active"
    (active / "model.fp32.onnx").write_bytes(b"rot")
    shutil.rmtree(active / "golden")
    assert "model.fp32.onnx has 3 bytes, the manifest says" in store.entries()[0].problem

    assert store.install(file, trusted) == ("screw-1", Installation.REPAIRED)

    assert store.entries() == [Entry("screw-1", Role.ACTIVE, None, trusted.keys[0].fingerprint)]


@pytest.mark.parametrize("damage", ["another threshold", "no manifest"])
def test_installing_again_repairs_a_damaged_manifest(
    store: Store, make_bundle: Callable[..., Path], signing: SigningKey, trusted: Trust, damage: str
) -> None:
    built = make_bundle("1", digest="")
    (built / "manifest.json").write_bytes(with_digest((built / "manifest.json").read_bytes()))
    file = built.with_suffix(".edgebundle")
    pack_bundle(built, signing, file)
    store.install(file, trusted)
    manifest = store.folder / "bundles" / "screw-1" / "manifest.json"
    if damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes().replace(b'"score_high": ', b'"score_high": 9', 1))
    assert manifest.parent.name in store.entries()[0].problem

    assert store.install(file, trusted) == ("screw-1", Installation.REPAIRED)

    assert manifest.read_bytes() == (built / "manifest.json").read_bytes()
    assert store.entries()[0].problem is None


def test_another_bundle_under_the_same_name_and_version_is_refused(store: Store, pack: Pack, trusted: Trust) -> None:
    store.install(pack("1", model=b"first"), trusted)

    with pytest.raises(BundleError, match=r"bundles/screw-1 is another bundle than .*: give the new one its own ver"):
        store.install(pack("1", model=b"second"), trusted)

    assert (store.folder / "bundles" / "screw-1" / "model.fp32.onnx").read_bytes() == b"first"


def test_a_bundle_that_was_changed_leaves_no_trace(store: Store, pack: Pack, trusted: Trust) -> None:
    file = pack("1")
    content = bytearray(file.read_bytes())
    content[content.index(b"graph 1")] ^= 1
    file.write_bytes(content)

    with pytest.raises(BundleError, match=r"model.fp32.onnx inside is not what the manifest lists"):
        store.install(file, trusted)

    assert list((store.folder / "bundles").iterdir()) == []
    assert not (store.folder / "incoming").exists()


def test_a_bundle_that_is_not_signed_does_not_even_make_a_store(store: Store, pack: Pack, trusted: Trust) -> None:
    file = pack("1")
    content = bytearray(file.read_bytes())
    content[600] ^= 1
    file.write_bytes(content)

    with pytest.raises(BundleError):
        store.install(file, trusted)

    assert not store.folder.exists()


def test_a_bundle_for_another_version_of_the_device_is_not_installed(
    store: Store, make_bundle: Callable[..., Path], make_signed: Callable[..., Path], trusted: Trust
) -> None:
    file = make_signed(make_bundle("2", preprocessing="bgr8-other-9"))

    with pytest.raises(BundleError, match=r"built with preprocessing 'bgr8-other-9', this device has"):
        store.install(file, trusted)

    assert names(store.folder / "bundles") == []


def test_activating_switches_the_link_that_the_daemon_follows(store: Store, install: Install) -> None:
    install("1"), install("2")

    assert store.activate("screw-1") is True
    assert open_bundle(store.folder / "active").label == "screw-1"
    assert store.activate("screw-2") is True
    assert open_bundle(store.folder / "active").label == "screw-2"

    assert roles(store) == {"screw-1": "previous", "screw-2": "active"}


def test_activating_the_active_bundle_adds_nothing_to_the_history(store: Store, install: Install) -> None:
    install("1")
    store.activate("screw-1")

    assert store.activate("screw-1") is False

    assert names(store.folder / "history") == ["000001"]


def test_rolling_back_goes_one_activation_back_each_time(store: Store, install: Install) -> None:
    for version in "123":
        store.activate(install(version))

    assert store.rollback() == "screw-2"
    assert store.rollback() == "screw-1"

    assert open_bundle(store.folder / "active").label == "screw-1"
    with pytest.raises(StorageError, match=r"no installed bundle was active before screw-1: activate one by its name"):
        store.rollback()
    assert open_bundle(store.folder / "active").label == "screw-1"


def test_what_was_rolled_back_from_is_not_what_the_next_rollback_leads_to(store: Store, install: Install) -> None:
    for version in "123":
        store.activate(install(version))
    store.rollback()
    install("4")

    store.activate("screw-4")

    assert roles(store) == {"screw-1": "", "screw-2": "previous", "screw-3": "", "screw-4": "active"}
    assert store.rollback() == "screw-2"


def test_nothing_to_roll_back_to_is_reported(store: Store, install: Install) -> None:
    install("1")

    with pytest.raises(StorageError, match=r"no installed bundle was active before now: .*; installed: screw-1"):
        store.rollback()


def test_a_damaged_bundle_is_neither_activated_nor_rolled_back_to(store: Store, install: Install) -> None:
    store.activate(install("1"))
    store.activate(install("2"))
    (store.folder / "bundles" / "screw-1" / "golden" / "0.png").write_bytes(b"xxx")

    for change in (store.rollback, lambda: store.activate("screw-1")):
        with pytest.raises(BundleError, match=r"golden/0.png is not the file that was built"):
            change()

    assert open_bundle(store.folder / "active").label == "screw-2"


def test_the_active_and_the_previous_bundle_cannot_be_removed(store: Store, install: Install) -> None:
    store.activate(install("1"))
    store.activate(install("2"))

    with pytest.raises(StorageError, match=r"screw-2 is the active bundle of .*: activate another one first"):
        store.remove("screw-2")
    with pytest.raises(StorageError, match=r"screw-1 is the previous bundle of .*: activate another one first"):
        store.remove("screw-1")

    assert names(store.folder / "bundles") == ["screw-1", "screw-2"]


def test_a_removed_bundle_is_gone_from_the_history_too(store: Store, install: Install) -> None:
    for version in "123":
        store.activate(install(version))

    store.remove("screw-1")

    assert names(store.folder) == ["active", "bundles", "history"]
    assert names(store.folder / "bundles") == ["screw-2", "screw-3"]
    assert names(store.folder / "history") == ["000002", "000003"]
    install("1")
    store.rollback()
    with pytest.raises(StorageError, match="no installed bundle was active before screw-2"):
        store.rollback()


@pytest.mark.parametrize("label", ["screw-9", "../store", "", ".", "/etc"])
def test_a_bundle_that_is_not_there_is_named_with_those_that_are(store: Store, install: Install, label: str) -> None:
    install("1")

    for change in (store.activate, store.remove):
        with pytest.raises(StorageError, match=rf"has no bundle '{label}'; installed: screw-1: choose one of these"):
            change(label)


def test_a_folder_that_is_no_store_is_refused_and_stays_as_it_is(store: Store) -> None:
    store.folder.mkdir()

    changes = (store.entries, store.rollback, lambda: store.activate("x"), lambda: store.remove("x"))
    for change in changes:
        with pytest.raises(StorageError, match=r"store is no store, it has no folder `bundles`: install a bundle"):
            change()

    assert list(store.folder.iterdir()) == []


def test_a_store_below_a_file_is_refused(tmp_path: Path, pack: Pack, trusted: Trust) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"file/store: File exists .at .*file.; check the path and the disk"):
        Store(tmp_path / "file" / "store").install(pack("1"), trusted)


def test_a_link_that_someone_else_made_is_not_touched(store: Store, install: Install) -> None:
    install("1")
    active = store.folder / "active"
    active.symlink_to("bundles/screw-1")

    with pytest.raises(StorageError, match=r"active points to bundles/screw-1, and edge-deploy lets it .*: delete the"):
        store.activate("screw-1")

    active.unlink()
    active.mkdir()
    with pytest.raises(StorageError, match=r"active is no link, so edge-deploy did not make it: move it away"):
        store.activate("screw-1")


def test_an_active_bundle_whose_folder_was_deleted_is_listed_as_damaged(store: Store, install: Install) -> None:
    store.activate(install("1"))
    shutil.rmtree(store.folder / "bundles" / "screw-1")

    (entry,) = store.entries()

    assert entry.role is Role.ACTIVE
    assert "bundles/screw-1: there is no such folder; correct the path" in entry.problem


def test_only_one_change_happens_at_a_time(store: Store, install: Install) -> None:
    install("1")
    other = os.open(store.folder, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)

        with pytest.raises(StorageError, match=r"is being changed by another edge-deploy: try again when that has"):
            store.activate("screw-1")
        assert roles(store) == {"screw-1": ""}
    finally:
        os.close(other)

    assert store.activate("screw-1") is True


def tamper(folder: Path) -> None:
    """Thresholds times five, and a digest that fits: what somebody does who may write to the store."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"]["fp32"]["threshold"]["score"] *= 5
    (folder / "manifest.json").write_bytes(with_digest(json.dumps(manifest | {"digest": ""}).encode()))


def test_an_installed_bundle_that_was_changed_with_a_fitting_digest_is_damaged_and_repaired(
    store: Store, pack: Pack, trusted: Trust
) -> None:
    file = pack("1")
    store.install(file, trusted)
    folder = store.folder / "bundles/screw-1"
    tamper(folder)

    (entry,) = store.entries()

    problem = f"{folder}/manifest.json is not the one that key {trusted.keys[0].fingerprint} signed: install it from"
    assert entry.problem.startswith(problem)
    assert store.install(file, trusted) == ("screw-1", Installation.REPAIRED)
    assert store.entries()[0].problem is None


def test_a_bundle_without_signature_is_listed_as_unsigned_and_gets_one_by_installing_it_again(
    store: Store, pack: Pack, trusted: Trust
) -> None:
    """As an earlier version left it."""
    file, strict = pack("1"), Store(store.folder, trust=trusted)
    store.install(file, trusted)
    for name in ("manifest.sig", "installed.json"):
        (store.folder / "bundles/screw-1" / name).unlink()
    assert store.entries() == [Entry("screw-1", Role.SPARE, None, None)]
    with pytest.raises(BundleError, match=r"screw-1 is not signed \(it has no manifest\.sig\)"):
        strict.activate("screw-1")
    assert store.install(file, trusted) == ("screw-1", Installation.THERE)
    assert strict.activate("screw-1")
    assert strict.entries() == [Entry("screw-1", Role.ACTIVE, None, trusted.keys[0].fingerprint)]


def test_with_keys_a_store_lets_nothing_pass_that_another_key_signed(
    store: Store, pack: Pack, trusted: Trust, tmp_path: Path
) -> None:
    store.install(pack("1"), trusted)
    other = Store(store.folder, trust=Trust((generate_pair(tmp_path / "other"),)))
    with pytest.raises(BundleError, match=r"is not signed by the trusted key .*other/public\.pem"):
        other.activate("screw-1")
    assert "is not signed by the trusted key" in other.entries()[0].problem


def test_a_revoked_bundle_is_not_installed(store: Store, pack: Pack, trusted: Trust, tmp_path: Path) -> None:
    revoked = Trust(trusted.keys, Revoked(bundles=frozenset({"screw-1"}), path=tmp_path / "revoked.txt"))
    with pytest.raises(BundleError, match=r"is revoked \(.*revoked\.txt lists `bundle screw-1`\): use another bundle"):
        store.install(pack("1"), revoked)
    assert not store.folder.exists()


def test_a_device_without_a_machine_id_keeps_the_signature_all_the_same(
    store: Store, pack: Pack, trusted: Trust
) -> None:
    def none() -> str:
        raise ConfigError("there is no machine id")

    Store(store.folder, none).install(pack("1"), trusted)
    assert Store(store.folder, trust=trusted).entries()[0].signer == trusted.keys[0].fingerprint
