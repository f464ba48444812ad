"""Which bundle may judge at a station: its own product's alone."""

from __future__ import annotations

import json

import pytest
from tests.support.checked_station import station
from tests.support.tiny_bundle import write_bundle

from edge_runtime.daemon.admission import admit
from edge_runtime.errors import BundleError
from edge_runtime.storage.served import remember


@pytest.fixture
def place(tmp_path):
    write_bundle(tmp_path / "bundle")
    (tmp_path / "state").mkdir()
    return tmp_path


def rename(folder, name):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": name}))


def test_a_bundle_of_the_products_name_is_admitted(place):
    assert admit(station(place, product="tiny")).label == "tiny-1.0"


def test_a_bundle_of_another_name_is_refused_with_what_was_found_and_what_to_do(place):
    rename(place / "bundle", "nut")
    with pytest.raises(BundleError) as refused:
        admit(station(place, product="tiny", recipe=12))
    assert refused.value.exit_code == 78
    assert str(refused.value) == (
        "nut-1.0 is not of product 'tiny': station.yaml says `product: tiny` for recipe 12, and "
        f"{place}/bundle holds a bundle of 'nut'. Activate one of tiny, or write `product: nut` if this station is to "
        "judge nut from now on"
    )


def test_without_the_key_the_first_product_is_remembered_and_others_are_refused(place):
    s = station(place, recipe=12)
    remember(s.state_dir, admit(s))
    assert admit(s).label == "tiny-1.0"
    rename(place / "bundle", "nut")
    with pytest.raises(BundleError) as refused:
        admit(s)
    assert str(refused.value) == (
        f"nut-1.0 is not of product 'tiny', which this station judged until now (recipe 12; {place}/state/served.json "
        "remembers it): activate a bundle of tiny, or write `product: nut` into station.yaml if this station is to "
        "judge nut from now on"
    )


def test_the_key_is_how_another_product_is_accepted_and_it_is_remembered_then(place):
    remember(place / "state", admit(station(place)))
    rename(place / "bundle", "nut")
    s = station(place, product="nut")
    remember(s.state_dir, admit(s))
    assert admit(station(place)).manifest.name == "nut"


def test_names_are_compared_in_full_and_in_their_letters_case(place):
    for product in ("Tiny", "tin", "tiny-1", "tiny-1_0"):
        with pytest.raises(BundleError, match="is not of product"):
            admit(station(place, product=product))
