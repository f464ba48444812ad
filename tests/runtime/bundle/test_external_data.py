"""A graph whose weights stand in other files is recognised, wherever in it a tensor may be."""

from __future__ import annotations

import pytest
from tests.support.tiny_bundle import tiny_graph

from edge_runtime.bundle.external_data import has_external_data

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402  # the reference for what protobuf writes


def weights(external: bool, raw: bytes = bytes(8)) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2])
    if not external:
        tensor.raw_data = raw
        return tensor
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def graph(*nodes, initializers=()):
    return helper.make_graph(list(nodes), "g", [], [], initializer=list(initializers))


def in_initializer(w):
    return helper.make_model(graph(initializers=[w]))


def in_attribute(w):
    return helper.make_model(graph(helper.make_node("Constant", [], ["c"], value=w)))


def in_list_of_tensors(w):
    node = helper.make_node("Odd", [], ["c"])
    node.attribute.add(name="many", type=onnx.AttributeProto.TENSORS).tensors.append(w)
    return helper.make_model(graph(node))


def in_branch(w):
    return helper.make_model(graph(helper.make_node("If", ["x"], ["y"], then_branch=graph(initializers=[w]))))


def in_function(w):
    model = helper.make_model(graph())
    node = helper.make_node("Constant", [], ["c"], value=w)
    model.functions.append(helper.make_function("d", "f", [], ["c"], [node], []))
    return model


def in_sparse_tensor(w):
    model = helper.make_model(graph())
    model.graph.sparse_initializer.add().values.CopyFrom(w)
    return model


def in_training(w):
    model = helper.make_model(graph())
    model.training_info.add().initialization.CopyFrom(graph(initializers=[w]))
    return model


PLACES = [in_initializer, in_attribute, in_list_of_tensors, in_branch, in_function, in_sparse_tensor, in_training]


@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_that_is_kept_elsewhere_is_found(place):
    assert has_external_data(place(weights(external=True)).SerializeToString())
    assert not has_external_data(place(weights(external=False)).SerializeToString())


def test_the_location_alone_or_the_mark_alone_is_enough():
    tensor = weights(external=True)
    tensor.ClearField("data_location")
    assert has_external_data(in_initializer(tensor).SerializeToString())
    tensor = weights(external=True)
    tensor.ClearField("external_data")
    assert has_external_data(in_initializer(tensor).SerializeToString())


def test_weights_that_look_like_such_fields_are_passed_over():
    assert not has_external_data(
        in_initializer(weights(False, in_branch(weights(True)).SerializeToString() * 2)).SerializeToString()
    )
    assert not has_external_data(tiny_graph())


@pytest.mark.parametrize(
    "content", [b"\xff", b"\x3a\x05a", b"\x0b", b"\x80" * 20], ids=["cut", "short", "group", "long"]
)
def test_what_is_no_protocol_buffer_is_said_to_be_none(content):
    with pytest.raises(ValueError, match=r"it ends within a|wire type 3"):
        has_external_data(content)


def test_messages_within_messages_end():
    nested = b""
    for _ in range(300):  # graph, node, attribute, graph, ...
        attribute = b"\x32" + varint(len(nested)) + nested
        node = b"\x2a" + varint(len(attribute)) + attribute
        nested = b"\x0a" + varint(len(node)) + node
    with pytest.raises(ValueError, match="without an end"):
        has_external_data(b"\x3a" + varint(len(nested)) + nested)


def varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])
