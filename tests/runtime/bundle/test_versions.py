from __future__ import annotations

import pytest

from edge_runtime.bundle.versions import is_older

IN_ORDER = ["0.9", "1", "1.0", "1.0-a", "1.0-b2", "1.0-b10", "1.0.1", "1.2", "1.10", "2", "2-line3", "10", "2026.1"]


def test_versions_come_in_the_order_in_which_people_count():
    for n, version in enumerate(IN_ORDER):
        assert [is_older(version, than) for than in IN_ORDER] == [n < m for m in range(len(IN_ORDER))]


@pytest.mark.parametrize(("one", "other"), [("1.0", "1-0"), ("1.0", "01.0"), ("1a", "1.A")])
def test_what_differs_in_spelling_alone_is_neither_older_nor_newer(one, other):
    assert not is_older(one, other)
    assert not is_older(other, one)
