"""Killed at any step, or out of disk: the store stays valid and nothing is left half-written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_deploy.keys import SigningKey
from edge_deploy.store import Store
from edge_runtime.bundle.trust import Trust

Pack = Callable[..., Path]


def test_a_change_that_is_killed_at_any_step_leaves_a_valid_store_and_can_be_made_again(
    pack: Pack, tmp_path: Path, signing: SigningKey
) -> None:
    script = Path(__file__).with_name("killed_at_every_step.py")
    files = [pack(version) for version in "123"]

    run = subprocess.run(
        [sys.executable, script, tmp_path / "work", *files, tmp_path / "keys" / "public.pem"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    kills = {name: int(count) for name, count in re.findall(r"(.+): (\d+) kills", run.stdout)}
    assert list(kills) == ["first install", "install", "first activate", "activate", "rollback", "remove"]
    assert min(kills.values()) >= 8, kills


LIMITED = """
import resource, sys
from edge_deploy.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
main(sys.argv[2:])
"""


def run_with_files_of_at_most(length: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run edge-deploy where the system refuses to let any file grow further: a write that fails half-way."""
    command = [sys.executable, "-c", LIMITED, str(length), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_install_whose_write_fails_half_way_leaves_the_store_as_it_was(
    pack: Pack, tmp_path: Path, trusted: Trust
) -> None:
    store = Store(tmp_path / "store")
    store.install(pack("1"), trusted)
    before = sorted(store.folder.rglob("*"))
    trust = tmp_path / "keys" / "public.pem"

    run = run_with_files_of_at_most(
        2000, "install", pack("2", model=b"x" * 9000), "--store", store.folder, "--trust", trust
    )

    assert run.returncode == 74
    assert re.search(r"edge-deploy: .*model.fp32.onnx: File too large; check the path and the disk", run.stderr)
    assert sorted(store.folder.rglob("*")) == before


def test_a_pack_whose_write_fails_half_way_leaves_the_old_file_alone(
    make_bundle: Callable[..., Path], tmp_path: Path, signing: SigningKey
) -> None:
    bundle, out = make_bundle(), tmp_path / "out" / "screw.edgebundle"
    out.parent.mkdir()
    out.write_text("old")

    run = run_with_files_of_at_most(2000, "pack", bundle, "--key", signing.path, "--out", out)

    assert run.returncode == 74
    assert re.search(r"edge-deploy: .*out/screw.edgebundle: File too large; check the path and", run.stderr)
    assert [path.name for path in out.parent.iterdir()] == ["screw.edgebundle"]
    assert out.read_text() == "old"


def test_keys_whose_write_fails_are_not_there(tmp_path: Path) -> None:
    run = run_with_files_of_at_most(10, "keygen", tmp_path / "keys")

    assert run.returncode == 74
    assert re.search(r"keys/private.pem: File too large", run.stderr)
    assert list((tmp_path / "keys").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_reported_before_it_is_filled_and_after(
    small_disk: Path,
    pack: Pack,
    make_bundle: Callable[..., Path],
    signing: SigningKey,
    tmp_path: Path,
    edge_deploy: Callable[..., Any],
) -> None:
    store, trust = small_disk / "store", tmp_path / "keys" / "public.pem"
    Store(store).install(pack("1"), Trust((signing.trusted,)))
    before = sorted(small_disk.rglob("*"))
    large = b"x" * 70_000

    install = edge_deploy("install", pack("2", model=large), "--store", store, "--trust", trust)
    packed = edge_deploy("pack", make_bundle(model=large), "--key", signing.path, "--out", small_disk / "x")

    assert install.code == packed.code == 74
    assert re.search(r"store has \d+ bytes free, screw-2 needs \d+: free some .*; installed: screw-1", install.err)
    assert re.search(r"small/x: No space left on device; free some space there and try again", packed.err)
    assert sorted(small_disk.rglob("*")) == before
