"""Cut an ONNX graph where its texts end: what follows from one text column alone is computed once for each text.

A text column is looked up in tables of its few distinct values (LabelEncoder), compared (Equal), perhaps replaced (Where)
before it becomes numbers. Those nodes become a graph of their own, the tables' graph, which is run on distinct texts; the
main graph takes the numbers. Only operators that give each row from the same row alone are cut off: those of ONNX opset
25 and ai.onnx.ml 5 in `_GIVES` (the shapes are looked at when the tables are made).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto, helper

from mlpack_edge.runtimes.onnx_files.signature import dtype_of, real_inputs
from mlpack_edge.runtimes.onnx_files.tensors import sub_graphs


@dataclass(frozen=True, slots=True)
class InputCut:
    """main: the graph that takes numbers in place of texts. tables: the graph from texts to those numbers.

    frontiers: by text input, the tensors that main takes in its place and tables gives (none where nothing reads it);
    inputs that could not be cut are not there, and stay as they are.
    """

    main: onnx.ModelProto
    tables: onnx.ModelProto
    frontiers: Mapping[str, tuple[str, ...]]


def cut_inputs(model: onnx.ModelProto, whole: Collection[str] = ()) -> InputCut | None:
    """The model cut behind its text inputs of one column, but for those in `whole`; None where none can be."""
    model = _columns_apart(model)
    graph = model.graph
    texts = [value.name for value in real_inputs(graph) if dtype_of(value) == "string"]
    frontiers: dict[str, tuple[str, ...]] = {}
    gone: set[int] = set()
    for name in texts:
        found = None if name in whole else _frontier(graph, name)
        if found is not None:
            nodes, tensors = found
            gone |= nodes
            frontiers[name] = tensors
    if not frontiers:
        return None
    return InputCut(_main(model, frontiers, gone), _tables(model, frontiers, gone), frontiers)


def _same(node: NodeProto, place: int, texts: set[str]) -> bool:
    return node.input[place] in texts


def _encodes_text(node: NodeProto, texts: set[str]) -> bool:
    names = {item.name: item for item in node.attribute}
    tensor = names.get("values_tensor")
    return "values_strings" in names or (tensor is not None and tensor.t.data_type == TensorProto.STRING)


def _cast_to_text(node: NodeProto, texts: set[str]) -> bool:
    return any(item.name == "to" and item.i == TensorProto.STRING for item in node.attribute)


def _number(node: NodeProto, texts: set[str]) -> bool:
    return False


def _first(node: NodeProto, texts: set[str]) -> bool:
    return node.input[0] in texts


#: Operators whose rows follow from the same rows of their inputs -> whether what they give is text. Reshape and the like
#: do so where they keep the first dimension, which is seen when tables are made.
_GIVES: dict[tuple[str, str], Callable[[NodeProto, set[str]], bool]] = {
    ("", "Identity"): _first,
    ("", "Reshape"): _first,
    ("", "Squeeze"): _first,
    ("", "Unsqueeze"): _first,
    ("", "Flatten"): _first,
    ("", "Concat"): _first,
    ("", "Where"): lambda node, texts: _same(node, 1, texts) or _same(node, 2, texts),
    ("", "StringConcat"): lambda node, texts: True,
    ("", "Cast"): _cast_to_text,
    ("", "Equal"): _number,
    ("", "Not"): _number,
    ("", "And"): _number,
    ("", "Or"): _number,
    ("", "RegexFullMatch"): _number,
    ("ai.onnx.ml", "LabelEncoder"): _encodes_text,
    ("ai.onnx.ml", "CategoryMapper"): lambda node, texts: node.input[0] not in texts,
}


def _frontier(graph: onnx.GraphProto, name: str) -> tuple[set[int], tuple[str, ...]] | None:
    """The nodes (by place) to be cut off behind the text input `name`, and the tensors that lead out of them.

    An input that nothing reads has neither. None where texts go further than can be followed.
    """
    constants = _constants(graph)
    inner = {item for node in graph.node for item in _read_inside(node)}
    known: set[str] = {name}  # follows from the input alone, row by row
    texts: set[str] = {name}
    giver: dict[str, int] = {}
    for place, node in enumerate(graph.node):
        read = [item for item in node.input if item]
        if not any(item in known for item in read):
            continue
        gives = _GIVES.get(("" if node.domain == "ai.onnx" else node.domain, node.op_type))
        if gives is None or not all(item in known or item in constants for item in read):
            if any(item in texts for item in read):
                return None
            continue
        known.update(node.output)
        giver.update(dict.fromkeys(node.output, place))
        if gives(node, texts | {item for item in read if constants.get(item)}):
            texts.update(node.output)
    leaving = {value.name for value in graph.output}
    if texts & (leaving | inner):
        return None
    nodes = _with_ancestors(graph, {
        place for place, node in enumerate(graph.node) if any(item in texts for item in node.input)
    }, giver)  # fmt: skip
    needed = (
        leaving | inner | {item for place, node in enumerate(graph.node) if place not in nodes for item in node.input}
    )
    tensors = tuple(item for place in sorted(nodes) for item in graph.node[place].output if item in needed)
    return nodes, tensors


def _with_ancestors(graph: onnx.GraphProto, nodes: set[int], giver: Mapping[str, int]) -> set[int]:
    waiting = list(nodes)
    while waiting:
        for item in graph.node[waiting.pop()].input:
            place = giver.get(item)
            if place is not None and place not in nodes:
                nodes.add(place)
                waiting.append(place)
    return nodes


def _constants(graph: onnx.GraphProto) -> dict[str, bool]:
    """Tensors that are stored in the graph -> whether they hold text."""
    found = {tensor.name: tensor.data_type == TensorProto.STRING for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            found[node.output[0]] = any(
                item.name in ("value_string", "value_strings") or item.t.data_type == TensorProto.STRING
                for item in node.attribute
            )
    return found


def _read_inside(node: NodeProto) -> set[str]:
    """Names that the graphs inside a node read, of whatever graph."""
    found: set[str] = set()
    for attribute in node.attribute:
        for body in sub_graphs(attribute):
            found.update(value.name for value in body.output)
            for inside in body.node:
                found.update(inside.input)
                found |= _read_inside(inside)
    return found


def _columns_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose matrices of text are an input a column, where the graph only ever takes single columns of them.

    The column `i` of `X` is then called `column_name("X", i)`.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for value in list(real_inputs(graph)):
        shape = value.type.tensor_type.shape.dim
        if dtype_of(value) != "string" or len(shape) != 2 or shape[1].dim_value < 2:
            continue
        width = int(shape[1].dim_value)
        takers = [node for node in graph.node if value.name in node.input or value.name in _read_inside(node)]
        places = [_taken_column(node, value.name, stored, width) for node in takers]
        if not takers or any(place is None for place in places):
            continue
        for node, place in zip(takers, places, strict=True):
            assert place is not None
            output = node.output[0]
            node.Clear()
            node.CopyFrom(helper.make_node("Identity", [column_name(value.name, place)], [output]))
        at = list(graph.input).index(value)
        rest = [item for place, item in enumerate(graph.input) if place != at]
        columns = [
            helper.make_tensor_value_info(column_name(value.name, place), TensorProto.STRING, ["batch", 1])
            for place in range(width)
        ]
        del graph.input[:]
        graph.input.extend([*rest[:at], *columns, *rest[at:]])
    return made


def column_name(name: str, place: int) -> str:
    """What an input that is one column of the matrix `name` is called."""
    return f"{name}[:, {place}]"


def _taken_column(node: NodeProto, name: str, stored: Mapping[str, TensorProto], width: int) -> int | None:
    """The column that a node takes of the matrix `name`, as [rows, 1]; None where it does anything else with it."""
    axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
    if node.op_type != "Gather" or node.domain not in ("", "ai.onnx") or node.input[0] != name or axis not in (1, -1):
        return None
    index = stored.get(node.input[1])
    if index is None or list(index.dims) != [1]:
        return None
    place = int(onnx.numpy_helper.to_array(index)[0])
    return place % width if -width <= place < width else None


def _main(model: onnx.ModelProto, frontiers: Mapping[str, Sequence[str]], gone: set[int]) -> onnx.ModelProto:
    """The types of the new inputs are filled in by who has run the tables' graph (`with_inputs`)."""
    main = onnx.ModelProto()
    main.CopyFrom(model)
    nodes = [node for place, node in enumerate(model.graph.node) if place not in gone]
    del main.graph.node[:], main.graph.value_info[:]
    main.graph.node.extend(nodes)
    kept = [value for value in model.graph.input if value.name not in frontiers]
    del main.graph.input[:]
    main.graph.input.extend(kept)
    return main


