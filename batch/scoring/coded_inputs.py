"""Cut an ONNX graph where its texts end: what follows from one text column alone is computed once for each text.

A text column is looked up in tables of its few distinct values (LabelEncoder), compared (Equal), perhaps replaced (Where)
before it becomes numbers. Those nodes become a graph of their own, the tables' graph, which is run on distinct texts; the
main graph takes the numbers as a table and the row of it (Gather) that each row has. Only operators that give each row
from the same row alone are cut off (`row_operators`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto, helper

from mlpack_edge.batch.scoring.row_operators import follows_rows, gives_text
from mlpack_edge.runtimes.onnx_files.signature import dtype_of, real_inputs
from mlpack_edge.runtimes.onnx_files.tensors import sub_graphs


@dataclass(frozen=True, slots=True)
class InputCut:
    """main: the graph that takes codes (`codes_name`) and tables (`table_name`, put in by `with_tables`) in place of
    texts. tables: the graph from texts to those numbers.

    frontiers: by text input, the tensors that follow from it, which tables gives (none where nothing reads it); inputs that could not be cut are not there, and stay as they are.
    """

    main: onnx.ModelProto
    tables: onnx.ModelProto
    frontiers: Mapping[str, tuple[str, ...]]


def cut_inputs(model: onnx.ModelProto, near: Collection[str] = (), whole: Collection[str] = ()) -> InputCut | None:
    """The model cut behind its text inputs of one column, as far on as numbers follow from the text alone.

    near: inputs that are cut where their texts end. whole: inputs that are not. None where nothing can be cut.
    """
    model = _columns_apart(model)
    graph = model.graph
    frontiers: dict[str, tuple[str, ...]] = {}
    gone: set[int] = set()
    for value in real_inputs(graph):
        if dtype_of(value) != "string" or value.name in whole:
            continue
        found = _frontier(graph, value.name, value.name not in near)
        if found is not None:
            nodes, tensors = found
            gone |= nodes
            frontiers[value.name] = tensors
    if not frontiers:
        return None
    return InputCut(_main(model, frontiers, gone), _tables(model, frontiers, gone), frontiers)


def _frontier(graph: onnx.GraphProto, name: str, far: bool) -> tuple[set[int], tuple[str, ...]] | None:
    """The nodes (by place) to be cut off behind the text input `name`, and the tensors that lead out of them.

    far: with the numbers that follow from the text alone, too. An input that nothing reads has neither nodes nor tensors.
    None where texts go further than can be followed.
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
        gives = gives_text(node)
        closed = all(item in known or item in constants for item in read) and follows_rows(node, known)
        if gives is None or not closed:
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
    first = {place for place, node in enumerate(graph.node) if any(item in texts for item in node.input)}
    nodes = set(giver.values()) if far else _with_ancestors(graph, first, giver)
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
    main = onnx.ModelProto()
    main.CopyFrom(model)
    looked_up = [
        helper.make_node("Gather", [table_name(tensor), codes_name(name)], [tensor], axis=0)
        for name, tensors in frontiers.items()
        for tensor in tensors
    ]
    nodes = [node for place, node in enumerate(model.graph.node) if place not in gone]
    del main.graph.node[:], main.graph.value_info[:]
    main.graph.node.extend([*looked_up, *nodes])
    kept = [value for value in model.graph.input if value.name not in frontiers]
    codes = [
        helper.make_tensor_value_info(codes_name(name), TensorProto.INT32, ["batch"])
        for name, tensors in frontiers.items()
        if tensors
    ]
    del main.graph.input[:]
    main.graph.input.extend([*kept, *codes])
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


def with_tables(main: onnx.ModelProto, types: Mapping[str, tuple[int, Sequence[int]]]) -> None:
    """Give `main` its tables as inputs: by tensor, the element type and the shape beside the first dimension."""
    for name, (kind, tail) in types.items():
        table = table_name(name)
        main.graph.input.append(helper.make_tensor_value_info(table, kind, [f"{table} rows", *tail]))


def codes_name(name: str) -> str:
    """The input of `main` that takes a text input's codes, int32 `[batch]`: rows of its tables."""
    return f"codes of {name}"


def table_name(tensor: str) -> str:
    """The input of `main` that takes the table of a tensor that follows from texts."""
    return f"table of {tensor}"


def without_nested_concat(model: onnx.ModelProto) -> None:
    """Put together at once what is put together in steps along one axis: each step copies all of it."""
    graph = model.graph
    readers: dict[str, int] = {value.name: 1 for value in graph.output}
    for node in graph.node:
        for name in [*node.input, *_read_inside(node)]:
            readers[name] = readers.get(name, 0) + 1
    inner: dict[str, NodeProto] = {}
    gone: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "Concat" or node.domain not in ("", "ai.onnx"):
            continue
        parts: list[str] = []
        for name in node.input:
            held = inner.get(name)
            if held is not None and readers[name] == 1 and held.attribute[0].i == node.attribute[0].i:
                parts += held.input
                gone.append(held)
            else:
                parts.append(name)
        del node.input[:]
        node.input.extend(parts)
        inner[node.output[0]] = node
    for node in gone:
        graph.node.remove(node)
