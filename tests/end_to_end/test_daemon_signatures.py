"""A station that requires signatures, as a whole: a tampered bundle judges neither at the start nor after RELOAD."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.signed_bundle import Signer, tamper
from tests.support.tiny_bundle import write_pictures

from edge_deploy.store import Store


@pytest.fixture
def signer(bench):
    return Signer.new(bench.folder / "keys")


def station_at(bench, port, **trust):
    write_pictures(bench.pictures, "n")
    settings = ", ".join(f"{key}: {value}" for key, value in {"require_signature": "true", **trust}.items())
    path = bench.station(
        port, mode="triggered", source=", loop: true", product="tiny", trust=f"{{{settings}}}", health="{frozen: false}"
    )
    path.write_text(path.read_text().replace("bundle: bundle", "bundle: store/active"))
    return path


def check(station: Path) -> str:
    program = [sys.executable, "-c", "from edge_runtime.cli import main; main()", "check", str(station)]
    return subprocess.run(program, capture_output=True, text=True, timeout=60).stdout


def test_a_tampered_bundle_and_an_older_one_never_judge(bench, broker, listener, signer):
    store = bench.folder / "store"
    signer.serve(store, "1.0")
    active = signer.serve(store, "2.0")
    station = station_at(bench, broker.port, keys=f"[{signer.public}]")
    fingerprint = signer.key.trusted.fingerprint
    assert f"trust: tiny-2.0 is signed by key {fingerprint} ({signer.public})" in check(station)
    daemon = bench.daemon(station)
    assert listener.wait_state("READY") == b"READY;000;tiny-2.0"

    whole = (active / "manifest.json").read_bytes()
    tamper(active)
    listener.send("command", "RELOAD")
    assert listener.next_on("command/ack").startswith(b"RELOAD;FAILED;tiny-2.0 goes on: tiny-2.0 is not signed by the ")
    listener.send("trigger", "41;0;PART-7")
    assert b";NOK;" in listener.next_on("verdict")  # by what was verified at the start
    assert daemon.terminate() == 0, daemon.log
    refused = bench.daemon(station)
    assert refused.wait() == 78, refused.log
    assert "is not signed by the trusted key" in refused.log
    assert "WRONG " in check(station)

    (active / "manifest.json").write_bytes(whole)
    Store(store).rollback()
    older = bench.daemon(station)
    assert older.wait() == 78, older.log
    assert "tiny-1.0 is older than tiny-2.0, which judged here before" in older.log
    allowed = station_at(bench, broker.port, keys=f"[{signer.public}]", allow_older="tiny-1.0")
    assert "WARN   trust: tiny-1.0 is older than tiny-2.0" in check(allowed)
    daemon = bench.daemon(allowed)
    listener.wait_for("state", b"READY;000;tiny-1.0")
    assert daemon.terminate() == 0, daemon.log
    assert "WARNING tiny-1.0 is older than tiny-2.0" in daemon.log


def test_a_station_that_requires_none_says_so_in_check(bench, broker, signer):
    signer.serve(bench.folder / "store", "1.0")
    station = station_at(bench, broker.port, require_signature="false")
    found = check(station)
    assert f"trust: tiny-1.0 is signed by key {signer.key.trusted.fingerprint}; trust.require_signature is fal" in found
    tamper(bench.folder / "store/active")
    assert f"manifest.json is not the one that key {signer.key.trusted.fingerprint} signed" in check(station)
