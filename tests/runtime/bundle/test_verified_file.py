"""What was hashed is what is used, whatever happens to a file after it was verified."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest
from tests.support.tiny_bundle import tiny_graph, write_bundle

from edge_runtime.bundle.manifest import FileEntry
from edge_runtime.bundle.reader import open_bundle
from edge_runtime.bundle.verified_file import read_at_most, read_verified, verify_file
from edge_runtime.engines.golden import read_golden, replay_golden
from edge_runtime.engines.protocol import EngineKind
from edge_runtime.engines.selection import choose_engine
from edge_runtime.errors import BundleError
from edge_runtime.records import Precision


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "bundle")


def entry_of(content: bytes) -> FileEntry:
    return FileEntry(length=len(content), sha256=hashlib.sha256(content).hexdigest())


def test_a_file_larger_than_a_block_is_read_and_verified_as_a_whole(tmp_path):
    content = os.urandom((2 << 20) + 7)
    (tmp_path / "a").write_bytes(content)
    verify_file(tmp_path / "a", entry_of(content))
    assert read_verified(tmp_path / "a", entry_of(content)) == content
    (tmp_path / "a").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for read in (verify_file, read_verified):
        with pytest.raises(BundleError, match="its SHA-256 differs"):
            read(tmp_path / "a", entry_of(content))


def test_a_file_that_grows_without_an_end_is_not_read_to_its_end(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    assert len(read_at_most(tmp_path / "a", 10)) == 11


@pytest.mark.parametrize("what", ["pipe", "device", "link to a device"])
def test_what_never_ends_is_refused_at_once(tmp_path, what):
    path = tmp_path / "a"
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if what == "device" else tmp_path / "b")
        (tmp_path / "b").symlink_to("/dev/zero")
    done = threading.Event()

    def read():
        with pytest.raises(BundleError, match="a is no regular file"):
            read_verified(path, entry_of(b""))
        done.set()

    threading.Thread(target=read, daemon=True).start()
    assert done.wait(10)


SWAPPED = ["model.fp32.onnx", "golden/0.png", "golden/0.npy"]


@pytest.mark.parametrize("name", SWAPPED)
@pytest.mark.parametrize("how", ["written over", "linked elsewhere"])
def test_a_file_that_changes_between_opening_and_use_is_not_used(folder, tmp_path, name, how):
    bundle = open_bundle(folder)
    changed = bytes([*(folder / name).read_bytes()[:-1], 0xA5])
    if how == "written over":
        (folder / name).write_bytes(changed)
    else:
        (tmp_path / "elsewhere").write_bytes(changed)
        (folder / name).unlink()
        (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="its SHA-256 differs"):
        use(bundle)


def test_a_folder_that_changes_places_with_another_is_found_though_that_one_is_whole(folder, tmp_path):
    bundle = open_bundle(folder)
    other = write_bundle(tmp_path / "other", graph=tiny_graph() + b"\x12\x01x")  # a producer's name more
    folder.rename(tmp_path / "away")
    other.rename(folder)
    with pytest.raises(BundleError, match=r"has \d+ bytes, the manifest says"):
        use(bundle)


def test_a_manifest_that_changes_after_opening_changes_nothing(folder):
    bundle = open_bundle(folder)
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("128", "9999"))
    assert bundle.threshold(Precision.FP32).score == 128
    use(bundle)


def test_a_file_that_the_manifest_does_not_list_is_not_read(folder):
    (folder / "more").write_text("x")
    with pytest.raises(BundleError, match=r"manifest\.json does not list more"):
        open_bundle(folder).read("more")


def use(bundle):
    read_golden(bundle, bundle.manifest.golden[0])
    with choose_engine(EngineKind.ONNXRUNTIME, bundle, Precision.FP32, bundle.folder, 1).engine as engine:
        assert replay_golden(bundle, engine, Precision.FP32) <= 1
