"""What static files leave float is stored as int8: fewer bytes, the same computing, nothing put on codes by a runtime."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from mlpack_edge.converters.quantization.lite import lite_from_model
from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.prepared.reads import layers_in
from mlpack_edge.converters.quantization.stored import dynamic_model, on_grids, rest_in, with_rest_stored
from mlpack_edge.converters.quantization.values import Recipe
from tests.converters.quantization.lite.nets import STATIC, float_net, net_rows, operators, signature_of
from tests.converters.quantization.lite.nets import noise as share
from tests.converters.quantization.lite.nets import prepared as lite_prepared
from tests.converters.quantization.lite.nets import quantized as lite_quantized
from tests.converters.quantization.static.nets import U8S8, Net, Nodes, cnn, kinds, noise_db, quantized
from tests.converters.tflite_from_onnx.lowered import run_tflite

STORED = replace(U8S8, stored=True)


def _rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _prepared(net: Net) -> Prepared:
    return Prepared(net.model, layers_in(net.model), ())


def _large_floats(model: onnx.ModelProto) -> list[int]:
    return [
        int(np.prod(one.dims))
        for one in model.graph.initializer
        if one.data_type == TensorProto.FLOAT and sum(size > 1 for size in one.dims) > 1 and np.prod(one.dims) >= 256
    ]


@pytest.mark.parametrize("layer", ["Conv_3", "Conv_5", "Conv_8"])
def test_a_layer_kept_float_has_int8_weights_and_is_float_for_onnx_runtime(layer: str, tmp_path: Path) -> None:
    net, x = cnn(), _rows(64, 3, 16, 16)
    recipe = replace(STORED, kept_float=frozenset({layer}))
    model = quantized(net, x, recipe)
    made = with_rest_stored(model, _prepared(net), recipe)
    before = sum(_large_floats(model))
    if before:
        assert not _large_floats(made) and len(made.SerializeToString()) < len(model.SerializeToString()) - 2 * before
    found = kinds(made, tmp_path)
    assert found == kinds(model, tmp_path)
    assert noise_db(net, made, x) > noise_db(net, model, x) - 3


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize("place", [1, 2])
def test_a_large_product_beside_codes_is_computed_in_float(limited: bool, place: int, tmp_path: Path) -> None:
    """A DequantizeLinear of its weights would make a product on codes of it, or run at every call."""
    nodes = Nodes()
    x = nodes.dense("x", 16, 512, "MatMul")
    for _ in range(2):
        x = nodes.dense(nodes.add("Relu", x) if limited else nodes.add("Tanh", x), 512, 512, "MatMul")
    net = nodes.net(["batch", 16], nodes.dense(x, 512, 8, "MatMul"))
    rows = _rows(100, 16)
    names = [node.name for node in _prepared(net).model.graph.node if node.op_type in ("MatMul", "Gemm")]
    recipe = replace(STORED, kept_float=frozenset({names[place]}))
    model = quantized(net, rows, recipe)
    made = with_rest_stored(model, _prepared(net), recipe)
    assert 512 * 512 in _large_floats(model) and not _large_floats(made)
    assert kinds(made, tmp_path) == kinds(model, tmp_path)


def test_weights_that_are_to_stay_float_do(tmp_path: Path) -> None:
    net, x = cnn(), _rows(64, 3, 16, 16)
    names = frozenset(node.name for node in _prepared(net).model.graph.node if node.op_type in ("Conv", "Gemm"))
    recipe = replace(STORED, kept_float=names, float_weights=names)
    made = with_rest_stored(quantized(net, x, recipe), _prepared(net), recipe)
    assert sum(_large_floats(made)) == sum(_large_floats(_prepared(net).model)) > 0


def test_products_that_scheme_dynamic_keeps_float_are_stored() -> None:
    nodes = Nodes()
    x = nodes.add("Relu", nodes.dense("x", 600, 64, "MatMul"))
    net = nodes.net(["batch", 600], nodes.dense(x, 64, 64, "MatMul"))
    prepared = _prepared(net)
    names = [node.name for node in prepared.model.graph.node if node.op_type in ("MatMul", "Gemm")]
    kept = Recipe("dynamic", kept_float=frozenset(names[:1]))
    sizes = {}
    for stored in (False, True):
        made = dynamic_model(prepared, replace(kept, stored=stored))
        count = Counter(node.op_type for node in made.graph.node)
        assert count["MatMulInteger"] == 1 and count["MatMul"] + count["Gemm"] == 1
        sizes[stored] = len(made.SerializeToString())
    assert sizes[False] - sizes[True] > 2.8 * 600 * 64


@pytest.mark.parametrize("net", ["mlp", "cnn"])
def test_tflite_holds_codes_and_computes_in_float(net: str) -> None:
    """int8 constants behind DEQUANTIZE, and the operators of the file that holds floats."""
    names = [layer.name for layer in lite_prepared(net).layers]
    recipe = replace(STATIC, stored=True, kept_float=frozenset(names[1:2]))
    model = lite_quantized(net, recipe)
    plain = lite_from_model(model, signature_of(net), recipe).data
    snapped, held = on_grids(model, rest_in(model, recipe))
    made = lite_from_model(snapped, signature_of(net), recipe, held=held).data
    assert len(held) == 1 and len(made) < len(plain) - 2 * held[0].codes.size
    extra = Counter(one[0] for one in operators(made))
    extra.subtract(Counter(one[0] for one in operators(plain)))
    assert {kind: count for kind, count in extra.items() if count} == {"DEQUANTIZE": 1}
    x = net_rows(net, 64)
    assert share(run_tflite(made, {"x": x})["y"], run_tflite(plain, {"x": x})["y"]) < 2e-3


def test_constants_on_grids_are_their_codes_to_the_last_bit() -> None:
    model = lite_prepared("mlp").model
    snapped, held = on_grids(model, rest_in(model, Recipe("weights")))
    found = {one.name: numpy_helper.to_array(one) for one in snapped.graph.initializer}
    assert held
    for one in held:
        along = [-1 if at == one.axis else 1 for at in range(one.codes.ndim)]
        assert np.array_equal(found[one.name], one.codes.astype(np.float32) * one.scale.reshape(along))
    assert {one.name for one in float_net("mlp").graph.input} == {one.name for one in snapped.graph.input}
