"""A recipe number says nothing of the bundle behind it: another product's bundle never judges a station's parts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.tiny_bundle import write_bundle, write_pictures

from edge_deploy.archive import pack_bundle
from edge_deploy.keys import generate_pair, load_signing_key
from edge_deploy.store import Store
from edge_runtime.bundle.trust import Trust
from edge_runtime.wire.verdict_json import decode_json


@pytest.fixture
def store(bench):
    """A store with a bundle of this station's product, active, and one of another."""
    trusted = Trust((generate_pair(bench.folder / "keys"),))
    key = load_signing_key(bench.folder / "keys/private.pem")
    store = Store(bench.folder / "store")
    for name in ("tiny", "nut"):
        folder = write_bundle(bench.folder / name)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"name": name}))
        pack_bundle(folder, key, bench.folder / f"{name}.edgebundle")
        store.install(bench.folder / f"{name}.edgebundle", trusted)
    store.activate("tiny-1.0")
    return store


def station_at(bench, store, port, **settings):
    path = bench.station(port, mode="triggered", recipe=12, **settings)
    path.write_text(path.read_text().replace("bundle: bundle", f"bundle: {store.folder}/active"))
    return path


def check(station: Path) -> str:
    program = [sys.executable, "-c", "from edge_runtime.cli import main; main()", "check", str(station)]
    return subprocess.run(program, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("key", [{"product": "tiny"}, {}], ids=["named", "remembered"])
def test_another_products_bundle_judges_neither_after_reload_nor_after_a_restart(bench, broker, listener, store, key):
    write_pictures(bench.pictures, "n")
    station = station_at(bench, store, broker.port, source=", loop: true", health="{frozen: false}", **key)
    daemon = bench.daemon(station)
    assert listener.wait_state("READY") == b"READY;000;tiny-1.0"
    store.activate("nut-1.0")
    listener.send("command", "RELOAD")
    reply = listener.next_on("command/ack")
    assert reply.startswith(b"RELOAD;FAILED;tiny-1.0 goes on: nut-1.0 is not of product 'tiny'")
    listener.send("trigger", "41;12;PART-7")
    verdict = decode_json(listener.next_on("verdict/json"))
    assert (verdict.bundle, verdict.recipe, verdict.decision.outcome.name) == ("tiny", 12, "NOK")
    assert daemon.terminate() == 0, daemon.log

    again = bench.daemon(station)
    assert again.wait() == 78, again.log
    assert "nut-1.0 is not of product 'tiny'" in again.log
    assert "write `product: nut`" in again.log
    assert "WRONG  nut-1.0 is not of product 'tiny'" in check(station)

    accepted = station_at(
        bench, store, broker.port, source=", loop: true", health="{frozen: false}", **{**key, "product": "nut"}
    )
    bench.daemon(accepted)
    listener.wait_for("state", b"READY;000;nut-1.0")
