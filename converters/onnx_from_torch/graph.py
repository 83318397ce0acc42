"""From the graph that torch.onnx.export writes to one that is ours: names, sizes, and nothing of this machine in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper

from mlpack_edge.converters.onnx_graph import NEWEST_IR
from mlpack_edge.core.errors import Unsupported

_SYMBOL = re.compile(r"[A-Za-z_]\w*")
#: Recurrent operators whose kernels abort the whole process at batch 0 (ONNX Runtime 1.31), and their outputs.
_ABORTING = ("LSTM", "GRU")


def tidy(model: onnx.ModelProto, inputs: Sequence[str], outputs: Sequence[str], sizes: Mapping[str, str]) -> None:
    """Rename inputs and outputs by position and symbolic sizes by name; inline functions; drop every trace of where
    the graph was made (doc strings, metadata with stack traces and paths) and intermediate shapes, in place."""
    if model.functions:
        model.CopyFrom(inliner.inline_local_functions(model))
    _name_ends(model.graph, inputs, outputs)
    del model.graph.value_info[:]
    del model.metadata_props[:]
    model.ClearField("doc_string")
    model.producer_name, model.producer_version, model.domain, model.model_version = "mlpack", "", "", 0
    model.ir_version = min(model.ir_version, NEWEST_IR)
    model.graph.name = "mlpack"
    for graph in _graphs(model.graph):
        _forget(graph)
    for value in [*model.graph.input, *model.graph.output]:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.HasField("dim_param"):
                dim.dim_param = _SYMBOL.sub(lambda found: sizes.get(found[0], found[0]), dim.dim_param)
            elif not dim.HasField("dim_value"):
                dim.dim_param = f"{value.name}_{axis}"


def _graphs(graph: onnx.GraphProto) -> Iterable[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else attribute.graphs:
                yield from _graphs(body)


def _forget(graph: onnx.GraphProto) -> None:
    graph.ClearField("doc_string")
    del graph.metadata_props[:]
    for node in graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("doc_string")
        del tensor.metadata_props[:]
    for value in [*graph.input, *graph.output, *graph.value_info]:
        value.ClearField("doc_string")
        del value.metadata_props[:]


def _name_ends(graph: onnx.GraphProto, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give inputs and outputs their names. An output that is an input, an initializer or another output gets its own
    Identity; a name already used inside is made free."""
    if len(graph.input) != len(inputs) or len(graph.output) != len(outputs):
        raise Unsupported(
            f"the exported graph has {len(graph.input)} inputs and {len(graph.output)} outputs, the model "
            f"{len(inputs)} and {len(outputs)}",
            "return tensors only, each of them computed from the inputs",
        )
    produced = {name for node in graph.node for name in node.output}
    final: dict[str, str] = {}
    for value, name in zip(graph.output, outputs, strict=True):
        if value.name not in produced or value.name in final:
            graph.node.append(helper.make_node("Identity", [value.name], [f"{name}/copy"], name=f"{name}/copy"))
            value.name = f"{name}/copy"
        final[value.name] = name
    final |= {value.name: name for value, name in zip(graph.input, inputs, strict=True)}
    wanted = set(final.values())
    inner = {tensor.name for tensor in graph.initializer}
    for body in _graphs(graph):
        inner |= {name for node in body.node for name in node.output} | {value.name for value in body.input}
        inner |= {tensor.name for tensor in body.initializer}
    renamed = {name: f"{name}/inner" for name in inner & wanted if name not in final} | final
    for body in _graphs(graph):
        for node in body.node:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            node.output[:] = [renamed.get(name, name) for name in node.output]
        for item in [*body.input, *body.output, *body.initializer]:
            item.name = renamed.get(item.name, item.name)


def count_operators(graph: onnx.GraphProto, kinds: Sequence[str]) -> int:
    return sum(node.op_type in kinds for body in _graphs(graph) for node in body.node)


def guard_empty_batches(graph: onnx.GraphProto) -> None:
    """Let LSTM and GRU nodes see at least one row: an empty batch gets one of zeros, whose results are cut off again.

    ONNX Runtime's kernels for them abort the process at batch 0, which no caller could catch. X is `[time, batch, n]`,
    the initial states `[directions, batch, n]`, Y `[time, directions, batch, n]`, Y_h and Y_c as the states
    (operators LSTM and GRU since version 7).
    """
    nodes = []
    for node in graph.node:
        if node.op_type not in _ABORTING:
            nodes.append(node)
            continue
        stem = node.name or node.output[0]
        constants = {"zero": [0], "one": [1], "two": [2], "axis1": [1]}
        for key, numbers in constants.items():
            graph.initializer.append(numpy_helper.from_array(np.array(numbers, np.int64), f"{stem}/{key}"))
        nodes.append(helper.make_node("Shape", [node.input[0]], [f"{stem}/rows"], name=f"{stem}/rows", start=1, end=2))
        nodes.append(helper.make_node("Sub", [f"{stem}/one", f"{stem}/rows"], [f"{stem}/lack"], name=f"{stem}/lack"))
        nodes.append(helper.make_node("Max", [f"{stem}/lack", f"{stem}/zero"], [f"{stem}/pad"], name=f"{stem}/pad"))
        ends = [f"{stem}/zero", f"{stem}/pad"]
        nodes.append(helper.make_node("Concat", ends, [f"{stem}/ends"], name=f"{stem}/ends", axis=0))
        for index in (0, 5, 6):
            if len(node.input) > index and node.input[index]:
                padded = f"{stem}/padded_{index}"
                parts = [node.input[index], f"{stem}/ends", "", f"{stem}/axis1"]
                nodes.append(helper.make_node("Pad", parts, [padded], name=padded))
                node.input[index] = padded
        cuts = []
        for index, name in enumerate(node.output):
            if name:
                full = f"{stem}/full_{index}"
                axis = f"{stem}/two" if index == 0 else f"{stem}/axis1"
                parts = [full, f"{stem}/zero", f"{stem}/rows", axis]
                cuts.append(helper.make_node("Slice", parts, [name], name=f"{stem}/cut_{index}"))
                node.output[index] = full
        nodes += [node, *cuts]
    del graph.node[:]
    graph.node.extend(nodes)
