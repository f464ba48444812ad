"""What a device sealed is known by its machine id, and by nothing that could be copied with it."""

from __future__ import annotations

import pytest

from edge_runtime.bundle.device_seal import machine_id, same_seal, seal_of, writable_by_others
from edge_runtime.errors import ConfigError

HERE, ELSEWHERE = "0123456789abcdef" * 2, "fedcba9876543210" * 2


def test_the_machine_id_is_read_or_the_message_says_how_to_have_one(tmp_path):
    (tmp_path / "id").write_text(f"{HERE}\n")
    assert machine_id(tmp_path / "id") == HERE
    (tmp_path / "id").write_text("uninitialized\n")
    with pytest.raises(ConfigError, match="holds no machine id"):
        machine_id(tmp_path / "id")
    with pytest.raises(ConfigError, match="systemd-machine-id-setup, or give a container its host's"):
        machine_id(tmp_path / "none")


def test_a_seal_belongs_to_a_device_a_purpose_and_facts():
    seal = seal_of(HERE, b"one", {"a": 1, "b": "2"})
    assert same_seal(seal, seal_of(HERE, b"one", {"b": "2", "a": 1}))
    for other in (
        seal_of(ELSEWHERE, b"one", {"a": 1, "b": "2"}),
        seal_of(HERE, b"two", {"a": 1, "b": "2"}),
        seal_of(HERE, b"one", {"a": 1, "b": "3"}),
        "not a seal",
        "",
    ):
        assert not same_seal(seal, other)


def test_what_others_could_write_is_named_with_its_mode(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o644)
    assert writable_by_others(tmp_path / "file") is None
    (tmp_path / "file").chmod(0o664)
    assert "mode 664" in (writable_by_others(tmp_path / "file") or "")
