"""Convolutions in groups of the dynamic scheme: LiteRT has no kernel on codes for them."""

from __future__ import annotations

import numpy as np
from onnx import helper, numpy_helper

from mlpack_edge.converters.quantization.lite import lite_from_model
from mlpack_edge.converters.quantization.prepared import prepare
from mlpack_edge.converters.quantization.stored import weights_model
from mlpack_edge.converters.quantization.values import Recipe
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from tests.converters.quantization.lite.nets import answers, noise, operators
from tests.converters.quantization.prepared.graphs import built
from tests.converters.tflite_from_onnx.lowered import run_tflite


def test_a_convolution_in_groups_reads_real_numbers() -> None:
    random = np.random.default_rng(0)
    weights = random.normal(size=(16, 4, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], group=2)], "net",
        [helper.make_tensor_value_info("x", 1, ["n", 8, 10, 10])],
        [helper.make_tensor_value_info("y", 1, ["n", 16, 8, 8])], [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    made = weights_model(prepare(built(model)), Recipe("weights"), True)
    data = lite_from_model(made, derived_signature(model), Recipe("dynamic")).data
    assert all(types[:2] == ("float32", "float32") for kind, _, types, _ in operators(data) if kind == "CONV_2D")
    x = random.normal(size=(3, 8, 10, 10)).astype(np.float32)
    for delegate in (True, False):
        assert noise(run_tflite(data, {"x": x}, delegate)["y"], answers(model, x)) <= 1e-3
