"""A tiny bundle, signed and installed as `edge-deploy install` leaves it, and whoever would pass off another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edge_deploy.archive import pack_bundle
from edge_deploy.keys import SigningKey, generate_pair, load_signing_key
from edge_deploy.store import Store
from edge_runtime.bundle.manifest_digest import with_digest
from edge_runtime.bundle.trust import Trust
from tests.support.tiny_bundle import write_bundle


@dataclass(frozen=True)
class Signer:
    """A pair of keys in a folder of its own, and what it packs and installs."""

    folder: Path
    key: SigningKey

    @staticmethod
    def new(folder: Path) -> Signer:
        generate_pair(folder)
        return Signer(folder, load_signing_key(folder / "private.pem"))

    @property
    def public(self) -> Path:
        return self.folder / "public.pem"

    @property
    def trust(self) -> Trust:
        return Trust((self.key.trusted,))

    def pack(self, version: str, name: str = "tiny", **changes: object) -> Path:
        """A signed file of a bundle that nobody installed yet. changes: keys of its manifest."""
        number = len(list(self.folder.glob("*.edgebundle")))
        bundle = write_bundle(self.folder / f"{name}-{version}-{number}")
        manifest = json.loads((bundle / "manifest.json").read_text()) | {"name": name, "version": version, **changes}
        (bundle / "manifest.json").write_bytes(with_digest(json.dumps(manifest | {"digest": ""}).encode()))
        out = bundle.with_suffix(f".{number}.edgebundle")
        pack_bundle(bundle, self.key, out)
        return out

    def serve(self, store: Path, version: str, name: str = "tiny", **changes: object) -> Path:
        """Install and activate one. Returns its folder."""
        label, _ = Store(store).install(self.pack(version, name, **changes), self.trust)
        Store(store).activate(label)
        return store / "bundles" / label


def tamper(folder: Path, **changes: object) -> None:
    """Thresholds times five and a digest that fits: what somebody does who may write to the store, and has no key."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for graph in manifest["graphs"].values():
        graph["threshold"]["score"] *= 5
        graph["threshold"]["map"] *= 5
    (folder / "manifest.json").write_bytes(with_digest(json.dumps(manifest | {"digest": ""} | changes).encode()))
