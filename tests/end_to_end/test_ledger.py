from __future__ import annotations

from dataclasses import replace

from tests.support.faults.ledger import Ledger
from tests.support.sample_verdict import sample_verdict

from edge_runtime.records import Flag, Outcome


def verdict(seq, trigger_id=0, outcome=Outcome.NOK, source="0001-defect.png"):
    return replace(sample_verdict(seq=seq, outcome=outcome, trigger_id=trigger_id), source=source)


def ledger_of(*verdicts, asked=()):
    ledger = Ledger()
    for trigger_id in asked:
        ledger.ask(trigger_id)
    for found in verdicts:
        ledger.add(found)
    return ledger


def test_what_came_in_full_is_clean_also_when_it_came_twice_and_out_of_order():
    again = replace(verdict(1, 7), flags=Flag.REPLAY)
    ledger = ledger_of(verdict(2, 8), verdict(1, 7), again, asked=(7, 8))
    assert ledger.account().is_clean
    assert (ledger.contiguous, ledger.highest, ledger.first_gap()) == (2, 2, None)


def test_a_number_that_never_came_is_lost():
    ledger = ledger_of(verdict(1), verdict(4))
    assert ledger.account().lost == 2
    assert ledger.first_gap() == (2, 3)


def test_a_number_with_two_contents_conflicts():
    assert ledger_of(verdict(1), replace(verdict(1), part_id="OTHER")).account().conflicting == 1


def test_a_trigger_with_two_numbers_conflicts():
    assert ledger_of(verdict(1, 7), verdict(2, 7), asked=(7,)).account().conflicting == 1


def test_an_ok_for_a_picture_that_is_not_good_is_false():
    assert ledger_of(verdict(1, outcome=Outcome.OK)).account().false_ok == 1
    assert ledger_of(verdict(1, outcome=Outcome.OK, source="0001-good.png")).account().false_ok == 0


def test_a_trigger_without_a_verdict_is_unanswered():
    assert ledger_of(verdict(1, 7), asked=(7, 8)).account().unanswered == 1
