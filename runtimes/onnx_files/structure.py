"""Is an ONNX graph a graph? Names, order, cycles, domains, functions: what a runtime relies on without looking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import GraphProto, NodeProto

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.runtimes.onnx_files.tensors import all_tensors, check_tensor, node_words, sub_graphs
from mlpack_edge.runtimes.onnx_files.wire import MAX_NODES

#: Domains whose operators ONNX Runtime's CPU build has.
DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "ai.onnx.preview",
     "com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc"}
)  # fmt: skip
_AGAIN = "export the model again, or report it to the exporter's project"

FunctionKey = tuple[str, str, str]


def check_structure(model: onnx.ModelProto) -> None:
    """Raise BadInput or Unsupported, naming graph, node and tensor, where the model is none that could run.

    Checked: one definition a name (ONNX IR specification, "Graphs": static single assignment, also against the
    outer scopes), every name defined before it is read, no cycle, known domains, tensors (`check_tensor`), functions
    that do not call themselves and do not grow beyond MAX_NODES when they are written out.
    """
    functions = {(item.domain, item.name, item.overload): item for item in model.functions}
    if len(functions) < len(model.functions):
        raise BadInput("two functions of the model have one name", _AGAIN)
    for tensor, place in all_tensors(model):
        check_tensor(tensor, place)
    check = _Check(functions)
    check.graph(model.graph, "graph", [])
    for function in model.functions:
        where = f"function {function.name!r}"
        check.nodes(function.node, where, [set(function.input)])
    _check_size(model, functions)


class _Check:
    def __init__(self, functions: dict[FunctionKey, onnx.FunctionProto]) -> None:
        self.domains = DOMAINS | {domain for domain, _, _ in functions}

    def graph(self, graph: GraphProto, where: str, outer: Sequence[set[str]]) -> None:
        """`outer`: the names visible from the graphs around this one, as far as they are defined."""
        local: set[str] = set()
        for value in graph.input:
            self._define(value.name, f"{where}: the input", local, outer)
        stored: set[str] = set()
        for tensor in graph.initializer:
            if tensor.name in stored or not tensor.name:
                raise BadInput(f"{where}: two initializers have the name {tensor.name!r}", _AGAIN, tensor=tensor.name)
            stored.add(tensor.name)
        for sparse in graph.sparse_initializer:
            stored.add(sparse.values.name)
        local |= stored
        self.nodes(graph.node, where, [*outer, local])
        if not graph.output and not outer:
            raise BadInput(f"the {where} has no output: it is no model", _AGAIN)
        for value in graph.output:
            if value.name not in local and not any(value.name in scope for scope in outer):
                raise BadInput(f"{where}: nothing gives the output {value.name!r}", _AGAIN, tensor=value.name)

    def nodes(self, nodes: Sequence[NodeProto], where: str, scopes: list[set[str]]) -> None:
        """Follow the nodes in their order; the last of `scopes` takes the names they define."""
        local, outer = scopes[-1], scopes[:-1]
        for index, node in enumerate(nodes):
            if not node.op_type:
                raise BadInput(f"{where}: {node_words(node, index)} has no operator", _AGAIN)
            if node.domain not in self.domains:
                raise Unsupported(
                    f"{where}: {node_words(node, index)} is a custom operator of the domain {node.domain!r}",
                    "export the model with ONNX's own operators; ONNX Runtime has none of this domain",
                    node=node.name, domain=node.domain,
                )  # fmt: skip
            for name in node.input:
                if name and name not in local and not any(name in scope for scope in outer):
                    raise _undefined(nodes, index, name, where)
            for attribute in node.attribute:
                for body in sub_graphs(attribute):
                    inner = f"{where}, {node_words(node, index)}, {attribute.name!r}"
                    self.graph(body, inner, scopes)
            for name in node.output:
                if name:
                    self._define(name, f"{where}: the output of {node_words(node, index)}", local, outer)

    def _define(self, name: str, what: str, local: set[str], outer: Sequence[set[str]]) -> None:
        if not name:
            raise BadInput(f"{what} has no name", _AGAIN)
        if name in local or any(name in scope for scope in outer):
            raise BadInput(
                f"{what} {name!r} is already the name of another tensor",
                _AGAIN,
                why="a name is given once",
                tensor=name,
            )
        local.add(name)


def _undefined(nodes: Sequence[NodeProto], index: int, name: str, where: str) -> BadInput:
    """Why a name is not there when a node reads it: never, later, or in a circle."""
    who = f"{where}: {node_words(nodes[index], index)} reads {name!r}"
    data = {"node": nodes[index].name, "tensor": name}
    later = {output: position for position in range(index, len(nodes)) for output in nodes[position].output if output}
    if name not in later:
        return BadInput(f"{who}, which nothing gives", _AGAIN, **data)
    if _reaches(nodes, later, name, index):
        return BadInput(f"{who}, which depends on that node itself", _AGAIN, why="the graph has a cycle", **data)
    return BadInput(
        f"{who} before {node_words(nodes[later[name]], later[name])} gives it", _AGAIN,
        why="nodes must stand in the order in which they run", **data,
    )  # fmt: skip


def _reaches(nodes: Sequence[NodeProto], giver: dict[str, int], name: str, goal: int) -> bool:
    """Whether what gives `name` needs, through any number of nodes, what the node `goal` gives."""
    waiting, seen = [giver[name]], set()
    while waiting:
        position = waiting.pop()
        if position == goal:
            return True
        if position not in seen:
            seen.add(position)
            waiting += [giver[item] for item in names_read(nodes[position]) if item in giver]
    return False


def names_read(node: NodeProto) -> Iterable[str]:
    """Every name a node reads, those its sub-graphs may take from outside included."""
    yield from node.input
    for attribute in node.attribute:
        for body in sub_graphs(attribute):
            for child in body.node:
                yield from names_read(child)
            yield from (output.name for output in body.output)


def _check_size(model: onnx.ModelProto, functions: dict[FunctionKey, onnx.FunctionProto]) -> None:
    """Runtimes write functions out where they are called: refuse circles and doubling without end."""
    sizes: dict[FunctionKey, int] = {}
    open_calls: list[FunctionKey] = []

    def size(nodes: Sequence[NodeProto]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type, node.overload)
            total += call(key) if key in functions else 1
            for attribute in node.attribute:
                for body in sub_graphs(attribute):
                    total += size(body.node)
        return total

    def call(key: FunctionKey) -> int:
        if key in open_calls or len(open_calls) > 64:
            raise BadInput(f"the function {key[1]!r} calls itself", _AGAIN, why="functions in ONNX cannot recur")
        if key not in sizes:
            open_calls.append(key)
            sizes[key] = size(functions[key].node)
            open_calls.pop()
        return sizes[key]

    if (total := size(model.graph.node)) > MAX_NODES:
        raise BadInput(
            f"the graph has {total:,} nodes when its functions are written out; {MAX_NODES:,} are the most mlpack reads",
            "this does not come from an exporter: make the file again from its source",
        )
