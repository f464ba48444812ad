"""The command, as docs/how-to/deploy.md shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_a_tour_from_the_keys_to_a_rollback(edge_deploy: Run, make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    keys, store = tmp_path / "keys", tmp_path / "store"
    made = edge_deploy("keygen", keys)
    assert made.code == 0
    fingerprint = made.out.split()[2]
    assert f"{keys}/public.pem: copy it to every device" in made.out

    for version in "123":
        out = tmp_path / f"{version}.edgebundle"
        packed = edge_deploy("pack", make_bundle(version), "--key", keys / "private.pem", "--out", out)
        assert packed.out.startswith(f"packed screw-{version} into {out}: 3 files, 0.0 MB\nsigned with key ")
        installed = edge_deploy("install", out, "--store", store, "--trust", keys / "public.pem")
        assert installed.out == f"screw-{version} installed\n"
        again = edge_deploy("install", out, "--store", store, "--trust", keys / "public.pem")
        assert again.out == f"screw-{version} already installed\n"
        assert edge_deploy("activate", f"screw-{version}", "--store", store).out == f"screw-{version} is active\n"
    assert edge_deploy("activate", "screw-3", "--store", store).out == "screw-3 was active already\n"
    rolled_back = edge_deploy("rollback", "--store", store)
    assert rolled_back.out.startswith("screw-2 is active\n")
    assert "only with `allow_older: screw-2` below `trust`" in rolled_back.out
    assert edge_deploy("remove", "screw-3", "--store", store).out == "screw-3 removed\n"

    listed = edge_deploy("list", "--store", store)
    assert listed.code == 0
    assert [line.split() for line in listed.out.splitlines()] == [
        ["screw-1", "previous", "whole,", "signed", "by", "key", fingerprint],
        ["screw-2", "active", "whole,", "signed", "by", "key", fingerprint],
    ]


def test_a_damaged_bundle_is_listed_with_its_reason_and_an_exit_code(
    edge_deploy: Run, pack: Callable[..., Path], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    edge_deploy("install", pack("1"), "--store", store, "--trust", tmp_path / "keys" / "public.pem")
    (store / "bundles" / "screw-1" / "golden" / "0.png").unlink()

    listed = edge_deploy("list", "--store", store)

    assert listed.code == 78
    assert "damaged: " in listed.out
    assert "golden/0.png is missing" in listed.out


@pytest.mark.parametrize("is_there", [False, True])
def test_a_damaged_file_is_refused_whether_or_not_its_bundle_is_in_the_store_already(
    edge_deploy: Run, pack: Callable[..., Path], tmp_path: Path, is_there: bool
) -> None:
    file, options = pack("1"), ("--store", tmp_path / "store", "--trust", tmp_path / "keys" / "public.pem")
    if is_there:
        edge_deploy("install", file, *options)
    content = file.read_bytes()
    file.write_bytes(content.replace(b"graph 1", b"graph 2", 1))

    found = edge_deploy("install", file, *options)

    assert (found.code, found.out) == (78, "")
    assert f"{file}: model.fp32.onnx inside is not what the manifest lists" in found.err
    if is_there:
        assert edge_deploy("list", "--store", tmp_path / "store").out.split()[:2] == ["screw-1", "whole,"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("list", "--store", "nowhere"), 74, "edge-deploy: nowhere is no store, it has no folder `bundles`"),
        (("pack", "x", "--key", "gone.pem", "--out", "y"), 78, "edge-deploy: the key gone.pem cannot be read"),
        (("install", "x", "--store", "s"), 2, "Missing option '--trust'"),
    ],
)
def test_an_error_is_one_message_on_stderr_and_an_exit_code(
    edge_deploy: Run, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = edge_deploy(*arguments)

    assert ran.code == code
    assert message in ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err


def test_keys_and_revocations_go_for_install_activate_rollback_and_list(
    edge_deploy: Run, pack: Callable[..., Path], tmp_path: Path
) -> None:
    edge_deploy("keygen", tmp_path / "next")
    store, key, other = tmp_path / "store", tmp_path / "keys/public.pem", tmp_path / "next/public.pem"
    both = ("--store", store, "--trust", other, "--trust", key)
    for version in "12":
        assert edge_deploy("install", pack(version), *both).code == 0
        assert edge_deploy("activate", f"screw-{version}", *both).code == 0
    assert edge_deploy("list", *both).code == 0
    refused = edge_deploy("list", "--store", store, "--trust", other)
    assert refused.code == 78
    assert refused.out.count("is not signed by the trusted key") == 2
    revoked = tmp_path / "revoked.txt"
    revoked.write_text("bundle screw-1  # passes cracks\n")
    rolled_back = edge_deploy("rollback", *both, "--revoked", revoked)
    assert (rolled_back.code, rolled_back.out) == (78, "")
    assert "screw-1 is revoked" in rolled_back.err
    alone = edge_deploy("list", "--store", store, "--revoked", revoked)
    assert (alone.code, alone.err) == (
        78,
        "edge-deploy: --revoked has no meaning without --trust: give the keys that may have signed\n",
    )
