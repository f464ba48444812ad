from __future__ import annotations

from edge_runtime.sources.frame_ids import Belongs, FrameNumbers, TriggerLedger

OWN, LATE, STRAY = Belongs.OWN, Belongs.LATE, Belongs.STRAY


def triggered(ledger, *numbers):
    ledger.sent()
    return [ledger.sort(number) for number in numbers]


def started(first=100):
    ledger = TriggerLedger()
    assert triggered(ledger, first) == [OWN]
    return ledger


def given_up(ledger, times=1):
    for _ in range(times):
        ledger.sent()
        ledger.given_up()
    return ledger


def test_each_trigger_gets_the_number_that_follows():
    ledger = started()
    assert [triggered(ledger, number)[0] for number in (101, 102, 103)] == [OWN] * 3


def test_the_late_frame_of_a_trigger_that_was_given_up_is_not_the_next_ones():
    ledger = given_up(started())
    assert triggered(ledger, 101, 102) == [LATE, OWN]
    assert ledger.owed == 0


def test_a_frame_that_was_lost_altogether_leaves_its_number_out():
    assert triggered(given_up(started()), 102) == [OWN]


def test_several_late_frames_and_some_lost_between_them():
    ledger = given_up(started(), 4)
    assert [ledger.sort(number) for number in (102, 104)] == [LATE, LATE]
    assert (ledger.owed, triggered(ledger, 105)) == (0, [OWN])


def test_a_late_frame_that_comes_while_nobody_waits_is_late():
    assert given_up(started()).sort(101) is LATE


def test_a_frame_that_no_trigger_asked_for_is_a_stray():
    assert started().sort(101) is STRAY
    assert triggered(started(), 102) == [STRAY]
    assert triggered(started(), 100) == [STRAY]


def test_the_first_frame_after_a_trigger_was_given_up_is_that_one_s():
    assert triggered(given_up(TriggerLedger()), 7, 8) == [LATE, OWN]


def test_a_new_start_forgets_what_was_owed():
    ledger = given_up(started())
    ledger.restart()
    assert triggered(ledger, 5) == [OWN]


def test_a_frame_without_a_number_is_the_next_one():
    ledger = TriggerLedger()
    assert triggered(ledger, None) == [OWN]
    assert triggered(ledger, 7) == [OWN]
    assert triggered(given_up(ledger), None, 9) == [LATE, OWN]


def numbers_of(*frame_ids):
    numbers = FrameNumbers()
    return [numbers.of(frame_id, whole=True) for frame_id in frame_ids]


def test_numbers_of_16_bits_go_on_where_they_begin_again():
    assert numbers_of(65534, 65535, 1, 2) == [65534, 65535, 65536, 65537]  # as the standard has it, without 0
    assert numbers_of(65534, 65535, 0, 1) == [65534, 65535, 65536, 65537]
    assert numbers_of(0, 65535, 0, 1)[-2:] == [65537, 65538]
    assert numbers_of(65530, 5) == [65530, 65540]  # nine between are lost


def test_numbers_of_64_bits_do_not_wrap():
    assert numbers_of(65535, 65536, 65537, 1 << 40) == [65535, 65536, 65537, 1 << 40]


def test_a_lost_frame_leaves_its_number_out_and_a_repeated_one_does_not_grow():
    assert numbers_of(7, 9, 9, 8) == [7, 9, 9, 8]


def test_an_incomplete_frame_with_an_old_number_is_the_one_that_follows():
    numbers = FrameNumbers()
    assert numbers.of(0, whole=False) is None  # nothing to compare it with
    assert [numbers.of(frame_id, whole) for frame_id, whole in ((10, True), (7, False), (12, True))] == [10, 11, 12]
    assert numbers.of(14, whole=False) == 14  # its first packet came: one before it is lost
    assert numbers.of(5_000, whole=False) == 15


def test_an_incomplete_frame_at_the_end_of_the_numbers_is_the_one_that_follows():
    numbers = FrameNumbers()
    assert [numbers.of(frame_id, whole) for frame_id, whole in ((65535, True), (900, False), (2, True))] == [
        65535,
        65536,
        65537,
    ]