def _tables(model: onnx.ModelProto, frontiers: Mapping[str, Sequence[str]], gone: set[int]) -> onnx.ModelProto:
    """Outputs have no type yet (`with_outputs`): ONNX Runtime infers it."""
    nodes = [model.graph.node[place] for place in sorted(gone)]
    read = {item for node in nodes for item in node.input}
    constants = [
        node for place, node in enumerate(model.graph.node)
        if place not in gone and node.op_type == "Constant" and node.output[0] in read
    ]  # fmt: skip
    graph = helper.make_graph(
        [*constants, *nodes],
        "tables",
        [value for value in model.graph.input if frontiers.get(value.name)],
        [onnx.ValueInfoProto(name=name) for names in frontiers.values() for name in names],
        [tensor for tensor in model.graph.initializer if tensor.name in read],
    )
    for place, value in enumerate(graph.input):
        # Each has rows of its own: ONNX Runtime shares memory between tensors whose sizes have one name.
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = f"texts{place}"
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.CopyFrom(graph)
    del made.metadata_props[:]
    return made


def with_inputs(main: onnx.ModelProto, types: Mapping[str, tuple[int, Sequence[int]]]) -> onnx.ModelProto:
    """`main` with inputs of these element types and shapes beside the batch."""
    for name, (kind, tail) in types.items():
        main.graph.input.append(helper.make_tensor_value_info(name, kind, ["batch", *tail]))
    return main
