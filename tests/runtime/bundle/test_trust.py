"""Whose bundles are accepted: by several keys, less what is revoked; and files that say something else say so."""

from __future__ import annotations

import hashlib
import os

import pytest
from tests.support.signed_bundle import Signer

from edge_runtime.bundle.reader import open_bundle, read_manifest
from edge_runtime.bundle.trust import Revoked, Trust, read_revoked, read_trust
from edge_runtime.errors import BundleError, ConfigError


@pytest.fixture
def signer(tmp_path):
    return Signer.new(tmp_path / "keys")


@pytest.fixture
def other(tmp_path):
    return Signer.new(tmp_path / "other")


@pytest.fixture
def folder(signer, tmp_path):
    return signer.serve(tmp_path / "store", "1.0")


def test_a_bundle_opens_with_the_key_that_signed_it_among_several(folder, signer, other):
    trust = read_trust([other.public, signer.public], None)
    bundle = open_bundle(folder, trust)
    assert (bundle.signer.fingerprint, bundle.signer.path) == (signer.key.trusted.fingerprint, signer.public)
    assert read_manifest(folder, trust).label == "tiny-1.0"
    assert open_bundle(folder).signer is None  # where nobody asks


def test_all_trusted_keys_are_named_when_none_of_them_signed(folder, other, tmp_path):
    third = Signer.new(tmp_path / "third")
    with pytest.raises(BundleError) as refused:
        open_bundle(folder, read_trust([other.public, third.public], None))
    one, two = (s.key.trusted.fingerprint for s in (other, third))
    assert str(refused.value) == (
        f"{folder} is not signed by any of the trusted keys {other.public} ({one}), {third.public} ({two}): it was "
        "packed with another key or changed after packing; do not use it, get it again from whom you trust"
    )


def test_a_key_that_is_revoked_is_not_trusted_though_it_is_listed(folder, signer, tmp_path):
    revoked = tmp_path / "revoked.txt"
    revoked.write_text(f"\n# lost with a notebook\nkey   {signer.key.trusted.fingerprint}  # 2026\n")
    with pytest.raises(BundleError) as refused:
        open_bundle(folder, read_trust([signer.public], revoked))
    assert str(refused.value) == (
        f"{folder} is signed by key {signer.key.trusted.fingerprint}, which is revoked ({revoked}): pack the bundle "
        "again with a key that is trusted"
    )


@pytest.mark.parametrize("by", ["label", "digest"])
def test_a_bundle_is_revoked_by_its_label_or_by_the_digest_of_its_manifest(folder, signer, tmp_path, by):
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    name = {"label": "tiny-1.0", "digest": digest}[by]
    (tmp_path / "revoked.txt").write_text(f"bundle {name}\nbundle tiny-2.0\n")
    trust = read_trust([signer.public], tmp_path / "revoked.txt")
    for read in (open_bundle, read_manifest):
        with pytest.raises(BundleError, match=rf"is revoked \(.*revoked\.txt lists `bundle {name}`\): use another"):
            read(folder, trust)


def test_the_signature_is_verified_before_the_manifest_is_parsed(folder, signer):
    for content in (b"", b"[" * 100_000, b"\xff", b'{"schema_version": 99}'):
        (folder / "manifest.json").write_bytes(content)
        with pytest.raises(BundleError, match="is not signed by the trusted key"):
            open_bundle(folder, signer.trust)


@pytest.mark.parametrize("length", [0, 63, 65, 1_000_000])
def test_a_signature_of_another_length_is_none(folder, signer, length):
    (folder / "manifest.sig").write_bytes(bytes(length))
    with pytest.raises(BundleError, match=r"manifest\.sig is no signature, which has 64 bytes: install it from the si"):
        open_bundle(folder, signer.trust)


def test_a_pipe_for_a_signature_is_not_waited_for(folder, signer):
    (folder / "manifest.sig").unlink()
    os.mkfifo(folder / "manifest.sig")
    with pytest.raises(BundleError, match=r"manifest\.sig is no regular file"):
        open_bundle(folder, signer.trust)


@pytest.mark.parametrize("content", ["empty", "private", "text", "certificate", "folder", "pipe", "missing", "huge"])
def test_a_file_that_holds_no_public_key_is_never_taken_for_one(signer, tmp_path, content):
    path = tmp_path / "key.pem"
    if content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)
    elif content != "missing":
        private = (signer.folder / "private.pem").read_text()
        certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        texts = {"empty": "", "private": private, "text": "x", "certificate": certificate, "huge": "x" * 1_000_000}
        path.write_text(texts[content])
    with pytest.raises(ConfigError, match=r"key\.pem (is no|cannot be read)") as refused:
        read_trust([signer.public, path], None)
    assert refused.value.exit_code == 78


def test_without_a_key_nothing_is_trusted():
    with pytest.raises(ConfigError, match="no key is trusted"):
        read_trust([], None)


def test_revocations_are_read_with_their_comments(tmp_path):
    path = tmp_path / "revoked.txt"
    path.write_text(f"key {'a' * 16}\nbundle screw-2.1-b\n\n  bundle\t{'b' * 64}   # by digest\n# key of old\n")
    assert read_revoked(path) == Revoked(frozenset({"a" * 16}), frozenset({"screw-2.1-b", "b" * 64}), path)


@pytest.mark.parametrize(
    "line", ["key", "keys " + "a" * 16, "key " + "A" * 16, "key " + "a" * 15, "bundle", "bundle ../x", "screw-1", "\0"]
)
def test_one_line_that_cannot_be_understood_is_refused_for_it_may_be_the_one_that_matters(tmp_path, line):
    path = tmp_path / "revoked.txt"
    path.write_text(f"bundle screw-1\n{line}\n")
    with pytest.raises(ConfigError, match=r"revoked\.txt, line 2: found .* must be `key FINGERPRINT`"):
        read_revoked(path)


def test_revocations_that_cannot_be_read_are_not_none(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.txt cannot be read: No such file"):
        read_revoked(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"# \xff\n")
    with pytest.raises(ConfigError, match="holds other characters than ASCII"):
        read_revoked(tmp_path / "latin.txt")
    (tmp_path / "huge.txt").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="has more than 1048576 bytes"):
        read_revoked(tmp_path / "huge.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(ConfigError, match="no regular file"):
        read_revoked(tmp_path / "pipe.txt")


def test_a_bundle_may_be_signed_again_by_the_next_key(folder, other, tmp_path):
    """How keys follow each other: the same bundle, packed with the new key and installed again."""
    manifest = (folder / "manifest.json").read_bytes()
    (folder / "manifest.sig").write_bytes(other.key.sign(manifest))
    assert open_bundle(folder, Trust((other.key.trusted,))).signer.fingerprint == other.key.trusted.fingerprint
