"""Names that cost few bytes: a tensor's stands in the file wherever it is read, exporters write up to hundreds of letters."""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence

import onnx
from onnx import GraphProto

from mlpack_edge.converters.quantization.prepared.edges import names_of
from mlpack_edge.runtimes.onnx_files.tensors import sub_graphs

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
#: Names of inner tensors and of nodes with more letters than this are given up.
_MOST_LETTERS = 32


class Names:
    """a, b, ..., ba, bb, ...: short names that nothing has."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._count = 0

    def fresh(self) -> str:
        while True:
            number, name = self._count, ""
            self._count += 1
            while number or not name:
                number, digit = divmod(number, len(_LETTERS))
                name = _LETTERS[digit] + name
            if name not in self._taken:
                self._taken.add(name)
                return name


def shorten(model: onnx.ModelProto) -> None:
    """Rename tensors inside the model, in place, whose names are long, and leave out long names of nodes.

    Inputs and outputs of the model keep theirs. One name stays one name, in sub-graphs too.
    """
    graph = model.graph
    border = {value.name for value in [*graph.input, *graph.output]}
    everywhere = names_of(graph)
    names = Names(everywhere)
    short = {name: names.fresh() for name in _in_order(graph) if len(name) > _MOST_LETTERS and name not in border}
    _rename(graph, short)


def _in_order(graph: GraphProto) -> Iterable[str]:
    """The names that a graph and its sub-graphs define, each once."""
    found: dict[str, None] = {}
    for value in graph.input:
        found.setdefault(value.name)
    for tensor in graph.initializer:
        found.setdefault(tensor.name)
    for sparse in graph.sparse_initializer:
        found.setdefault(sparse.values.name)
    for node in graph.node:
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                for name in _in_order(body):
                    found.setdefault(name)
        for name in node.output:
            found.setdefault(name)
    return found


def _rename(graph: GraphProto, short: dict[str, str]) -> None:
    for value in [*graph.input, *graph.output, *graph.value_info]:
        value.name = short.get(value.name, value.name)
    for tensor in graph.initializer:
        tensor.name = short.get(tensor.name, tensor.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = short.get(sparse.values.name, sparse.values.name)
    for node in graph.node:
        _replace(node.input, short)
        _replace(node.output, short)
        if len(node.name) > _MOST_LETTERS:
            node.name = ""
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                _rename(body, short)


def _replace(names: MutableSequence[str], short: dict[str, str]) -> None:
    for index, name in enumerate(names):
        if name in short:
            names[index] = short[name]
