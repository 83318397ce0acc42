"""Weights of what computes in float, held as int8: LiteRT makes them numbers again when it loads the file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.quantization.stored.rest import Held
from mlpack_edge.converters.tflite_from_onnx.passes.weights import restore_codes
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor


def store_held(held: Sequence[Held], graph: Graph) -> bool:
    """Constants that lie on one of these grids become codes behind a DEQUANTIZE. False: a pass behind it would take the
    codes for a wish to compute on them.

    What the lowering has folded something into lies on no grid any more, and stays float.
    """
    known = [
        Op("DEQUANTIZE", [Tensor(one.name, "int8", one.codes.shape, one.codes, _grid(one))],
           [Tensor(one.name, "float32", one.codes.shape)])
        for one in held
    ]  # fmt: skip
    restore_codes(graph, known)
    return False


def _grid(one: Held) -> Quantization:
    return Quantization(one.scale, np.zeros(one.scale.size, np.int64), one.axis)
