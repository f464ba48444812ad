from __future__ import annotations

import pytest

from edge_build.recipe.input_size import Size


@pytest.mark.parametrize(("text", "size"), [("320", Size(320, 320)), ("512x192", Size(512, 192)), ("64", Size(64, 64))])
def test_a_size_is_one_side_or_two(text, size):
    assert Size.parse(text) == size
    assert str(size) == text


@pytest.mark.parametrize("text", ["", "x", "96x", "-32", "3.2", "96x96x96", "96 x 96"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="is no size: 320, or 512x192 for height x width"):
        Size.parse(text)


@pytest.mark.parametrize("text", ["500", "32", "2080", "0", "320x500", "500x320"])
def test_a_size_that_no_model_can_have_is_refused(text):
    with pytest.raises(ValueError, match=f"'{text}' does not fit: sides are multiples of 32, 64 to 2048"):
        Size.parse(text)
