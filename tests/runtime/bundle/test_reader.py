from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from tests.support.rights import without_roots_rights
from tests.support.tiny_bundle import tiny_graph, write_bundle

from edge_runtime.bundle.manifest_digest import digest_of, with_digest
from edge_runtime.bundle.reader import open_bundle, read_manifest, sha256_of
from edge_runtime.errors import BundleError
from edge_runtime.records import Precision


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "bundle")


def change(folder, edit):
    """Rewrite the manifest after `edit(manifest)`."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def refusal(folder):
    with pytest.raises(BundleError) as error:
        open_bundle(folder)
    assert error.value.exit_code == 78
    return str(error.value)


def test_a_whole_bundle_opens_with_its_label_graph_and_threshold(folder):
    bundle = open_bundle(folder)
    assert bundle.label == "tiny-1.0"
    assert bundle.graph(Precision.FP32) == folder / "model.fp32.onnx"
    assert bundle.threshold(Precision.FP32).score == 128


def test_a_precision_that_the_bundle_lacks_is_refused_with_those_it_has(folder):
    bundle = open_bundle(folder)
    for asked in (bundle.graph, bundle.threshold):
        with pytest.raises(BundleError, match=r"bundle tiny-1\.0 has no int8 graph, only fp32: choose one of these"):
            asked(Precision.INT8)


@pytest.mark.parametrize("below", ["none", "screw-1.edgebundle"])
def test_a_folder_that_is_not_there_is_said_as_such(tmp_path, below):
    (tmp_path / "screw-1.edgebundle").write_text("")
    for read in (open_bundle, read_manifest):
        with pytest.raises(BundleError) as refused:
            read(tmp_path / below)
        assert str(refused.value) == (
            f"{tmp_path}/{below}: there is no such folder; correct the path, or copy the bundle there"
        )


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    assert refusal(tmp_path).startswith(f"{tmp_path} is no bundle: it has no manifest.json; build the bundle again")


@pytest.mark.parametrize("name", ["manifest.json", "model.fp32.onnx"])
def test_a_pipe_where_a_file_should_be_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(BundleError, match=f"{name} is no regular file; build the bundle again"):
        open_bundle(folder)


def test_a_manifest_without_an_end_is_refused(folder):
    (folder / "manifest.json").write_bytes(b" " * (4 << 20) + b"{}")
    with pytest.raises(BundleError, match=r"manifest\.json has more than 4194304 bytes, so it is no manifest; build"):
        open_bundle(folder)


def test_a_device_for_a_manifest_is_refused(folder):
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=r"manifest\.json is no regular file"):
        open_bundle(folder)


def test_a_manifest_that_cannot_be_read_is_refused(folder):
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()
    assert "manifest.json cannot be read: Is a directory; check the disk and the rights" in refusal(folder)


def test_no_flipped_bit_of_a_manifest_with_a_digest_is_read(folder):
    path = folder / "manifest.json"
    whole = with_digest(json.dumps(json.loads(path.read_text()) | {"digest": ""}, indent=2).encode())
    path.write_bytes(whole)
    assert open_bundle(folder).manifest.digest == digest_of(whole)
    for place in range(0, len(whole), 3):  # a prime step meets every kind of place
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(BundleError):
                read_manifest(folder)


def test_the_digest_is_what_sed_and_sha256sum_say(folder):
    path = folder / "manifest.json"
    path.write_bytes(with_digest(json.dumps(json.loads(path.read_text()) | {"digest": "0"}, indent=2).encode()))
    script = f"""sed 's/"digest": "[0-9a-f]*"/"digest": ""/' {path} | sha256sum"""
    found = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert found.split()[0] == read_manifest(folder).digest


def test_a_threshold_that_was_changed_is_found(folder):
    path = folder / "manifest.json"
    path.write_bytes(with_digest(json.dumps(json.loads(path.read_text()) | {"digest": ""}, indent=2).encode()))
    path.write_text(path.read_text().replace('"score": 128', '"score": 928', 1))
    assert f"{path} is not the file that was built: its digest differs; build the bundle again" in refusal(folder)


@pytest.mark.parametrize("name", ["model.fp32.onnx", "golden/0.png", "golden/1.npy"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert refusal(folder).startswith(f"{folder / name} is missing; build the bundle again")


def test_a_file_that_was_cut_is_named_with_both_lengths(folder):
    graph = folder / "model.fp32.onnx"
    length = graph.stat().st_size
    graph.write_bytes(graph.read_bytes()[:-1])
    assert refusal(folder).startswith(f"{graph} has {length - 1} bytes, the manifest says {length}; build")


@pytest.mark.parametrize("position", [0, 100, -1])
def test_a_single_flipped_bit_is_found(folder, position):
    graph = folder / "model.fp32.onnx"
    content = bytearray(graph.read_bytes())
    content[position] ^= 1
    graph.write_bytes(content)
    assert refusal(folder).startswith(f"{graph} is not the file that was built: its SHA-256 differs; build")


def test_a_folder_where_a_file_should_be_is_refused(folder):
    graph = folder / "model.fp32.onnx"
    graph.unlink()
    graph.mkdir()
    change(folder, lambda m: m["files"]["model.fp32.onnx"].update(length=graph.stat().st_size))
    assert refusal(folder).startswith(f"{graph} cannot be read: Is a directory; check the disk and the rights")


def test_a_file_without_the_right_to_read_is_refused(folder):
    (folder / "model.fp32.onnx").chmod(0)
    with without_roots_rights():
        assert "model.fp32.onnx cannot be read: Permission denied" in refusal(folder)


def test_a_file_that_is_used_but_not_listed_is_refused(folder):
    change(folder, lambda m: (m["files"].pop("golden/0.npy"), m["files"].pop("model.fp32.onnx")))
    assert "uses golden/0.npy, model.fp32.onnx but does not list them in `files`; build" in refusal(folder)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda m: m.update(schema_version=2), "schema_version: Input should be 1"),
        (lambda m: m.update(colour="red"), "colour: Extra inputs are not permitted"),
        (lambda m: m.pop("tolerance"), "tolerance: Field required"),
        (lambda m: m.update(height=16), "height: Input should be greater than or equal to 32"),
        (lambda m: m.update(name="../up"), "name: String should match pattern"),
        (lambda m: m["files"].update({"../up": {"length": 1, "sha256": "0" * 64}}), "files.../up"),
        (lambda m: m["files"].update({"/etc/passwd": {"length": 1, "sha256": "0" * 64}}), "files./etc/passwd"),
        (lambda m: m["graphs"]["fp32"].update(file="a/../../b"), "graphs.fp32.file: String should match pattern"),
        (lambda m: m["graphs"]["fp32"]["threshold"].update(score=0), "graphs.fp32.threshold.score: Input should be"),
        (lambda m: m["graphs"]["fp32"]["threshold"].update(score=float("nan")), "threshold.score"),
        (lambda m: m["files"]["golden/0.npy"].update(sha256="F" * 64), "files.golden/0.npy.sha256: String should"),
    ],
)  # fmt: skip
def test_a_manifest_that_this_version_does_not_understand_in_full_is_refused(folder, edit, says):
    change(folder, edit)
    found = refusal(folder)
    assert f"{folder}/manifest.json is not a manifest of schema version 1: " in found
    assert says in found


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null"])
def test_a_manifest_that_is_no_json_object_is_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    assert "is not a manifest of schema version 1: file: " in refusal(folder)


def test_another_preprocessing_is_refused_because_scores_would_differ(folder):
    change(folder, lambda m: m.update(preprocessing="rgb8-cubic-9"))
    assert (
        "the bundle was built with preprocessing 'rgb8-cubic-9', this device has 'bgr8-area-1', and scores would "
        "differ: install the same version on host and device"
    ) in refusal(folder)


def test_the_manifest_alone_can_be_read_while_other_files_are_missing(folder):
    shutil.rmtree(folder / "golden")
    assert read_manifest(folder).name == "tiny"


def test_the_hash_of_a_file_larger_than_one_block_is_that_of_its_bytes(tmp_path):
    (tmp_path / "zeros").write_bytes(bytes(3 << 20))
    # sha256sum of three mebibytes of zeros
    assert sha256_of(tmp_path / "zeros") == "bbd05cf6097ac9b1f89ea29d2542c1b7b67ee46848393895f5a9e43fa1f621e5"


@pytest.mark.parametrize("leads_to", [None, "history/000002"])
def test_a_store_without_its_active_link_says_so_and_what_makes_it(tmp_path, leads_to):
    write_bundle(tmp_path / "bundles/tiny-1.0")
    active = tmp_path / "active"
    if leads_to is not None:
        active.symlink_to(leads_to)
    what = "is missing" if leads_to is None else "leads to history/000002, which is not there"
    assert refusal(active) == (
        f"{active}, the link to the active bundle, {what}: `edge-deploy activate NAME-VERSION --store {tmp_path}` "
        "makes it; installed: tiny-1.0"
    )
    with pytest.raises(BundleError, match="edge-deploy activate"):
        read_manifest(active)
    active.unlink(missing_ok=True)
    active.symlink_to("bundles/tiny-1.0")
    assert open_bundle(active).label == "tiny-1.0"


def test_a_graph_with_its_weights_in_another_file_is_refused(tmp_path):
    # graph { initializer { external_data { key: "location" value: "weights" } data_location: EXTERNAL } }
    tensor = b"\x6a\x13\x0a\x08location\x12\x07weights\x70\x01"
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    folder = write_bundle(tmp_path / "external", graph=tiny_graph() + b"\x3a" + bytes([len(graph)]) + graph)
    assert refusal(folder).startswith(
        f"{folder}/model.fp32.onnx keeps weights in other files (ONNX external data), which no hash of the manifest "
        "covers: it is not loaded; build the bundle again"
    )
