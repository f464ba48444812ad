from __future__ import annotations

from dataclasses import replace

import pytest

from edge_runtime.sources.arrivals import Arrivals, FileState, is_picture_name

ONE = FileState(100, 1, 1, 7)


@pytest.fixture
def arrivals():
    return Arrivals(settle_s=0.5, give_up_s=10)


def test_a_closed_file_is_ready_at_once_and_an_open_one_when_it_has_not_changed_for_a_while(arrivals):
    arrivals.see(b"open.png", ONE, 0.0)
    arrivals.see(b"closed.png", ONE, 0.0, closed=True)
    assert arrivals.next_ready(0.1) == b"closed.png"
    arrivals.drop(b"closed.png")
    assert arrivals.next_ready(0.4) is None
    arrivals.see(b"open.png", replace(ONE, size=200), 0.4)
    assert arrivals.next_ready(0.8) is None
    assert arrivals.next_ready(0.91) == b"open.png"


def test_files_are_ready_in_the_order_in_which_they_came_and_a_change_is_a_new_arrival(arrivals):
    for name in (b"b.png", b"a.png", b"c.png"):
        arrivals.see(name, ONE, 0.0, closed=True)
    arrivals.see(b"b.png", replace(ONE, modified_ns=2), 0.1, closed=True)
    order = []
    while (name := arrivals.next_ready(1.0)) is not None:
        order.append(name)
        arrivals.drop(name)
    assert order == [b"a.png", b"c.png", b"b.png"]


def test_a_file_that_is_not_whole_waits_for_its_next_change_or_is_given_up(arrivals):
    arrivals.see(b"a.png", ONE, 0.0, closed=True)
    arrivals.unfit(b"a.png", "cut off")
    assert arrivals.next_ready(9.9) is None
    assert arrivals.next_given_up(9.9) is None
    assert arrivals.next_given_up(10.0) == (b"a.png", "cut off")
    arrivals.see(b"a.png", replace(ONE, size=200), 10.0, closed=True)
    assert arrivals.next_given_up(11.0) is None
    assert arrivals.next_ready(10.0) == b"a.png"


def test_a_file_closed_once_more_without_a_change_is_read_once_more(arrivals):
    arrivals.see(b"a.png", ONE, 0.0)
    arrivals.unfit(b"a.png", "cut off")
    arrivals.see(b"a.png", ONE, 0.1, closed=True)
    assert arrivals.next_ready(0.1) == b"a.png"


def test_a_file_that_has_rested_long_before_it_was_seen_is_ready(arrivals):
    arrivals.see(b"a.png", ONE, 100.0, rested_s=3600)
    assert arrivals.next_ready(100.0) == b"a.png"


def test_a_renamed_file_is_the_same_picture(arrivals):
    arrivals.see(b"a.png", ONE, 0.0)
    arrivals.rename(b"a.png", b"b.png", ONE, 0.1)
    assert (b"a.png" in arrivals, arrivals.next_ready(0.1)) == (False, b"b.png")


def test_the_identity_ignores_what_a_new_owner_changes():
    assert ONE.identity == replace(ONE, changed_ns=99).identity
    assert len({ONE.identity, replace(ONE, size=1).identity, replace(ONE, modified_ns=2).identity}) == 3
    assert ONE.identity != replace(ONE, inode=8).identity


@pytest.mark.parametrize(
    ("name", "is_one"),
    [(b"a.png", True), (b"A.JPEG", True), (b"a.tmp", False), (b".a.png", False), (b"a.png.part", False), (b"a", False)],
)
def test_which_names_are_pictures(name, is_one):
    assert is_picture_name(name) is is_one
