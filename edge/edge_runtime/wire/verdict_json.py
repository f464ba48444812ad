"""A verdict as one ASCII line of JSON: everything that is known of it. Sent on `/verdict/json`, and kept in the spool.

    {"version":1,"seq":41,"outcome":"NOK","error":0,...,"regions":[{"x":10,...}],"source":"bad/007.png","detail":""}

No white space between tokens, no key that comes and goes; numbers in full precision.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from edge_runtime.errors import RecordError
from edge_runtime.records import Decision, ErrorCode, Outcome, Region, Timings, Verdict

JSON_VERSION = 1
TEXT_LENGTH = 256  # PLC libraries read strings of 256 characters at most


def encode_json(verdict: Verdict) -> bytes:
    """One line, ASCII, without a line end. Long texts are cut at 256 characters: a source keeps its end."""
    decision, timings = verdict.decision, verdict.decision.timings
    line = {
        "version": JSON_VERSION,
        "seq": verdict.seq,
        "outcome": decision.outcome.name,
        "error": int(decision.error),
        "error_name": decision.error.name,
        "score": decision.score,
        "threshold": decision.threshold,
        "raw_score": decision.raw_score,
        "raw_threshold": decision.raw_threshold,
        "recipe": verdict.recipe,
        "trigger_id": verdict.trigger_id,
        "part_id": verdict.part_id[:TEXT_LENGTH],
        "bundle": verdict.bundle,
        "bundle_version": verdict.bundle_version,
        "unix_ms": verdict.unix_ms,
        "boot_id": verdict.boot_id,
        "flags": verdict.flags,
        "latency_us": verdict.latency_us,
        "capture_us": timings.capture_us,
        "prepare_us": timings.prepare_us,
        "infer_us": timings.infer_us,
        "decide_us": timings.decide_us,
        "commit_us": timings.commit_us,
        "publish_us": timings.publish_us,
        "regions": [vars(region) for region in decision.regions],
        "source": verdict.source[-TEXT_LENGTH:],
        "detail": decision.detail[:TEXT_LENGTH],
        "picture": verdict.picture,
    }
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode_json(payload: bytes) -> Verdict:
    """The verdict of a line. Raises RecordError for anything that the contract does not allow."""
    try:
        line = _Line.model_validate_json(payload)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "line"
        raise RecordError(f"no JSON verdict of version {JSON_VERSION}: {place}: {first['msg']}") from error
    if line.error not in {int(code) for code in ErrorCode}:
        raise RecordError(f"the JSON verdict has the unknown error code {line.error}: update this software")
    if (line.outcome == "ERROR") != (line.error != 0):
        raise RecordError(f"the JSON verdict contradicts itself: {line.outcome} with error code {line.error}")
    decision = Decision(
        outcome=Outcome[line.outcome],
        error=ErrorCode(line.error),
        score=line.score,
        threshold=line.threshold,
        raw_score=line.raw_score,
        raw_threshold=line.raw_threshold,
        regions=tuple(Region(**region.model_dump()) for region in line.regions),
        timings=Timings(
            line.capture_us, line.prepare_us, line.infer_us, line.decide_us, line.commit_us, line.publish_us
        ),
        detail=line.detail,
    )
    return Verdict(
        seq=line.seq,
        decision=decision,
        bundle=line.bundle,
        bundle_version=line.bundle_version,
        unix_ms=line.unix_ms,
        boot_id=line.boot_id,
        latency_us=line.latency_us,
        trigger_id=line.trigger_id,
        recipe=line.recipe,
        part_id=line.part_id,
        flags=line.flags,
        source=line.source,
        picture=line.picture,
    )


_Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _RegionLine(_Strict):
    x: _Count
    y: _Count
    width: _Count
    height: _Count
    area: _Count
    peak: float


class _Line(_Strict):
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
    publish_us: _Count = 0  # spools of before this key have lines without it
    regions: tuple[_RegionLine, ...]
    source: str
    detail: str
    picture: str = ""  # spools of before this key have lines without it
