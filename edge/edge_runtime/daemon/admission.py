"""Which bundle may judge at a station: the one at its path, if it is of the station's product.

    bundle = admit(station)                   # at the start and on RELOAD; raises BundleError
    remember(station.state_dir, bundle)       # as soon as it judges

A recipe number on the wire says nothing of the bundle behind it: without this, a link to another product's bundle would
judge the parts of this one, and call what it does not know OK.
"""

from __future__ import annotations

from edge_runtime.bundle.reader import Bundle, open_bundle
from edge_runtime.config.station import Station
from edge_runtime.errors import BundleError
from edge_runtime.storage.served import FILE, Served, read_served


def admit(station: Station) -> Bundle:
    """The bundle at the station's path, if it may judge there. Raises BundleError, ConfigError or StorageError."""
    served = read_served(station.state_dir)
    bundle = open_bundle(station.bundle)
    require_product(station, served, bundle)
    return bundle


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
