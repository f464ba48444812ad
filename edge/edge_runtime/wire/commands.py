"""What others send to the station, read strictly. A message that is not by the contract raises RecordError.

>>> trigger_from_payload(b"41;12;PART-7")
Trigger(trigger_id=41, recipe=12, part_id='PART-7')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from edge_runtime.errors import RecordError

U32 = (1 << 32) - 1

_TRIGGER = re.compile(rb"(\d{1,10});(\d{1,5});([ -:<-~]{0,16})")
_NUMBER = re.compile(rb"\d{1,10}")
_ID = re.compile(rb"\d{1,10}(?!\d)")  # a longer number is none that a trigger has
_LINE = re.compile(rb'\{"version":1,"seq":(\d{1,10}),')
_FOLDERS = re.compile(r"(?<![^\s'\"(])/(?:\S*/)?(?=[^\s/])")  # of absolute paths; "and/or" is none
_RANGE = re.compile(rb"(\d{1,10});(\d{1,10})")


@dataclass(frozen=True)
class Trigger:
    """A PLC's request for one verdict. trigger_id is 1 to 2^32 - 1."""

    trigger_id: int
    recipe: int
    part_id: str


class Command(Enum):
    """What `/command` takes."""

    SELFTEST = "SELFTEST"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    RELOAD = "RELOAD"


class Reply(Enum):
    """What `/trigger/ack` says."""

    ACCEPTED = "ACCEPTED"
    BUSY = "BUSY"
    NOTREADY = "NOTREADY"
    DUPLICATE = "DUPLICATE"
    BADREQUEST = "BADREQUEST"


@dataclass(frozen=True)
class SeqRange:
    """Verdicts that a consumer wants again, both ends included."""

    first: int
    last: int


def trigger_from_payload(payload: bytes) -> Trigger:
    """`trigger_id;recipe;part_id`."""
    found = _TRIGGER.fullmatch(payload)
    if found is None or not 0 < int(found[1]) <= U32:
        raise RecordError(
            f"{payload[:80]!r} is no trigger: `trigger_id;recipe;part_id` with a trigger_id from 1 to {U32} "
            "and a part_id of at most 16 printable ASCII characters"
        )
    return Trigger(int(found[1]), int(found[2]), found[3].decode("ascii"))


def trigger_id_of(payload: bytes) -> int:
    """The id with which to answer a bad trigger: what it starts with if that is an id, otherwise 0."""
    found = _ID.match(payload)
    return int(found[0]) if found is not None and int(found[0]) <= U32 else 0


def why_no_trigger(payload: bytes) -> str:
    """What is wrong with a trigger that is none, in a few words without `;`."""
    fields = payload.split(b";")
    if len(fields) != 3:
        return f"{len(fields)} fields, not trigger_id, recipe and part_id"
    trigger_id, recipe, _ = fields
    if not re.fullmatch(rb"\d{1,10}", trigger_id) or not 0 < int(trigger_id) <= U32:
        return f"trigger_id is no number from 1 to {U32}"
    if not re.fullmatch(rb"\d{1,5}", recipe):
        return "recipe is no number of at most five digits"
    return "part_id is not 16 printable ASCII characters at most"


def seq_of_line(payload: bytes) -> int:
    """The seq of a JSON line by its beginning, unchecked; 0 where it has none."""
    found = _LINE.match(payload)
    return int(found[1]) if found is not None else 0


def without_folders(text: str) -> str:
    """What a reply of 80 bytes has room for: files by their names alone. The log has the text as it is.

    >>> without_folders("/var/lib/edge/store/bundles/screw-2/model.fp32.onnx is missing")
    'model.fp32.onnx is missing'
    """
    return _FOLDERS.sub("", text)


def seq_from_payload(payload: bytes) -> int:
    """The highest contiguous seq that a consumer stored, as a decimal number."""
    if _NUMBER.fullmatch(payload) is None or int(payload) > U32:
        raise RecordError(f"{payload[:80]!r} is no acknowledgement: one decimal seq up to {U32}")
    return int(payload)


def seq_range_from_payload(payload: bytes) -> SeqRange:
    """`from;to`, both ends included."""
    found = _RANGE.fullmatch(payload)
    if found is None or not int(found[1]) <= int(found[2]) <= U32:
        raise RecordError(f"{payload[:80]!r} is no replay request: `from;to` with from <= to <= {U32}")
    return SeqRange(int(found[1]), int(found[2]))


def command_from_payload(payload: bytes) -> Command:
    """One word of Command."""
    try:
        return Command(payload.decode("ascii"))
    except ValueError:
        known = ", ".join(command.value for command in Command)
        raise RecordError(f"{payload[:40]!r} is no command: {known}") from None
