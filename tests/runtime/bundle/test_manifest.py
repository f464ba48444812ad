from __future__ import annotations

import pydantic
import pytest
from tests.support.tiny_bundle import write_bundle

from edge_runtime.bundle.reader import read_manifest


@pytest.fixture
def manifest(tmp_path):
    return read_manifest(write_bundle(tmp_path / "bundle"))


def test_its_label_is_name_and_version(manifest):
    assert manifest.label == "tiny-1.0"


def test_a_copy_with_changes_has_them_and_all_else_as_it_was(manifest):
    other = manifest.with_changes(version="2.0")
    assert (other.label, manifest.label) == ("tiny-2.0", "tiny-1.0")
    assert other.with_changes(version="1.0") == manifest


@pytest.mark.parametrize("changes", [{"version": "no spaces"}, {"height": 1}, {"graph": {}}, {"golden": 3}])
def test_a_copy_that_would_be_no_valid_record_is_refused(manifest, changes):
    with pytest.raises(pydantic.ValidationError, match=next(iter(changes))):
        manifest.with_changes(**changes)
