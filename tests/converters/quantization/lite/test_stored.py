"""Schemes that quantize weights alone, in TFLite: hybrid kernels, codes and halves behind DEQUANTIZE, int4."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlpack_edge.converters.quantization.lite import lite_from_model
from mlpack_edge.converters.quantization.values import Recipe
from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from tests.converters.quantization.lite.nets import (
    answers,
    float_net,
    lite,
    net_rows,
    noise,
    operators,
    quantized,
    signature_of,
)
from tests.converters.tflite_from_onnx.lowered import model_of, run_tflite

WEIGHTS, DYNAMIC, HALF, FOUR = Recipe("weights"), Recipe("dynamic"), Recipe("fp16"), Recipe("weights", weights="int4")
_NETS = ("cnn", "mlp", "transformer", "table")


@pytest.mark.parametrize("net", _NETS)
@pytest.mark.parametrize("recipe", [WEIGHTS, HALF], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("delegate", [True, False])
def test_stored_weights_compute_what_the_onnx_form_does(net: str, recipe: Recipe, delegate: bool) -> None:
    """The same real numbers: float32 roundings apart."""
    x = net_rows(net, 32)
    found = run_tflite(lite(net, recipe).data, {"x": x}, delegate)["y"]
    assert noise(found, answers(quantized(net, recipe), x)) <= 1e-8


@pytest.mark.parametrize("net", _NETS)
@pytest.mark.parametrize("delegate", [True, False])
def test_hybrid_kernels_are_near_the_float_model(net: str, delegate: bool) -> None:
    """At batch 1 and at 32: rows do not share a scale."""
    x = net_rows(net, 32)
    wanted = answers(float_net(net), x)
    assert noise(run_tflite(lite(net, DYNAMIC).data, {"x": x}, delegate)["y"], wanted) <= 2e-3
    for row in range(3):
        one = run_tflite(lite(net, DYNAMIC).data, {"x": x[row : row + 1]}, delegate)["y"]
        assert float(np.mean((one - wanted[row : row + 1]) ** 2) / np.var(wanted)) <= 1e-2


def test_hybrid_kernels_are_those_that_are_faster() -> None:
    """CONV_2D (version 5, by channel) and FULLY_CONNECTED (12) on codes; a depthwise convolution stays float."""
    found = {(kind, version, types[:2]) for kind, version, types, _ in operators(lite("cnn", DYNAMIC).data)}
    assert ("CONV_2D", 5, ("float32", "int8")) in found
    assert ("FULLY_CONNECTED", 12, ("float32", "int8")) in found
    assert {types for kind, _, types in found if kind == "DEPTHWISE_CONV_2D"} == {("float32", "float32")}


def test_the_columns_of_a_table_keep_their_own_magnitude() -> None:
    """The first product of a table's columns stores codes and computes with floats; those behind compute with codes."""
    model = onnx.ModelProto()
    model.CopyFrom(float_net("table"))
    del model.graph.node[:2]  # no scaler: the product reads the raw columns
    model.graph.node[0].input[0] = "x"
    lowered = lite_from_model(_with_codes(model), signature_of("table"), DYNAMIC)
    types = [types[:2] for kind, _, types, _ in operators(lowered.data) if kind == "FULLY_CONNECTED"]
    assert types == [("float32", "float32"), ("float32", "int8")]


def test_files_shrink_as_they_should() -> None:
    """A net of 85,000 weights: int8 a quarter, halves one half, int4 an eighth, and a few hundred bytes of scales."""
    model = _dense(300, 250, 40)
    signature = derived_signature(model)
    whole = len(tflite_from_onnx(model, signature).data)
    for recipe, share in ((WEIGHTS, 0.26), (DYNAMIC, 0.26), (HALF, 0.505)):
        form = _with_halves(model) if recipe.scheme == "fp16" else _with_codes(model)
        assert len(lite_from_model(form, signature, recipe).data) <= share * whole + 8000
    four = lite_from_model(_with_codes(model, 7), signature, FOUR).data
    assert len(four) <= 0.13 * whole + 8000


def test_int4_weights_run() -> None:
    """FULLY_CONNECTED reads int4; LiteRT's answers are those of the same numbers in float, to the activations' 8 bits."""
    model = _dense(64, 300, 200)
    form, x = _with_codes(model, 7), np.random.default_rng(1).normal(0, 1, (9, 64)).astype(np.float32)
    lowered = lite_from_model(form, derived_signature(model), FOUR)
    assert [types[1] for kind, _, types, _ in operators(lowered.data) if kind == "FULLY_CONNECTED"] == [
        "int8",
        "int4",
    ] or [types[1] for kind, _, types, _ in operators(lowered.data) if kind == "FULLY_CONNECTED"] == ["float32", "int4"]
    for delegate in (True, False):
        assert noise(run_tflite(lowered.data, {"x": x}, delegate)["y"], answers(form, x)) <= 1e-3


def test_int4_without_a_product_is_refused_by_name() -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    model = model_of(nodes, {"x": ("float32", [1, 2, 8, 8])}, ["y"], {"w": np.ones((4, 2, 3, 3), np.float32)})
    with pytest.raises(Unsupported, match="FULLY_CONNECTED"):
        lite_from_model(model, derived_signature(model), FOUR)


def test_codes_at_the_borders_need_static_scales() -> None:
    with pytest.raises(BadInput, match="real numbers at its inputs"):
        lite_from_model(quantized("mlp", WEIGHTS), signature_of("mlp"), WEIGHTS, "int8")


def _dense(*widths: int) -> onnx.ModelProto:
    draw, nodes, weights = np.random.default_rng(2), [], []
    for place, (into, out) in enumerate(itertools.pairwise(widths)):
        weights.append(numpy_helper.from_array(draw.normal(0, into**-0.5, (into, out)).astype(np.float32), f"w{place}"))
        name = "y" if place == len(widths) - 2 else f"h{place}"
        nodes.append(
            helper.make_node("MatMul", ["x" if not place else f"h{place - 1}", f"w{place}"], [name], name=name)
        )
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", widths[0]])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", widths[-1]])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _with_codes(model: onnx.ModelProto, most: int = 127) -> onnx.ModelProto:
    """Matrices as DequantizeLinear of int8 with a scale a column."""
    return _stored(model, most)


def _with_halves(model: onnx.ModelProto) -> onnx.ModelProto:
    """Matrices as Cast of float16."""
    return _stored(model, 0)


def _stored(model: onnx.ModelProto, most: int) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    kept, front = [], []
    for init in model.graph.initializer:
        array = numpy_helper.to_array(init)
        if array.ndim != 2:
            kept.append(init)
            continue
        if not most:
            kept.append(numpy_helper.from_array(array.astype(np.float16), f"{init.name}_h"))
            front.append(helper.make_node("Cast", [f"{init.name}_h"], [init.name], to=onnx.TensorProto.FLOAT))
            continue
        scale = (np.abs(array).max(axis=0) / most).astype(np.float32)
        kept.append(numpy_helper.from_array(np.rint(array / scale).astype(np.int8), f"{init.name}_q"))
        kept.append(numpy_helper.from_array(scale, f"{init.name}_s"))
        front.append(helper.make_node("DequantizeLinear", [f"{init.name}_q", f"{init.name}_s"], [init.name], axis=1))
    del made.graph.initializer[:], made.graph.node[:]
    made.graph.initializer.extend(kept)
    made.graph.node.extend([*front, *model.graph.node])
    return made
