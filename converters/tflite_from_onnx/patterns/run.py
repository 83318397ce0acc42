"""The patterns over the nodes of a model, before they are lowered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.patterns import activations
from mlpack_edge.converters.tflite_from_onnx.patterns.expressions import Expressions

#: Without one of these no pattern is there.
_SIGNS = frozenset({"Erf", "Tanh", "Clip", "HardSigmoid"})


def recognised(
    nodes: Sequence[onnx.NodeProto], initializers: Iterable[onnx.TensorProto], given: Iterable[str]
) -> Sequence[onnx.NodeProto]:
    """`nodes` with the last node of each pattern replaced by the one operator that it is.

    given: names of the model's inputs, which are no constants even where the file has a default for them. The other
    nodes of a pattern stay: where nobody else reads them, what they are lowered to is dropped as dead.
    """
    if not _SIGNS.intersection(node.op_type for node in nodes):
        return nodes
    known = Expressions(nodes, _small(initializers, set(given)))
    return [_replaced(known, node) for node in nodes]


def _replaced(known: Expressions, node: onnx.NodeProto) -> onnx.NodeProto:
    if node.op_type in ("Mul", "Div") and not node.domain:
        for pattern in activations.PATTERNS:
            found = pattern(known, node)
            if found is not None:
                domain, op_type, x = found
                return helper.make_node(op_type, [x], list(node.output), name=node.name, domain=domain)
    return node


def _small(initializers: Iterable[onnx.TensorProto], given: set[str]) -> Mapping[str, NDArray[np.generic]]:
    """The constants of one element, by name."""
    return {
        one.name: numpy_helper.to_array(one)
        for one in initializers
        if one.name not in given and len(one.dims) <= 1 and all(size == 1 for size in one.dims)
    }
