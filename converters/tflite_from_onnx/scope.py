"""The values that a graph's nodes see, by name; weights become arrays when they are read, and go when they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx
from onnx import numpy_helper

from mlpack_edge.converters.tflite_from_onnx.values import Value, constant


class Scope(dict[str, Value]):
    """Values by name. stored: the initializers, which are not unpacked before somebody asks for them."""

    def __init__(self, stored: Mapping[str, onnx.TensorProto] | None = None) -> None:
        super().__init__()
        self._stored = dict(stored or {})

    def __missing__(self, name: str) -> Value:
        """Raises KeyError where no value and no initializer has the name."""
        self[name] = constant(name, numpy_helper.to_array(self._stored[name]))
        return self[name]

    def inner(self, stored: Mapping[str, onnx.TensorProto] | None = None) -> Scope:
        """The scope of a sub-graph: it sees all of this one, and its own initializers."""
        made = Scope({**self._stored, **(stored or {})})
        made.update({name: value for name, value in self.items() if name not in (stored or {})})
        return made

    def release(self, names: Iterable[str]) -> None:
        """Forget values that nobody will ask for again: a large model's weights are not all held at once."""
        for name in names:
            self.pop(name, None)


def last_reads(nodes: Sequence[onnx.NodeProto], kept: Iterable[str]) -> list[set[str]]:
    """For each node, the names that no later node reads, its sub-graphs included; `kept` are never among them."""
    seen = set(kept)
    found: list[set[str]] = []
    for node in reversed(nodes):
        found.append(set(_reads(node)) - seen)
        seen |= found[-1]
    return found[::-1]


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _reads(inner)
            yield from (output.name for output in graph.output)
