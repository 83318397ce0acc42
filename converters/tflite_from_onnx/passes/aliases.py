"""Copies where LiteRT would write a result over a tensor that is read again.

LiteRT's arena planner (core/arena_planner.cc, `IdentifyInPlaceTensors`) lets some operators have their output in the
memory of an input. It asks whether anybody else reads that input, or the first tensor that had the memory, but not
whether one of the tensors between these two is read later: RESHAPE behind RESHAPE gives such tensors. Seen with
ai-edge-litert 2.3.0 wherever XNNPACK does not run the operators itself.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

#: Operators whose output is their first input under another shape, in the same memory.
_RENAMING = frozenset({"BITCAST", "EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
#: Operators that write over an input, and how many of their inputs they may write over.
_OVERWRITING = {"ADD": 2, "DIV": 2, "DYNAMIC_UPDATE_SLICE": 1, "MUL": 2, "SOFTMAX": 1, "SUB": 2}


def keep_apart(graph: Graph) -> None:
    """Let an operator that would write over a tensor that is read later work on a copy, a TRANSPOSE that moves nothing.

    Needs operators in the order in which they run; to be the last pass, for the copies change no number.
    """
    last = {tensor: place for place, op in enumerate(graph.ops) for tensor in op.inputs if tensor is not None}
    counts = graph.consumers()
    counts.update(graph.inputs)
    memory: dict[Tensor, list[Tensor]] = {}  # the tensors in the memory of each that shares some, the first in front
    copies: dict[Op, Op] = {}
    for place, op in enumerate(graph.ops):
        spot = _shared(graph, op, counts)
        source = None if spot is None else op.inputs[spot]
        if spot is None or source is None:
            continue
        together = memory.setdefault(source, [source])
        if op.kind in _OVERWRITING:
            if counts[together[0]] > 1:
                continue
            if any(last.get(other, -1) > place for other in together):
                copy = Tensor("", source.dtype, source.shape, quantization=source.quantization)
                perm = Tensor("constant", "int32", (len(source.shape),), np.arange(len(source.shape), dtype=np.int32))
                copies[op] = Op("TRANSPOSE", [source, perm], [copy])
                op.inputs[spot] = copy
                memory[copy] = together = [copy]
        together.append(op.output)
        memory[op.output] = together
    graph.ops[:] = [one for op in graph.ops for one in ([copies[op], op] if op in copies else [op])]


def _shared(graph: Graph, op: Op, counts: Counter[Tensor]) -> int | None:
    """Which input's memory the output of `op` may get, None for none."""
    places = 1 if op.kind in _RENAMING else _OVERWRITING.get(op.kind, 0)
    if not places or op.output in graph.outputs:
        return None
    for spot, tensor in enumerate(op.inputs[:places]):
        if tensor is None or tensor.data is not None or tensor.variable or tensor in graph.inputs:
            continue
        if op.kind in _RENAMING or (counts[tensor] == 1 and _may_be_as_large(tensor, op.output)):
            return spot
    return None


def _may_be_as_large(a: Tensor, b: Tensor) -> bool:
    if len(a.shape) == 0:  # no more than a pointer: never shared
        return False
    open_sizes = any(size < 0 for size in (*a.shape, *b.shape))
    return open_sizes or np.prod(a.shape, dtype=np.int64) == np.prod(b.shape, dtype=np.int64)
