"""Which bundle may judge at a station: the one at its path, if it is signed as the station asks, of its product, and
not older than one that judged before.

    bundle = admit(station)                   # at the start and on RELOAD; raises BundleError
    remember(station.state_dir, bundle)       # as soon as it judges

A recipe number on the wire says nothing of the bundle behind it: without this, a link to another product's bundle would
judge the parts of this one, and call what it does not know OK. And a signature says who made a bundle, not when: an old
one with a worse detector is signed as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.bundle.trust import Trust, read_trust
from edge_runtime.bundle.versions import is_older
from edge_runtime.config.station import Station
from edge_runtime.errors import BundleError
from edge_runtime.storage.served import FILE, Served, read_served

log = logging.getLogger(__name__)


def admit(station: Station, on_override: Callable[[str], None] = log.warning) -> Bundle:
    """The bundle at the station's path, if it may judge there. on_override: gets what is only accepted because the
    station's file says so. Raises BundleError, ConfigError or StorageError."""
    bundle = open_bundle(station.bundle, trust_of(station))
    served = read_served(station.state_dir)
    require_product(station, served, bundle)
    if (going_back := older_than_served(station, served, bundle)) is not None:
        if station.trust.allow_older != bundle.label:
            raise BundleError(
                f"{going_back}: activate a newer one; or, to go back all the same, write `allow_older: {bundle.label}` "
                "below `trust` in station.yaml and restart the station"
            )
        on_override(f"{going_back}: it is accepted because station.yaml says trust.allow_older: {bundle.label}")
    return bundle


def trust_of(station: Station) -> Trust | None:
    """Who must have signed the station's bundles; None: nobody. Raises ConfigError."""
    settings = station.trust
    return read_trust(settings.keys, settings.revoked) if settings.require_signature else None


def require_product(station: Station, served: Served | None, bundle: Bundle) -> None:
    """Raises BundleError for the bundle of another product than the station's."""
    found = bundle.manifest.name
    if station.product is not None:
        if found != station.product:
            raise BundleError(
                f"{bundle.label} is not of product {station.product!r}: station.yaml says `product: {station.product}` "
                f"for recipe {station.recipe}, and {station.bundle} holds a bundle of {found!r}. Activate one of "
                f"{station.product}, or write `product: {found}` if this station is to judge {found} from now on"
            )
    elif served is not None and found != served.product:
        raise BundleError(
            f"{bundle.label} is not of product {served.product!r}, which this station judged until now (recipe "
            f"{station.recipe}; {station.state_dir / FILE} remembers it): activate a bundle of {served.product}, or "
            f"write `product: {found}` into station.yaml if this station is to judge {found} from now on"
        )


def older_than_served(station: Station, served: Served | None, bundle: Bundle) -> str | None:
    """Why judging with this bundle would be going back, for people; None: it would not be, or nobody minds. Where no
    signature is asked for, `edge-deploy rollback` is free to go back."""
    manifest = bundle.manifest
    newest = served.newest.get(manifest.name) if served is not None else None
    if newest is None or not station.trust.require_signature:
        return None
    remembered = f"({station.state_dir / FILE} remembers it)"
    if is_older(manifest.version, newest.version):
        return f"{bundle.label} is older than {manifest.name}-{newest.version}, which judged here before {remembered}"
    if not is_older(newest.version, manifest.version) and newest.manifest != bundle.manifest_sha256:
        return f"{bundle.label} is another bundle than the one of that version that judged here before {remembered}"
    return None
