"""`edge-deploy`: the commands. Each reads its arguments, calls one function and says what came of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edge_deploy.archive import pack_bundle
from edge_deploy.keys import PRIVATE, PUBLIC, generate_pair, load_signing_key, load_trusted_key
from edge_deploy.store import Store
from edge_runtime.errors import BundleError, EdgeError
from edge_runtime.program import VersionOption, report_crashes

app = typer.Typer(
    help="Carry bundles to devices: sign, install, activate, roll back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

StoreOption = Annotated[Path, typer.Option("--store", help="The folder on the device that holds the bundles.")]
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
    trust: Annotated[Path, typer.Option("--trust", help="The public key that must have signed it.")],
) -> None:
    """Check an .edgebundle and put it into the store. It does not serve before it is activated."""
    label, what = Store(store).install(file, load_trusted_key(trust))
    print(f"{label} {what.value}")


@app.command()
def activate(label: Label, store: StoreOption) -> None:
    """Make an installed bundle the active one."""
    print(f"{label} is active" if Store(store).activate(label) else f"{label} was active already")


@app.command()
def rollback(store: StoreOption) -> None:
    """Go back to the bundle that was active before."""
    print(f"{Store(store).rollback()} is active")


@app.command(name="list")
def list_bundles(store: StoreOption) -> None:
    """Show the bundles in the store, each checked in full. Exits 78 when one is damaged."""
    entries = Store(store).entries()
    for entry in entries:
        print(f"{entry.label:<32} {entry.role.value:<9} {'damaged: ' + entry.problem if entry.problem else 'whole'}")
    if any(entry.problem for entry in entries):
        raise typer.Exit(BundleError.exit_code)


@app.command()
def remove(label: Label, store: StoreOption) -> None:
    """Delete a bundle that is neither the active nor the previous one."""
    Store(store).remove(label)
    print(f"{label} removed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; the only place that turns an error into an exit code."""
    report_crashes()
    try:
        app(args=arguments, prog_name="edge-deploy")
    except EdgeError as error:
        print(f"edge-deploy: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
