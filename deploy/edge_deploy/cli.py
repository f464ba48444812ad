"""`edge-deploy`: the commands. Each reads its arguments, calls one function and says what came of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edge_deploy.archive import pack_bundle
from edge_deploy.keys import PRIVATE, PUBLIC, generate_pair, load_signing_key
from edge_deploy.store import Store
from edge_runtime.bundle.trust import read_trust
from edge_runtime.errors import BundleError, ConfigError, EdgeError
from edge_runtime.program import VersionOption, open_standard_streams, report_crashes
from edge_runtime.readable import readable_lines

app = typer.Typer(
    help="Carry bundles to devices: sign, install, activate, roll back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

StoreOption = Annotated[Path, typer.Option("--store", help="The folder on the device that holds the bundles.")]
TrustOption = Annotated[
    list[Path],
    typer.Option("--trust", help="A public key; one of them must have signed it. May be given several times."),
]
RevokedOption = Annotated[
    Path | None, typer.Option("--revoked", help="A file of revoked keys and bundles, as stations have it.")
]
Label = Annotated[str, typer.Argument(metavar="NAME-VERSION", help="A bundle as `list` shows it.")]


@app.callback()
def options(version: VersionOption = False) -> None:
    """What every command takes; the help is the app's."""


@app.command()
def keygen(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Make a pair of keys: the private one signs, the public one is what devices trust."""
    trusted = generate_pair(folder)
    print(f"made key {trusted.fingerprint}")
    print(f"{folder / PRIVATE}: signs bundles; keep it on the machine that packs, with a copy in a safe place")
    print(f"{folder / PUBLIC}: copy it to every device")


@app.command()
def pack(
    bundle: Annotated[Path, typer.Argument(help="The folder that edge-build wrote.")],
    key: Annotated[Path, typer.Option("--key", help="The private key that signs.")],
    out: Annotated[Path, typer.Option("--out", help="The .edgebundle file to write.")],
) -> None:
    """Verify a bundle and pack it, signed, into one file."""
    signing = load_signing_key(key)
    manifest = pack_bundle(bundle, signing, out)
    size = out.stat().st_size / 1e6
    print(f"packed {manifest.label} into {out}: {len(manifest.files)} files, {size:.1f} MB")
    print(f"signed with key {signing.trusted.fingerprint}")


@app.command()
def install(
    file: Annotated[Path, typer.Argument(help="The .edgebundle file.")],
    store: StoreOption,
    trust: TrustOption,
    revoked: RevokedOption = None,
) -> None:
    """Check an .edgebundle and put it into the store. It does not serve before it is activated."""
    label, what = Store(store).install(file, read_trust(trust, revoked))
    print(f"{label} {what.value}")


@app.command()
def activate(label: Label, store: StoreOption, trust: TrustOption = [], revoked: RevokedOption = None) -> None:  # noqa: B006  # typer reads it and never changes it
    """Make an installed bundle the active one; with --trust, only if one of these keys signed it."""
    changed = _store(store, trust, revoked).activate(label)
    print(f"{label} is active" if changed else f"{label} was active already")


@app.command()
def rollback(store: StoreOption, trust: TrustOption = [], revoked: RevokedOption = None) -> None:  # noqa: B006  # likewise
    """Go back to the bundle that was active before; with --trust, only if one of these keys signed it."""
    print(f"{(label := _store(store, trust, revoked).rollback())} is active")
    print(f"stations with trust.require_signature take it only with `allow_older: {label}` below `trust`")


@app.command(name="list")
def list_bundles(store: StoreOption, trust: TrustOption = [], revoked: RevokedOption = None) -> None:  # noqa: B006  # likewise
    """Show the bundles in the store, each checked in full, and which key signed them. Exits 78 when one is damaged, or
    with --trust when one is not signed by one of these keys."""
    entries = _store(store, trust, revoked).entries()
    for entry in entries:
        signed = f"signed by key {entry.signer}" if entry.signer else "unsigned"
        state = f"damaged: {entry.problem}" if entry.problem else f"whole, {signed}"
        print(f"{entry.label:<32} {entry.role.value:<9} {state}")
    if any(entry.problem for entry in entries):
        raise typer.Exit(BundleError.exit_code)


@app.command()
def remove(label: Label, store: StoreOption) -> None:
    """Delete a bundle that is neither the active nor the previous one."""
    Store(store).remove(label)
    print(f"{label} removed")


def _store(folder: Path, trust: list[Path], revoked: Path | None) -> Store:
    """With keys, the store lets nothing pass that none of them signed. Raises ConfigError."""
    if revoked is not None and not trust:
        raise ConfigError("--revoked has no meaning without --trust: give the keys that may have signed")
    return Store(folder, trust=read_trust(trust, revoked) if trust else None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; the only place that turns an error into an exit code."""
    open_standard_streams()
    report_crashes()
    try:
        app(args=arguments, prog_name="edge-deploy")
    except EdgeError as error:
        print(f"edge-deploy: {readable_lines(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
