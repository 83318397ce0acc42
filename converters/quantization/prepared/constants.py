"""Constants as initializers: Constant nodes, what can be computed from constants alone, copies of one tensor.

Each pass changes the model in place and leaves what it computes, its inputs and its outputs as they were.
"""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

from mlpack_edge.converters.quantization.prepared.edges import Array, Edges, has_body, names_of, replace_nodes
from mlpack_edge.runtimes.onnx_files.structure import names_read
from mlpack_edge.runtimes.onnx_files.tensors import BITS, byte_size, elements, sub_graphs
from mlpack_edge.runtimes.onnxruntime import FAULTS, open_session, run_raw

#: Operators that are no function of their inputs, or that store a constant small on purpose.
_NEVER = frozenset({
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout",
    "DequantizeLinear", "QuantizeLinear", "Optional", "SequenceEmpty", "SequenceConstruct",
})  # fmt: skip
#: Operators that can make much of little; they are computed only where their inputs are small.
_GROWING = frozenset({"Expand", "Tile", "ConstantOfShape", "Range", "OneHot", "EyeLike", "Pad", "Resize"})
_SMALL_BYTES = 4096
#: Constants of sub-graphs with at least this many elements are worth moving.
HOISTED_ELEMENTS = 1024


def constants_to_initializers(model: onnx.ModelProto) -> None:
    """Constant nodes of the main graph become initializers; those of sub-graphs stay."""
    graph = model.graph
    kept = []
    for node in graph.node:
        tensor = constant_tensor(node)
        if tensor is None:
            kept.append(node)
            continue
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
    if len(kept) < len(graph.node):
        replace_nodes(graph, kept)


