"""Keys: made once, private for their owner, refused when they are something else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from edge_deploy.keys import generate_pair, load_signing_key, load_trusted_key
from edge_runtime.errors import ConfigError, StorageError


def test_what_the_private_key_signs_the_public_one_accepts_and_nothing_else(tmp_path: Path) -> None:
    trusted = generate_pair(tmp_path / "a")
    signing = load_signing_key(tmp_path / "a" / "private.pem")

    signature = signing.sign(b"data")

    assert trusted.accepts(signature, b"data")
    assert not trusted.accepts(signature, b"Data")
    assert not generate_pair(tmp_path / "b").accepts(signature, b"data")
    assert signing.trusted.fingerprint == trusted.fingerprint
    assert len(trusted.fingerprint) == 16


def test_only_the_owner_can_read_the_private_key_and_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    generate_pair(tmp_path / "keys")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert modes == {"private.pem": 0o600, "public.pem": 0o644}


@pytest.mark.parametrize("name", ["private.pem", "public.pem"])
def test_an_existing_key_is_never_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")

    with pytest.raises(ConfigError, match=rf"{name} exists, and devices may trust it: choose another folder"):
        generate_pair(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_a_folder_for_keys_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"file/keys: File exists .at .*file.; check the path and the disk"):
        generate_pair(tmp_path / "file" / "keys")


def test_each_half_is_refused_where_the_other_one_belongs(tmp_path: Path) -> None:
    generate_pair(tmp_path)

    with pytest.raises(ConfigError, match=r"public.pem is no unencrypted Ed25519 private key in PEM: give the private"):
        load_signing_key(tmp_path / "public.pem")
    with pytest.raises(ConfigError, match=r"private.pem is no unencrypted Ed25519 public key in PEM: give the public"):
        load_trusted_key(tmp_path / "private.pem")


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "private").write_bytes(private)
    (tmp_path / "public").write_bytes(public)

    with pytest.raises(ConfigError, match=r"private is no unencrypted Ed25519 private key"):
        load_signing_key(tmp_path / "private")
    with pytest.raises(ConfigError, match=r"public is no unencrypted Ed25519 public key"):
        load_trusted_key(tmp_path / "public")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the key .*gone.pem cannot be read: No such file.*check the path and the"):
        load_trusted_key(tmp_path / "gone.pem")
