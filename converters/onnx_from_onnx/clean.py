"""Tidy an ONNX graph without changing what it computes. Each pass changes the model in place and returns notes.

What every pass needs: a model that `runtimes.onnx_files.file.open_onnx` has passed. What it leaves: such a model again, with
the same inputs to feed and the same outputs in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSequence

import onnx
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET, ML, NEWEST_IR
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.onnx_files.signature import classes_of, real_inputs
from mlpack_edge.runtimes.onnx_files.structure import names_read
from mlpack_edge.runtimes.onnx_files.tensors import sub_graphs


def tidy_domains(model: onnx.ModelProto) -> list[str]:
    """One import a domain, "ai.onnx" written as "", none that no node needs (the default one stays)."""
    for node in all_nodes(model):
        if node.domain == "ai.onnx":
            node.domain = ""
    needed = {node.domain for node in all_nodes(model)} | {function.domain for function in model.functions} | {""}
    imports = {"" if item.domain == "ai.onnx" else item.domain: item.version for item in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(name, imports[name]) for name in sorted(imports) if name in needed)
    return []


def plain_inputs(model: onnx.ModelProto) -> list[str]:
    """Initializers no longer stand among the inputs (needed in IR 3, a default value since IR 4)."""
    kept = real_inputs(model.graph)
    if len(kept) == len(model.graph.input):
        return []
    defaults = len(model.graph.input) - len(kept)
    old = model.ir_version < 4
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return [] if old else [f"{defaults} inputs with default values became constants"]


def plain_classifier(model: onnx.ModelProto) -> list[str]:
    """ZipMap at an output gives way to the tensor it reads: `probabilities` [batch, classes], beside `label`.

    ZipMap (ai.onnx.ml 1) makes a sequence of maps, one a row, of a matrix; no runtime on a device takes that.
    Raises Unsupported where the maps are used inside the graph.
    """
    graph = model.graph
    zips = [node for node in graph.node if node.domain == ML and node.op_type == "ZipMap"]
    outputs = {value.name: value for value in graph.output}
    notes = []
    for node in zips:
        name, source = node.output[0], node.input[0]
        if name not in outputs or any(name in names_read(other) for other in graph.node):
            raise Unsupported(
                f"the node {node.name!r} (ai.onnx.ml.ZipMap) makes maps that the graph uses itself",
                "export the model with a plain tensor of probabilities: options={'zipmap': False}",
                node=node.name,
            )  # fmt: skip
        classes = classes_of([node])
        graph.node.remove(node)
        fresh = "probabilities" if len(zips) == 1 else name
        outputs[name].CopyFrom(helper.make_tensor_value_info(fresh, TensorProto.FLOAT, ["batch", len(classes) or None]))
        _call(model, outputs[name], source, fresh)
        notes.append(f"the output {name!r} (ZipMap) is now the plain tensor {outputs[name].name!r}")
    others = [value for value in graph.output if value.name != "probabilities"]
    if len(zips) == 1 and len(others) == 1 and others[0].name != "label":
        before = others[0].name
        _call(model, others[0], before, "label")
        notes.append(f"the output {before!r} is now called {others[0].name!r}")
    return notes


def _call(model: onnx.ModelProto, output: ValueInfoProto, source: str, wanted: str) -> None:
    """Let `output` be the tensor `source`, under the name `wanted` where nothing else has it.

    The tensor itself is renamed; where it is an input, an initializer or another output, an Identity is needed.
    """
    graph = model.graph
    output.name = ""
    if source == wanted:
        output.name = wanted
        return
    fixed = {value.name for value in [*graph.input, *graph.output]} | {tensor.name for tensor in graph.initializer}
    if wanted not in fixed:  # a tensor inside the graph gives way
        _rename(graph, wanted, _free_name(model, f"{wanted}/inner"))
    output.name = _free_name(model, wanted)
    if source not in fixed:
        _rename(graph, source, output.name)
        return
    if not any(item.domain == "" for item in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", DEFAULT_OPSET))
    graph.node.append(helper.make_node("Identity", [source], [output.name], name=f"{output.name}/plain"))


def _rename(graph: GraphProto, old: str, new: str) -> None:
    """Rename a tensor that a node gives, everywhere."""
    for node in _nodes_below(graph.node):
        _replace(node.input, old, new)
        _replace(node.output, old, new)
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                for value in body.output:
                    value.name = new if value.name == old else value.name


def _replace(names: MutableSequence[str], old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new


def drop_dead(model: onnx.ModelProto) -> list[str]:
    """Nodes, initializers, functions and shape notes that no output needs are dropped, in sub-graphs too."""
    before = _count(model.graph)
    _drop_in_graph(model.graph, set())
    called = _called(model)
    kept = [item for item in model.functions if (item.domain, item.name, item.overload) in called]
    del model.functions[:]
    model.functions.extend(kept)
    dropped = [was - now for was, now in zip(before, _count(model.graph), strict=True)]
    words = [
        f"{number} {what}" for number, what in zip(dropped, ("dead nodes", "unused tensors"), strict=True) if number
    ]
    return [f"dropped {' and '.join(words)}"] if words else []


def _drop_in_graph(graph: GraphProto, wanted_outside: set[str]) -> None:
    wanted = {value.name for value in graph.output} | wanted_outside
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            for attribute in node.attribute:
                for body in sub_graphs(attribute):
                    _drop_in_graph(body, set())
            kept.append(node)
            wanted.update(names_read(node))
    if len(kept) < len(graph.node):
        copies = [_copy(node) for node in reversed(kept)]
        del graph.node[:]
        graph.node.extend(copies)
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in wanted:
            del graph.initializer[index]
    for index in reversed(range(len(graph.sparse_initializer))):
        if graph.sparse_initializer[index].values.name not in wanted:
            del graph.sparse_initializer[index]
    # Exporters and tools leave shapes here that no longer hold; runtimes infer their own.
    del graph.value_info[:]


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy


def _count(graph: GraphProto) -> tuple[int, int]:
    """Nodes, and initializers of both kinds, those of sub-graphs included."""
    nodes, tensors = len(graph.node), len(graph.initializer) + len(graph.sparse_initializer)
    for node in graph.node:
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                inner = _count(body)
                nodes, tensors = nodes + inner[0], tensors + inner[1]
    return nodes, tensors


def _called(model: onnx.ModelProto) -> set[tuple[str, str, str]]:
    """The functions that the graph calls, directly or through others."""
    bodies = {(item.domain, item.name, item.overload): item.node for item in model.functions}
    found: set[tuple[str, str, str]] = set()
    waiting = list(_nodes_below(model.graph.node))
    while waiting:
        node = waiting.pop()
        key = (node.domain, node.op_type, node.overload)
        if key in bodies and key not in found:
            found.add(key)
            waiting += _nodes_below(bodies[key])
    return found


def clamp_ir(model: onnx.ModelProto) -> list[str]:
    """An IR version that holds what the model uses and that ONNX Runtime opens: at least 4, at most NEWEST_IR."""
    needed = helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    if model.functions:
        needed = max(needed, 10 if any(item.value_info or item.overload for item in model.functions) else 8)
    model.ir_version = min(NEWEST_IR, max(4, needed, model.ir_version))
    return []


def all_nodes(model: onnx.ModelProto) -> Iterator[NodeProto]:
    """Every node: of the graph, its sub-graphs and the functions."""
    yield from _nodes_below(model.graph.node)
    for function in model.functions:
        yield from _nodes_below(function.node)


def _nodes_below(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                yield from _nodes_below(body.node)


def _free_name(model: onnx.ModelProto, wanted: str) -> str:
    """`wanted`, or with a number where something else in the graph has that name."""
    taken = {name for node in _nodes_below(model.graph.node) for name in (*node.input, *node.output)}
    taken |= {tensor.name for tensor in model.graph.initializer}
    taken |= {value.name for value in [*model.graph.input, *model.graph.output]}
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
