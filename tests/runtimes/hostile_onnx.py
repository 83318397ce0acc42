"""ONNX files that somebody made to do harm, or that are broken in one known way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from tests.runtimes.model_files import tiny_onnx


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def of_graph(graph: bytes) -> bytes:
    """A file of IR 10 and opset 21 whose graph has these bytes."""
    return b"\x08\x0a" + field(8, b"\x10\x15") + field(7, graph)


def nested(levels: int) -> bytes:
    """An If in an If in an If..."""
    graph = b""
    for _ in range(levels):
        graph = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, graph)))
    return of_graph(graph)


def with_external(folder: Path, location: str, offset: str | None = "0", length: str | None = "8") -> Path:
    """y = x + w, with the two float32 of w said to lie in `location`."""
    model = tiny_onnx()
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Add", ["x", "w"], ["y"], name="sum"))
    tensor = model.graph.initializer.add(name="w", dims=[2], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def hidden_external(where: str) -> onnx.ModelProto:
    """The same `../outside` in places that are easily forgotten."""
    model = tiny_onnx()
    tensor = TensorProto(name="w", dims=[2], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../outside")
    graph = model.graph
    if where == "constant":
        graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    elif where == "tensors":
        graph.node.append(helper.make_node("Constant", [], ["c"], values=[tensor]))
    elif where == "sparse":
        sparse = graph.sparse_initializer.add(dims=[4])
        sparse.values.CopyFrom(tensor)
        sparse.indices.CopyFrom(helper.make_tensor("i", TensorProto.INT64, [2], [0, 1]))
    elif where == "sub-graph":
        body = helper.make_graph([], "body", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [2])], [tensor])
        graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
        other = onnx.GraphProto()
        other.CopyFrom(body)
        graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=body, else_branch=other))
    elif where == "function":
        constant = helper.make_node("Constant", [], ["c"], value=tensor)
        model.functions.append(helper.make_function("own", "F", [], ["c"], [constant], [helper.make_opsetid("", 21)]))
        model.opset_import.append(helper.make_opsetid("own", 1))
    elif where == "training":
        model.training_info.add().initialization.initializer.append(tensor)
    else:
        raise AssertionError(where)
    return model


def _changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = tiny_onnx()
    change(model)
    return bytes(model.SerializeToString())


def _nodes(*nodes: onnx.NodeProto) -> bytes:
    def change(model: onnx.ModelProto) -> None:
        del model.graph.node[:]
        model.graph.node.extend(nodes)

    return _changed(change)


def _initializer(**fields: object) -> bytes:
    return _changed(lambda model: model.graph.initializer.add(**fields))


def _function_bomb() -> bytes:
    """Ten calls of ten calls of ten calls: 10^12 nodes when written out."""
    model = tiny_onnx()
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    for level in range(12):
        inner = ("Relu", "") if level == 0 else (f"F{level - 1}", "own")
        body = [helper.make_node(inner[0], [f"t{i}"], [f"t{i + 1}"], domain=inner[1]) for i in range(10)]
        model.functions.append(helper.make_function("own", f"F{level}", ["t0"], ["t10"], body, imports))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[0].CopyFrom(helper.make_node("F11", ["x"], ["y"], domain="own"))
    return bytes(model.SerializeToString())


def _self_call() -> bytes:
    model = tiny_onnx()
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    body = [helper.make_node("F", ["a"], ["b"], domain="own")]
    model.functions.append(helper.make_function("own", "F", ["a"], ["b"], body, imports))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[0].CopyFrom(helper.make_node("F", ["x"], ["y"], domain="own"))
    return bytes(model.SerializeToString())


#: What is wrong -> (the file, words of the message).
BROKEN: dict[str, tuple[bytes, str]] = {
    "zero bytes": (b"", "0 bytes"),
    "no graph": (b"\x08\x0a", "no graph"),
    "a million nodes": (of_graph(field(1, field(4, b"Relu")) * 1_000_000), "more than 200,000 nodes"),
    "sub-graphs in sub-graphs": (nested(500), "nested deeper"),
    "sub-graphs to protobuf's limit": (nested(31), "no output"),
    "twenty million empty attributes": (of_graph(field(1, field(5, b"") * 20_000_000)), "too large"),
    "not UTF-8": (tiny_onnx().SerializeToString().replace(b"\x01x", b"\x01\xff"), "no UTF-8"),
    "huge shape": (_initializer(name="w", dims=[1 << 40, 1 << 40], data_type=1, raw_data=b"1234"), "'w'"),
    "negative shape": (_initializer(name="w", dims=[-1], data_type=1), "'w'"),
    "too few bytes": (_initializer(name="w", dims=[3], data_type=1, raw_data=b"1234"), "needs 12 bytes, it has 4"),
    "too few elements": (_initializer(name="w", dims=[3], data_type=1, float_data=[1.0]), "'w'"),
    "unknown element type": (_initializer(name="w", dims=[1], data_type=99, raw_data=b"1"), "'w'"),
    "rank of thousands": (_initializer(name="w", dims=[1] * 5000, data_type=1, float_data=[1.0]), "'w'"),
    "two initializers of one name": (
        _changed(lambda m: m.graph.initializer.extend([helper.make_tensor("w", 1, [1], [1.0])] * 2)), "'w'",
    ),
    "two nodes give one name": (
        _nodes(helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Abs", ["x"], ["y"])), "'y'",
    ),
    "a name from nowhere": (_nodes(helper.make_node("Relu", ["nothing"], ["y"], name="n1")), "which nothing gives"),
    "a cycle": (
        _nodes(helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Add", ["a", "x"], ["b"]),
               helper.make_node("Relu", ["b"], ["y"])), "depends on that node itself",
    ),
    "not in order": (
        _nodes(helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Abs", ["x"], ["a"])), "before node 1 (Abs)",
    ),
    "output from nowhere": (_nodes(helper.make_node("Relu", ["x"], ["z"])), "nothing gives the output 'y'"),
    "no operator": (_nodes(helper.make_node("", ["x"], ["y"])), "no operator"),
    "custom operator": (_nodes(helper.make_node("Mine", ["x"], ["y"], domain="my.ops")), "'my.ops'"),
    "IR of the future": (_changed(lambda m: setattr(m, "ir_version", 99)), "IR version 99"),
    "opset of the future": (_changed(lambda m: setattr(m.opset_import[0], "version", 999)), "opset 999"),
    "opset of no year": (_changed(lambda m: setattr(m.opset_import[0], "version", -1)), "opset -1"),
    "no opset": (_changed(lambda m: m.ClearField("opset_import")), "which opset"),
    "a function that calls itself": (_self_call(), "calls itself"),
    "functions that double": (_function_bomb(), "when its functions are written out"),
}  # fmt: skip


def link_beside(folder: Path, how: str) -> str:
    """Put `weights.bin` into the folder as a link to a file outside it; returns its name."""
    outside = folder.parent / "outside.bin"
    outside.write_bytes(bytes(8))
    if how == "symlink":
        (folder / "weights.bin").symlink_to(outside)
    elif how == "hard link":
        os.link(outside, folder / "weights.bin")
    elif how == "symlinked folder":
        (folder / "sub").symlink_to(folder.parent)
        return "sub/outside.bin"
    elif how == "pipe":
        os.mkfifo(folder / "weights.bin")
    elif how == "folder":
        (folder / "weights.bin").mkdir()
    return "weights.bin"
