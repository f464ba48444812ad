from __future__ import annotations

import math

import pytest

from edge_runtime.strict_yaml.scalars import boolean_for, plain_value, unclear_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None),
        ("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False),
        ("0", 0), ("-0", 0), ("12", 12), ("+12", 12), ("-12", -12), ("999999999999999999", 999_999_999_999_999_999),
        ("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("-1.5e-3", -0.0015), ("1e3", 1000.0), ("1E+3", 1000.0),
        (".inf", math.inf), ("-.INF", -math.inf),
    ],
)  # fmt: skip
def test_a_plain_word_is_what_the_core_schema_of_yaml_1_2_says(text, value):
    assert unclear_number(text) is None
    found = plain_value(text)
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_a_float():
    assert all(math.isnan(plain_value(text)) for text in (".nan", ".NaN", ".NAN"))


@pytest.mark.parametrize(
    "text",
    [
        "yes", "No", "ON", "off", "y", "N", "tRuE", "nULL", "2001-01-31", "2001-99-99", "2001-01-01 99:99:99", "1.2.3",
        "1 000", "0x", "0o", "0b", "0xG", "1e", "e3", ".", "-", "+", "--1", "nan", "inf", ".Nan", "192.168.0.1",
        "a:b", "１２", "1:30:x", "::1", "=", "<<",
    ],
)  # fmt: skip
def test_all_else_is_text(text):
    assert unclear_number(text) is None
    assert plain_value(text) == text


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("012", "write it without leading zeros: 12"),
        ("0012", "write it without leading zeros: 12"),
        ("-007", "write it without leading zeros: -7"),
        ("00", "write it without leading zeros: 0"),
        ("019", "write it without leading zeros: 19"),
        ("00.5", "write it without leading zeros: 0.5"),
        ("01e3", "write it without leading zeros: 1e3"),
        ("0o17", "write it as a decimal number: 15"),
        ("0x1F", "write it as a decimal number: 31"),
        ("-0b11", "write it as a decimal number: -3"),
        ("0x" + "F" * 5000, "write a decimal"),
        ("1_000", "write it without _: 1000"),
        ("1_000.5", "write it without _: 1000.5"),
        ("1:30", "write one number, without colons"),
        ("190:20:30.15", "write one number, without colons"),
        ("1,5", "write it with a point: 1.5"),
        ("9" * 19, "a whole number has 18 digits at most, this has 19"),
        ("9" * 5000, "a whole number has 18 digits at most, this has 5000"),
        ("1e999", "the number is too large"),
        ("9" * 5000 + ".0", "the number is too large"),
        ("1e-999", "the number is too small"),
    ],
)
def test_a_number_that_another_reader_takes_for_another_is_not_read(text, advice):
    assert unclear_number(text) == advice


def test_zeros_in_front_may_be_taken_as_nothing():
    assert unclear_number("012", leading_zeros=False) is None
    assert plain_value("012") == 12


def test_the_smallest_and_the_zero_are_no_problem():
    assert [unclear_number(text) for text in ("0e0", "0.0", "-0e-999", "5e-324", "1.7e308")] == [None] * 5


@pytest.mark.parametrize(("text", "word"), [("on", "true"), ("Yes", "true"), ("OFF", "false"), ("n", "false")])
def test_yaml_1_1s_words_for_booleans_are_known(text, word):
    assert boolean_for(text) == word
    assert boolean_for(f"{text}.") is None
