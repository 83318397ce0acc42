"""Models that give what was inside: intermediate tensors as outputs, in groups of bounded bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.runtimes.onnx_files.structure import names_read
from mlpack_edge.runtimes.onnxruntime import FAULTS, open_session

Array = NDArray[Any]
#: What float32 tensors weigh; others are few.
_ITEM = 4


class Tapped:
    """A session that computes some tensors of a graph, and no node that they do not need.

    Raises CheckFailed where ONNX Runtime refuses the model, or stops on the feeds.
    """

    def __init__(self, model: onnx.ModelProto, tensors: Sequence[str], shapes: bool = False, threads: int = 1) -> None:
        """shapes: give the tensors' shapes instead, which are known without holding the tensors."""
        try:
            # Optimized for speed, convolutions change the layout, and what shapes are taken of would stay until the end.
            self._session = open_session(_cut_out(model, tensors, shapes), threads, False, as_written=shapes, lean=True)
        except FAULTS as fault:
            raise CheckFailed(
                "ONNX Runtime does not load the model that is calibrated",
                "mlpack inspect says what it holds; mlpack doctor says whether the versions go together",
                why=" ".join(str(fault).split())[:400],
            ) from fault
        self.tensors = tuple(tensors)
        self._inputs = [item.name for item in self._session.get_inputs()]

    def run(self, feeds: Mapping[str, Array], first: int) -> Iterator[tuple[str, Any]]:
        """The tensors one by one, each let go of when the next is asked for. first: number of the first row, for errors."""
        try:
            held = self._session.run(None, {name: feeds[name] for name in self._inputs})
        except FAULTS as fault:
            raise CheckFailed(
                f"ONNX Runtime stopped on the calibration rows from row {first} (counted from 0) on, with inputs of "
                + ", ".join(str(list(array.shape)) for array in feeds.values()),
                "mlpack check MODEL MODEL --data DATA shows whether the float model runs on these rows",
                why=" ".join(str(fault).split())[:400],
            ) from fault
        held.reverse()
        for name in self.tensors:
            yield name, held.pop()


def grouped(sizes: Mapping[str, int], most: int) -> list[list[str]]:
    """The tensors in their order, in groups of at most `most` bytes; a tensor that is larger is a group of its own."""
    groups: list[list[str]] = []
    room = 0
    for name, size in sizes.items():
        if not groups or size > room:
            groups.append([])
            room = most
        groups[-1].append(name)
        room -= size
    return groups


def byte_sizes(shapes: Iterable[tuple[str, Array]]) -> dict[str, int]:
    """Bytes of float32 tensors by name, of what a session of shapes gives."""
    return {name: int(shape.prod()) * _ITEM for name, shape in shapes}


def weight_bytes(model: onnx.ModelProto) -> int:
    """Bytes of the constants, that every session holds."""
    return sum(item.ByteSize() for item in model.graph.initializer)


def _cut_out(model: onnx.ModelProto, tensors: Sequence[str], shapes: bool) -> bytes:
    """The part of the graph that the tensors need, serialized."""
    graph = model.graph
    needed, kept = set(tensors), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(names_read(node))
    made = onnx.ModelProto()
    made.ir_version = model.ir_version
    made.opset_import.extend(model.opset_import)
    made.functions.extend(model.functions)
    made.graph.name = "tapped"
    made.graph.node.extend(reversed(kept))
    made.graph.initializer.extend(item for item in graph.initializer if item.name in needed)
    made.graph.sparse_initializer.extend(item for item in graph.sparse_initializer if item.values.name in needed)
    made.graph.input.extend(item for item in graph.input if item.name in needed)
    for place, name in enumerate(tensors):
        shown = name
        if shapes:
            shown = f"mlpack/shape/{place}"
            made.graph.node.append(helper.make_node("Shape", [name], [shown]))
        made.graph.output.append(helper.make_empty_tensor_value_info(shown))
    data: bytes = made.SerializeToString()
    return data
