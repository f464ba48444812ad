"""What an unquoted word means: YAML 1.2's core schema, but for numbers that another reader would take for others.

    plain_value("1e3")                                # 1000.0
    plain_value("on")                                 # "on": only true and false are booleans
    unclear_number("0012")                            # "write it without leading zeros: 12"

YAML 1.1 reads 0012 as 10 and 1:30 as 90, YAML 1.2 reads 12 and a text; no station or recipe is worth guessing.
"""

from __future__ import annotations

import re

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUES, FALSES = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE"})
YES, NO = frozenset({"y", "yes", "on"}), frozenset({"n", "no", "off"})  # YAML 1.1's, in any case
MOST_DIGITS = 18  # of a whole number: it fits into 64 bits

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZEROS = re.compile(r"([-+]?)0+([0-9].*)")
_OTHER_BASE = re.compile(r"[-+]?0(x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)")
_UNDERSCORES = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?")
_COLONS = re.compile(r"[-+]?[0-9][0-9_]*(:[0-9]{1,2})+(\.[0-9_]*)?")
_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")

Value = str | int | float | bool | None


def plain_value(text: str) -> Value:
    """None, a boolean, a number, or the text itself; `unclear_number` must have had nothing to say."""
    if text in NULLS:
        return None
    if text in TRUES or text in FALSES:
        return text in TRUES
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def unclear_number(text: str, leading_zeros: bool = True) -> str | None:
    """What to write instead of a number that is not read, or None. leading_zeros: whether those are unclear."""
    if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
        return _out_of_range(text) or (_without_leading_zeros(text) if leading_zeros else None)
    if _OTHER_BASE.fullmatch(text):
        return f"write it as a decimal number: {int(text.replace('_', ''), 0)}" if len(text) < 20 else "write a decimal"
    if _COLONS.fullmatch(text):
        return "write one number, without colons"
    if _UNDERSCORES.fullmatch(text):
        return f"write it without _: {text.replace('_', '')}"
    if _COMMA.fullmatch(text):
        return f"write it with a point: {text.replace(',', '.')}"
    return None


def boolean_for(text: str) -> str | None:
    """true or false, for a word that YAML 1.1 reads as that."""
    word = text.lower()
    return "true" if word in YES else "false" if word in NO else None


def _without_leading_zeros(text: str) -> str | None:
    found = _LEADING_ZEROS.fullmatch(text)
    return f"write it without leading zeros: {found[1]}{found[2]}" if found else None


def _out_of_range(text: str) -> str | None:
    if _INTEGER.fullmatch(text):
        digits = len(text.lstrip("+-"))
        return f"a whole number has {MOST_DIGITS} digits at most, this has {digits}" if digits > MOST_DIGITS else None
    value, mantissa = abs(float(text)), re.split("[eE]", text)[0]
    if value == float("inf"):
        return "the number is too large"
    return "the number is too small" if value == 0 and mantissa.strip("+-.0") else None
