"""Static int8 in TFLite: int8 kernels throughout, the answers of the QDQ model, the size of the peers' files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from mlpack_edge.converters.quantization.static import layers_of
from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx
from mlpack_edge.runtimes.litert.source_terms import TfliteModel
from tests.converters.quantization.lite.nets import (
    INTEGER_ONLY,
    STATIC,
    answers,
    float_net,
    lite,
    net_rows,
    noise,
    operators,
    prepared,
    quantized,
    signature_of,
)
from tests.converters.tflite_from_onnx.lowered import run_tflite

_NETS = ("cnn", "mlp", "transformer", "table")
#: Beside the convolutions and products, what has a float kernel between two int8 ones.
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.mark.parametrize("net", _NETS)
@pytest.mark.parametrize("delegate", [True, False])
def test_answers_are_those_of_the_qdq_model(net: str, delegate: bool) -> None:
    """A hundredth of the noise that quantization itself brings (20 dB below it), or a few steps where that is nothing."""
    x = net_rows(net, 64)
    wanted, expected = answers(float_net(net), x), answers(quantized(net, STATIC), x)
    found = run_tflite(lite(net, STATIC).data, {"x": x}, delegate)["y"]
    assert noise(found, wanted) <= 1.3 * noise(expected, wanted) + 1e-5
    assert noise(found, expected) <= 2e-3


@pytest.mark.parametrize("net", ["cnn", "mlp", "table"])
def test_every_weighted_operator_runs_on_codes(net: str) -> None:
    """int8 in and out, per-channel weights, an int32 bias."""
    weighted = [op for op in operators(lite(net, STATIC).data) if op[0] in _WEIGHTED]
    floats = [op for op in operators(tflite_from_onnx(float_net(net), signature_of(net)).data) if op[0] in _WEIGHTED]
    assert len(weighted) >= len(floats)
    assert {(types, out) for _, _, types, out in weighted} == {(("int8", "int8", "int32"), "int8")}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(lite(net, STATIC).data, 0))
    graph = model.subgraphs[0]
    for op in graph.operators:
        if len(op.inputs) == 3 and graph.tensors[op.inputs[2]].type == schema.TensorType.INT32:
            weights, bias = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[2]]
            assert len(weights.quantization.scale) == len(bias.quantization.scale) == bias.shape[0]


def test_nothing_is_float_between_quantized_operators() -> None:
    """One QUANTIZE at the input, one DEQUANTIZE at the output: no island between."""
    counts = Counter(kind for kind, _, types, out in operators(lite("mlp", STATIC).data) if "float32" in (*types, out))
    assert counts["QUANTIZE"] == 1
    assert counts["DEQUANTIZE"] == 1
    assert set(counts) <= {"QUANTIZE", "DEQUANTIZE", "MINIMUM", "MAXIMUM", "TANH"}


def test_what_is_slow_on_codes_computes_in_float() -> None:
    """SOFTMAX: its int8 kernel is none of XNNPACK's. An integer-only file has it on codes."""
    for recipe, dtype in ((STATIC, "float32"), (INTEGER_ONLY, "int8")):
        found = [types[0] for kind, _, types, _ in operators(lite("cnn", recipe).data) if kind == "SOFTMAX"]
        assert found == [dtype]


def test_layers_kept_float_stay_float() -> None:
    """The first product of the net alone."""
    first = layers_of(prepared("mlp"))[0].name
    recipe = replace(STATIC, kept_float=frozenset([first]))
    types = [types[:2] for kind, _, types, _ in operators(lite("mlp", recipe).data) if kind == "FULLY_CONNECTED"]
    assert types == [("float32", "float32"), ("int8", "int8"), ("int8", "int8")]


def test_a_scaler_stays_outside_the_codes() -> None:
    """Epoch seconds beside fractions: labels of the float model, and the first operators are float."""
    x = net_rows("table", 256)
    wanted, found = answers(float_net("table"), x), run_tflite(lite("table", STATIC).data, {"x": x})["y"]
    assert np.mean(wanted.argmax(1) != found.argmax(1)) <= 0.03  # of an untrained net, whose scores are close
    assert noise(found, wanted) <= 5e-3
    assert operators(lite("table", STATIC).data)[0][2][0] == "float32"


@pytest.mark.parametrize("net", _NETS)
def test_one_interpreter_takes_batches_of_any_size(net: str) -> None:
    """What it says of rows does not depend on what it was resized to before."""
    model, x = TfliteModel(lite(net, STATIC).data), net_rows(net, 40)
    whole = run_tflite(lite(net, STATIC).data, {"x": x})["y"]
    for batch in (1, 40, 7, 2, 40):
        np.testing.assert_allclose(model.run({"x": x[:batch]})["y"], whole[:batch], rtol=0, atol=1e-5)


def test_the_same_recipe_gives_the_same_bytes() -> None:
    lite.cache_clear()
    first = lite("cnn", STATIC).data
    lite.cache_clear()
    quantized.cache_clear()
    assert lite("cnn", STATIC).data == first
