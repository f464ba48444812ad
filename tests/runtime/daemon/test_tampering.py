"""Whoever may write to a store and has no key: nothing of his judges at a station that requires signatures."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest
from tests.support.checked_station import station
from tests.support.signed_bundle import Signer, tamper
from tests.support.tiny_bundle import write_bundle

from edge_deploy.store import Store
from edge_runtime.bundle.manifest_digest import with_digest
from edge_runtime.config.station import TrustSettings
from edge_runtime.daemon.admission import admit
from edge_runtime.daemon.hardware import Hardware
from edge_runtime.daemon.model import load_model
from edge_runtime.errors import BundleError, EdgeError
from edge_runtime.storage.served import remember


@pytest.fixture
def signer(tmp_path):
    return Signer.new(tmp_path / "keys")


@pytest.fixture
def line(tmp_path, signer):
    """A station that requires signatures, with tiny-2.0 active in its store and remembered."""
    store = tmp_path / "store"
    signer.serve(store, "1.0")
    signer.serve(store, "2.0")
    (tmp_path / "state").mkdir()
    s = strict(tmp_path, signer)
    remember(s.state_dir, admit(s))
    return s


def strict(place, *signers, **settings):
    trust = TrustSettings(require_signature=True, keys=tuple(s.public for s in signers), **settings)
    return station(place, bundle=place / "store/active", product="tiny", trust=trust, threads=1)


def refusal(s):
    with pytest.raises(BundleError) as refused:
        admit(s)
    return str(refused.value)


def test_thresholds_times_five_with_a_fitting_digest(line):
    tamper(line.bundle)
    assert "is not signed by the trusted key" in refusal(line)


def test_a_folder_that_was_never_signed_behind_the_link(line, tmp_path):
    evil = write_bundle(tmp_path / "evil")
    line.bundle.unlink()
    line.bundle.symlink_to(evil)
    assert "evil is not signed (it has no manifest.sig), and trust.require_signature asks for it" in refusal(line)


def test_the_signature_of_another_bundle(line):
    bundles = line.bundle.resolve().parent
    tamper(bundles / "tiny-2.0")
    shutil.copyfile(bundles / "tiny-1.0/manifest.sig", bundles / "tiny-2.0/manifest.sig")
    assert "is not signed by the trusted key" in refusal(line)


def test_a_signature_and_a_receipt_of_his_own_key(line, tmp_path):
    Signer.new(tmp_path / "his").serve(tmp_path / "his-store", "3.0")
    line.bundle.unlink()
    line.bundle.symlink_to(tmp_path / "his-store/active")
    assert "is not signed by the trusted key" in refusal(line)


def test_a_file_of_the_bundle_that_is_a_link_to_another_one(line, tmp_path):
    graph = line.bundle / "model.fp32.onnx"
    (tmp_path / "evil.onnx").write_bytes(graph.read_bytes()[:-1] + b"\0")
    graph.unlink()
    graph.symlink_to(tmp_path / "evil.onnx")
    assert "its SHA-256 differs" in refusal(line)


def test_a_manifest_that_is_a_link_to_a_tampered_one(line, tmp_path):
    folder = line.bundle.resolve()
    tamper(folder)
    (folder / "manifest.json").rename(tmp_path / "evil.json")
    (folder / "manifest.json").symlink_to(tmp_path / "evil.json")
    assert "is not signed by the trusted key" in refusal(line)


@pytest.mark.parametrize("moment", ["before the graph is loaded", "while the engine is opened"])
def test_what_changes_after_it_was_verified_does_not_judge(line, moment):
    """The link is switched and every file written over between verifying and loading."""
    bundle, original = admit(line), line.bundle.resolve()
    evil = write_bundle(line.bundle.parent / "evil", golden_score=None)

    def swap():
        for path in evil.rglob("*"):
            if path.is_file():
                (original / path.relative_to(evil)).write_bytes(path.read_bytes() + b"evil")
        line.bundle.unlink()
        line.bundle.symlink_to(evil)

    def open_engine(s, b):
        swap()
        return Hardware().open_engine(s, b)

    if moment == "before the graph is loaded":
        swap()
    with pytest.raises(EdgeError, match=r"has \d+ bytes, the manifest says"):
        load_model(bundle, line, Hardware().open_engine if moment == "before the graph is loaded" else open_engine)


def test_a_manifest_that_is_replaced_after_it_was_verified(line):
    bundle = admit(line)
    tamper(line.bundle)
    model = load_model(bundle, line, Hardware().open_engine)
    assert model.judge.threshold.score == 128
    model.close()
    assert "is not signed" in refusal(line)


def test_a_link_set_by_hand_to_an_older_signed_bundle(line):
    line.bundle.unlink()
    line.bundle.symlink_to("bundles/tiny-1.0")
    assert refusal(line) == (
        f"tiny-1.0 is older than tiny-2.0, which judged here before ({line.state_dir}/served.json remembers it): "
        "activate a newer one; or, to go back all the same, write `allow_older: tiny-1.0` below `trust` in "
        "station.yaml and restart the station"
    )


def test_an_old_signed_file_that_this_device_has_never_seen(line, signer):
    signer.serve(line.bundle.parent, "1.9")
    assert "tiny-1.9 is older than tiny-2.0, which judged here before" in refusal(line)


def test_another_signed_bundle_of_the_version_that_judged(line, signer, tmp_path):
    again = tmp_path / "again"
    signer.serve(again, "2.0", builder="another build of the same version")
    line.bundle.unlink()
    line.bundle.symlink_to(again / "active")
    assert "tiny-2.0 is another bundle than the one of that version that judged here before" in refusal(line)


def test_the_way_back_is_explicit_for_one_bundle_and_logged_each_time(line, signer, tmp_path, caplog):
    Store(line.bundle.parent).rollback()
    for wrong in (None, "tiny-2.0", "tiny-1", "TINY-1.0"):
        assert "is older than tiny-2.0" in refusal(strict(tmp_path, signer, allow_older=wrong))
    s = strict(tmp_path, signer, allow_older="tiny-1.0")
    for _ in range(2):
        caplog.clear()
        bundle = admit(s)
        assert bundle.label == "tiny-1.0"
        assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
            (
                "WARNING",
                f"tiny-1.0 is older than tiny-2.0, which judged here before ({s.state_dir}/served.json remembers it): "
                "it is accepted because station.yaml says trust.allow_older: tiny-1.0",
            )
        ]
        remember(s.state_dir, bundle)
    assert "is older than tiny-2.0" in refusal(line)  # the newest stays the newest


def test_the_override_does_not_make_an_unsigned_or_revoked_bundle_pass(line, signer, tmp_path):
    Store(line.bundle.parent).rollback()
    (tmp_path / "revoked.txt").write_text("bundle tiny-1.0\n")
    s = strict(tmp_path, signer, allow_older="tiny-1.0", revoked=tmp_path / "revoked.txt")
    assert "is revoked" in refusal(s)
    tamper(line.bundle)
    assert "is not signed" in refusal(strict(tmp_path, signer, allow_older="tiny-1.0"))


def test_a_key_that_is_revoked_ends_at_the_next_start_and_reload(line, signer, tmp_path):
    (tmp_path / "revoked.txt").write_text("")
    s = strict(tmp_path, signer, revoked=tmp_path / "revoked.txt")
    assert admit(s).label == "tiny-2.0"
    (tmp_path / "revoked.txt").write_text(f"key {signer.key.trusted.fingerprint}\n")  # read again each time
    assert "which is revoked" in refusal(s)


def test_a_signed_bundle_of_another_product(line, signer):
    signer.serve(line.bundle.parent, "9.0", "nut")
    assert "nut-9.0 is not of product 'tiny'" in refusal(line)


def test_forged_files_beside_the_manifest_change_nothing(line):
    folder = line.bundle.resolve()
    (folder / "installed.json").write_text(
        json.dumps({"manifest": "0" * 64, "signer": "me", "key": None, "seal": None})
    )
    (folder / "extra.onnx").write_bytes(b"x")
    assert admit(line).label == "tiny-2.0"


def test_bytes_that_mean_the_same_to_a_json_parser_are_not_what_was_signed(line):
    path = line.bundle / "manifest.json"
    for content in (path.read_bytes() + b" ", json.dumps(json.loads(path.read_text()), indent=3).encode()):
        path.write_bytes(with_digest(content))
        assert "is not signed" in refusal(line)


def test_no_bit_of_signature_or_manifest_can_be_turned(line):
    for name in ("manifest.sig", "manifest.json"):
        path = line.bundle / name
        whole = path.read_bytes()
        for place in np.linspace(0, len(whole) - 1, 40).astype(int):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert "is not signed" in refusal(line)
        path.write_bytes(whole)
    assert admit(line).label == "tiny-2.0"


def test_where_no_signature_is_required_going_back_stays_free(line, tmp_path):
    Store(line.bundle.parent).rollback()
    assert admit(station(tmp_path, bundle=line.bundle)).label == "tiny-1.0"


def test_the_link_may_be_switched_at_any_moment_of_opening(line):
    """Half of the files of one bundle and half of another never pass as one."""
    store, stop = line.bundle.parent, threading.Event()

    def switch():
        while not stop.is_set():
            for label in ("tiny-1.0", "tiny-2.0"):
                (store / "next").symlink_to(f"bundles/{label}")
                (store / "next").replace(line.bundle)

    thread = threading.Thread(target=switch)
    thread.start()
    found, refused = set(), []
    try:
        for _ in range(100):
            try:
                bundle = admit(line)
                assert (bundle.label, bundle.folder.name) == ("tiny-2.0", "tiny-2.0")
                found.add(bundle.label)
            except BundleError as error:
                refused.append(str(error))
    finally:
        stop.set()
        thread.join()
    assert found
    assert refused
    assert all("tiny-1.0 is older than tiny-2.0" in text for text in refused)