def constant_tensor(node: NodeProto) -> TensorProto | None:
    """What a Constant node holds, without a name; None for other nodes and for sparse values."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        made = TensorProto()
        made.CopyFrom(attribute.t)
        return made
    kinds = {
        AttributeProto.FLOAT: np.float32, AttributeProto.FLOATS: np.float32,
        AttributeProto.INT: np.int64, AttributeProto.INTS: np.int64,
    }  # fmt: skip
    if attribute.type in kinds:
        return numpy_helper.from_array(np.asarray(value, kinds[attribute.type]))
    if attribute.type == AttributeProto.STRING:
        return helper.make_tensor("", TensorProto.STRING, [], [value])
    if attribute.type == AttributeProto.STRINGS:
        return helper.make_tensor("", TensorProto.STRING, [len(value)], list(value))
    return None


def hoist(model: onnx.ModelProto) -> None:
    """Large constants inside sub-graphs become initializers of the main graph, where storage forms can reach them."""
    taken = names_of(model.graph)
    for node in model.graph.node:
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                _hoist_from(body, model.graph, taken)


def _hoist_from(body: GraphProto, main: GraphProto, taken: set[str]) -> None:
    moved: dict[str, str] = {}
    inputs = {value.name for value in body.input}
    outputs = {value.name for value in body.output}
    for index in reversed(range(len(body.initializer))):
        tensor = body.initializer[index]
        if _worth_moving(tensor) and tensor.name not in inputs | outputs:
            moved[tensor.name] = _move(tensor, tensor.name, main, taken)
            del body.initializer[index]
    kept = []
    for node in body.node:
        found = constant_tensor(node)
        if found is not None and _worth_moving(found) and node.output[0] not in outputs:
            moved[node.output[0]] = _move(found, node.output[0], main, taken)
        else:
            kept.append(node)
    if len(kept) < len(body.node):
        replace_nodes(body, kept)
    if moved:
        _rename_reads(body, moved)
    for node in body.node:
        for attribute in node.attribute:
            for inner in sub_graphs(attribute):
                _hoist_from(inner, main, taken)


def _worth_moving(tensor: TensorProto) -> bool:
    return tensor.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE) and elements(tensor) >= HOISTED_ELEMENTS


def _move(tensor: TensorProto, name: str, main: GraphProto, taken: set[str]) -> str:
    """Sibling branches may use one name for two tensors: in the main graph each has its own."""
    held = {item.name for item in main.initializer}
    fresh, number = name, 1
    while fresh in held or (fresh != name and fresh in taken):
        number += 1
        fresh = f"{name}_{number}"
    taken.add(fresh)
    main.initializer.add().CopyFrom(tensor)
    main.initializer[-1].name = fresh
    return fresh


def _rename_reads(body: GraphProto, names: dict[str, str]) -> None:
    for node in body.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        for attribute in node.attribute:
            for inner in sub_graphs(attribute):
                hidden = {item.name for item in [*inner.input, *inner.initializer]}
                hidden |= {name for child in inner.node for name in child.output}
                _rename_reads(inner, {old: new for old, new in names.items() if old not in hidden})


def fold_constants(model: onnx.ModelProto) -> str | None:
    """Compute what depends on constants alone, with ONNX Runtime, where the result is not larger than what it is made of.

    Returns why nothing was computed, where ONNX Runtime refused to.
    """
    graph = model.graph
    edges = Edges(graph)
    nodes, cones = _foldable(graph, edges)
    if not nodes:
        return None
    inner = {id(node) for node in nodes}
    wanted = [
        name
        for node in nodes
        for name in node.output
        if name and (name in edges.outputs or any(id(reader) not in inner for reader in edges.readers[name]))
    ]
    made = _computed(model, nodes, wanted, edges)
    if isinstance(made, str):
        return made
    held = {name: array for name, array in made.items() if array.nbytes <= max(_SMALL_BYTES, cones[name])}
    for name, array in held.items():
        graph.initializer.append(numpy_helper.from_array(array, name))
    gone = [node for node in nodes if any(name in held for name in node.output)]
    kept = {id(node) for node in gone if any(name in made and name not in held for name in node.output)}
    drop = {id(node) for node in gone} - kept
    for node in (node for node in gone if id(node) in kept):
        for index, name in enumerate(node.output):
            node.output[index] = "" if name in held else name
    replace_nodes(graph, [node for node in graph.node if id(node) not in drop])
    return None


def _foldable(graph: GraphProto, edges: Edges) -> tuple[list[NodeProto], dict[str, int]]:
    """The nodes that depend on constants alone, in order, and for each of their outputs the bytes of those constants."""
    bytes_of = {name: byte_size(tensor) for name, tensor in edges.constants.items() if tensor.data_type in BITS}
    cone: dict[str, frozenset[str]] = {name: frozenset([name]) for name in bytes_of}
    cones: dict[str, int] = {}
    found = []
    for node in graph.node:
        names = [name for name in names_read(node) if name]
        if not names or node.op_type in _NEVER or has_body(node) or not all(name in cone for name in names):
            continue
        read: frozenset[str] = frozenset().union(*(cone[name] for name in names))
        size = sum(bytes_of[name] for name in read)
        if node.op_type in _GROWING and not _stays_small(node, edges, size):
            continue
        found.append(node)
        for name in node.output:
            if name:
                cone[name], cones[name] = read, size
    return found, cones


def _stays_small(node: NodeProto, edges: Edges, size: int) -> bool:
    """Whether a node that can make much of little makes little here, as far as can be told without running it."""
    if node.op_type not in ("Expand", "ConstantOfShape"):
        return size <= _SMALL_BYTES
    shape = edges.array(node.input[-1])
    return shape is not None and 8 * float(np.prod(np.maximum(shape.astype(np.float64), 1))) <= _SMALL_BYTES


def _computed(
    model: onnx.ModelProto, nodes: list[NodeProto], wanted: list[str], edges: Edges
) -> dict[str, Array] | str:
    read = {name for node in nodes for name in node.input}
    part = onnx.ModelProto(ir_version=model.ir_version)
    part.opset_import.extend(model.opset_import)
    part.graph.name = "constants"
    part.graph.node.extend(nodes)
    part.graph.initializer.extend(tensor for name, tensor in edges.constants.items() if name in read)
    part.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in wanted)
    try:
        made = run_raw(open_session(part.SerializeToString()), {})
    except FAULTS as fault:
        return " ".join(str(fault).split())[:200]
    return {
        name: np.asarray(value) for name, value in made.items() if isinstance(value, np.ndarray | np.generic | float)
    }


def share_equal(model: onnx.ModelProto) -> None:
    """Initializers with equal type, shape and bytes become one, except those the graph gives or takes by name."""
    graph = model.graph
    fixed = {value.name for value in [*graph.input, *graph.output]}
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for tensor in graph.initializer:
        if tensor.name in fixed or tensor.data_type not in BITS:
            continue
        data = numpy_helper.to_array(tensor).tobytes()
        key = (tensor.data_type, tuple(tensor.dims), hashlib.sha256(data).digest())
        if key in first:
            same[tensor.name] = first[key]
        else:
            first[key] = tensor.name
    if same:
        _rename_reads(graph, same)
        for index in reversed(range(len(graph.initializer))):
            if graph.initializer[index].name in same:
                del graph.initializer[index]


def drop_identities(model: onnx.ModelProto) -> None:
    """Identity nodes and Dropouts that drop nothing give way to what they read, where no input is an output then."""
    graph = model.graph
    edges = Edges(graph)
    names: dict[str, str] = {}
    kept = []
    for node in graph.node:
        plain = node.op_type == "Identity" or (
            node.op_type == "Dropout" and len(node.input) == 1 and not any(edges.readers[name] for name in node.output[1:])
            and not any(name in edges.outputs for name in node.output[1:])
        )  # fmt: skip
        if plain and node.domain == "" and node.output[0] not in edges.outputs:
            names[node.output[0]] = names.get(node.input[0], node.input[0])
        else:
            kept.append(node)
    if names:
        replace_nodes(graph, kept)
        _rename_reads(graph, names)
