"""A verdict as one ASCII line of JSON: everything that is known of it. Sent on `/verdict/json`, and kept in the spool.

    {"version":1,"seq":41,"outcome":"NOK","error":0,...,"regions":[{"x":10,...}],"source":"bad/007.png","detail":""}

No white space between tokens, no key that comes and goes; numbers in full precision. `VerdictLine` says which keys
there are, in which order and of which type; a key carries the field of that name of a `Verdict`, its `Decision` or its
`Timings`, so that both directions follow from it.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from edge_runtime.errors import RecordError
from edge_runtime.records import Decision, ErrorCode, Outcome, Region, Timings, Verdict

JSON_VERSION = 1
TEXT_LENGTH = 256  # PLC libraries read strings of 256 characters at most

_Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class RegionLine(_Strict):
    """A region; its keys are the fields of `Region`."""

    x: _Count
    y: _Count
    width: _Count
    height: _Count
    area: _Count
    peak: float


class VerdictLine(_Strict):
    """The line. A key with a default is one that lines of earlier versions, in spools, do not have."""

    version: Literal[1]
    seq: Annotated[int, Field(ge=1)]
    outcome: Literal["OK", "NOK", "ERROR"]
    error: _Count
    error_name: str
    score: float
    threshold: float
    raw_score: float
    raw_threshold: float
    recipe: _Count
    trigger_id: _Count
    part_id: str
    bundle: str
    bundle_version: str
    unix_ms: _Count
    boot_id: _Count
    flags: _Count
    latency_us: _Count
    capture_us: _Count
    prepare_us: _Count
    infer_us: _Count
    decide_us: _Count
    commit_us: _Count
    publish_us: _Count = 0
    regions: tuple[RegionLine, ...]
    source: str
    detail: str
    picture: str = ""


def _keys_of(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record) if field.name in VerdictLine.model_fields)


KEYS = tuple(VerdictLine.model_fields)
_KEYS_OF = {record: _keys_of(record) for record in (Verdict, Decision, Timings)}


def with_texts_cut(verdict: Verdict) -> Verdict:
    """The verdict as its line has it: a part id and a detail keep their first 256 characters, a source its last."""
    decision = verdict.decision
    if max(len(verdict.part_id), len(verdict.source), len(decision.detail)) <= TEXT_LENGTH:
        return verdict
    return replace(
        verdict,
        part_id=verdict.part_id[:TEXT_LENGTH],
        source=verdict.source[-TEXT_LENGTH:],
        decision=replace(decision, detail=decision.detail[:TEXT_LENGTH]),
    )


def encode_json(verdict: Verdict) -> bytes:
    """One line, ASCII, without a line end. Long texts are cut at 256 characters: a source keeps its end."""
    verdict = with_texts_cut(verdict)
    decision = verdict.decision
    values: dict[str, Any] = {
        **vars(verdict),
        **vars(decision),
        **vars(decision.timings),
        "version": JSON_VERSION,
        "outcome": decision.outcome.name,
        "error": int(decision.error),
        "error_name": decision.error.name,
        "regions": [vars(region) for region in decision.regions],
    }
    line = {key: values[key] for key in KEYS}
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode_json(payload: bytes) -> Verdict:
    """The verdict of a line. Raises RecordError for anything that the contract does not allow."""
    try:
        line = VerdictLine.model_validate_json(payload)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "line"
        raise RecordError(f"no JSON verdict of version {JSON_VERSION}: {place}: {first['msg']}") from error
    if line.error not in {int(code) for code in ErrorCode}:
        raise RecordError(f"the JSON verdict has the unknown error code {line.error}: update this software")
    if (line.outcome == "ERROR") != (line.error != 0):
        raise RecordError(f"the JSON verdict contradicts itself: {line.outcome} with error code {line.error}")
    values: dict[str, Any] = {
        **vars(line),
        "outcome": Outcome[line.outcome],
        "error": ErrorCode(line.error),
        "regions": tuple(Region(**vars(region)) for region in line.regions),
    }
    timings, decision, verdict = ({key: values[key] for key in _KEYS_OF[kind]} for kind in (Timings, Decision, Verdict))
    return Verdict(**verdict, decision=Decision(**decision, timings=Timings(**timings)))
