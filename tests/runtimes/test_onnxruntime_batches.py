"""Which models are run in pieces of their batch."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from mlpack_edge.runtimes.onnxruntime import OnnxRunner


def _runner(first: int | str, layers: int) -> OnnxRunner:
    """x [first, 3] + the sum over the layers of a state [layers, first, 3]."""
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["h", "axes"], ["s"], keepdims=0), helper.make_node("Add", ["x", "s"], ["y"])],
        "state",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [first, 3]),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, [layers, first, 3]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [first, 3])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return OnnxRunner(model.SerializeToString(), derived_signature(model))


@pytest.mark.parametrize("layers", [1, 2])
def test_a_state_of_layers_beside_an_open_batch_is_no_batch(layers: int) -> None:
    """It goes whole with each batch: in pieces of as many rows as there are layers ONNX Runtime stops."""
    random = np.random.default_rng(0)
    x, h = random.normal(size=(6, 3)).astype(np.float32), random.normal(size=(layers, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(_runner("n", layers).run({"x": x, "h": h})["y"], x + h.sum(axis=0), rtol=1e-6)


def test_all_inputs_of_one_fixed_batch_are_cut_together() -> None:
    x, h = np.arange(12, dtype=np.float32).reshape(4, 3), np.ones((4, 2, 3), np.float32)
    np.testing.assert_array_equal(_runner(2, 2).run({"x": x, "h": h})["y"], x + 2)
