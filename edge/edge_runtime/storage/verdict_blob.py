"""A verdict as the spool keeps it: its JSON line, compressed to about a quarter with a dictionary that both ends know.

The zlib format carries a checksum of the line, so a bit that flipped on the disk is found and never read as a verdict.
The dictionary belongs to the spool's schema version: what was packed with one cannot be read with another.
"""

from __future__ import annotations

import zlib

from edge_runtime.errors import RecordError
from edge_runtime.records import Verdict
from edge_runtime.wire.verdict_json import decode_json, encode_json, with_texts_cut

LEVEL = 6

# What is most frequent stands last, where zlib finds it with the shortest distances.
_DICTIONARY = (
    b'.jpg","detail":"no verdict: the frame is the detector the source has no more pictures: check the light, the'
    b" camera and the cableFRAME_MISSING FRAME_UNREADABLE FRAME_BLACK FRAME_SATURATED ENGINE_FAILED SCORE_NOT_FINITE"
    b' INTERRUPTED DEADLINE_MISSED "outcome":"ERROR","error":302,"error_name":"the station ended between the trigger'
    b' and its verdict"regions":[{"x":1,"y":2,"width":3,"height":4,"area":5,"peak":0.5},{"x":"outcome":"NOK"'
    b'{"version":1,"seq":1,"outcome":"OK","error":0,"error_name":"NONE","score":0.3,"threshold":0.5,"raw_score":1.0,'
    b'"raw_threshold":1.0,"recipe":1,"trigger_id":0,"part_id":"PART-0000000","bundle":"","bundle_version":"1.0",'
    b'"unix_ms":17,"boot_id":1,"flags":0,"latency_us":10,"capture_us":1,"prepare_us":1,"infer_us":1,"decide_us":1,'
    b'"commit_us":0,"regions":[],"source":".png","detail":"","picture":""}'
)


def pack_verdict(verdict: Verdict) -> bytes:
    """The bytes to keep: about 110 for an OK without regions.

    Raises RecordError for a verdict that would not come back as it is (but for long texts, which its line cuts): what
    is on the disk can be read.
    """
    packer = zlib.compressobj(LEVEL, zdict=_DICTIONARY)
    try:
        line = encode_json(verdict)
    except ValueError as error:  # a number that JSON has no word for
        raise RecordError(f"verdict {verdict.seq} cannot be written as a record: {error}") from error
    packed = packer.compress(line) + packer.flush()
    if unpack_verdict(packed) != with_texts_cut(verdict):
        raise RecordError(f"verdict {verdict.seq} does not come back from its record as it was")
    return packed


def unpack_verdict(packed: bytes) -> Verdict:
    """The verdict as it was packed. Raises RecordError when the bytes changed."""
    unpacker = zlib.decompressobj(zdict=_DICTIONARY)
    try:
        line = unpacker.decompress(packed) + unpacker.flush()
    except zlib.error as error:
        raise RecordError(f"a verdict of {len(packed)} bytes is damaged: {error}") from error
    if not unpacker.eof or unpacker.unused_data:
        raise RecordError(f"a verdict of {len(packed)} bytes is damaged: it has no proper end")
    return decode_json(line)
