"""Factors beside a float64 product keep their 53 bits in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from mlpack_edge.converters.onnx_graph import Graph
from mlpack_edge.runtimes.onnxruntime import open_session, run


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("op", ["Mul", "Div"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("features", [1, 3])
def test_a_factor_beside_a_product_is_not_rounded(
    shape: tuple[int, ...], width: int, op: str, before: bool, features: int
) -> None:
    rng = np.random.default_rng(0)
    x, weights, factor = rng.normal(size=(9, features)), rng.normal(size=(features, width)), 0.3
    graph = Graph()
    number = graph.const(np.full(shape, factor))
    if before:
        made = graph.op("MatMul", graph.op(op, "X", number), graph.const(weights))
    else:
        made = graph.op(op, graph.op("MatMul", "X", graph.const(weights)), number)
    model = graph.model(
        [helper.make_tensor_value_info("X", TensorProto.DOUBLE, ("batch", features))],
        [helper.make_tensor_value_info(made, TensorProto.DOUBLE, ("batch", width))],
    )
    expected = x @ weights * (factor if op == "Mul" else 1 / factor)
    session = open_session(model.SerializeToString())
    np.testing.assert_allclose(run(session, {"X": x})[made], expected, rtol=1e-14)
    assert run(session, {"X": x[:0]})[made].shape == (0, width)
