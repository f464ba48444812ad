"""Whether an ONNX graph keeps weights in other files (`external_data`): those would be read without being verified.

    if has_external_data(graph): ...

Reads Protocol Buffers field by field, by the numbers of onnx.proto, for a device has no onnx package. Only what may
hold tensors is entered; weights are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

# For each message that may hold tensors: its fields that hold such messages, by number.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL = {13, 14}  # of a tensor: external_data, and data_location, which is 1 for EXTERNAL
_DEEPEST = 100  # Protocol Buffers' own limit
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


def has_external_data(model: bytes) -> bool:
    """Whether any tensor of a serialised ModelProto is kept elsewhere. Raises ValueError for what is no ONNX."""
    return _refers_elsewhere(memoryview(model), "model", 0)


def _refers_elsewhere(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("messages in messages without an end")
    for number, value in _fields(message):
        if kind == "tensor":
            if number in _EXTERNAL and value != 0:
                return True
        elif (inner := _FIELDS[kind].get(number)) and isinstance(value, memoryview):
            found = _refers_elsewhere(value, inner, depth + 1)
            if found:
                return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; those of fixed length as 0, for none of them matters."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
        elif wire == _BYTES:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("it ends within a field")
            yield number, message[at : at + length]
            at += length
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("it ends within a number")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
