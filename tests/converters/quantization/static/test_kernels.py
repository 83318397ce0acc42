"""ONNX Runtime runs on codes what a recipe puts on codes: the nodes of its optimized graph are counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.converters.quantization.static.operators import ATTENTION, WEIGHTED
from tests.converters.quantization.static.nets import S8S8, U8S8, Nodes, cnn, kinds, mlp, noise_db, quantized


def _rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_a_dense_net_is_products_of_codes_between_one_quantize_and_a_float_end(kind: str, tmp_path: Path) -> None:
    net, x = mlp(kind), _rows(500, 16)
    model = quantized(net, x)
    assert kinds(model, tmp_path) == {"QuantizeLinear": 1, "QGemm": 3}
    assert noise_db(net, model, x) > 30


def test_a_convolutional_net_is_on_codes_from_its_input_to_its_last_layer(tmp_path: Path) -> None:
    net, x = cnn(), _rows(64, 3, 16, 16)
    model = quantized(net, x)
    assert kinds(model, tmp_path) == {
        "QuantizeLinear": 1, "Transpose": 2, "QLinearConv": 4, "NhwcMaxPool": 1, "QLinearAdd": 1,
        "QLinearGlobalAveragePool": 1, "Flatten": 1, "QGemm": 1,
    }  # fmt: skip
    assert noise_db(net, model, x) > 33


def test_signed_codes_are_fused_too_where_a_processor_takes_them(tmp_path: Path) -> None:
    """As ONNX Runtime does on ARM; its last layer writes codes, which TFLite's kernels need."""
    model = quantized(cnn(), _rows(64, 3, 16, 16), S8S8)
    found = kinds(model, tmp_path, qdqisint8allowed="1")
    assert (found["QLinearConv"], found["QLinearAdd"], found["QGemm"], found["DequantizeLinear"]) == (4, 1, 1, 1)


def test_activations_that_only_limit_are_in_the_grid(tmp_path: Path) -> None:
    nodes = Nodes()
    x = nodes.add("Relu", nodes.conv("x", 3, 8))
    x = nodes.add("Clip", nodes.conv(x, 8, 8), nodes.constant(0.0), nodes.constant(1.5))
    net = nodes.net(["batch", 3, 8, 8], nodes.conv(x, 8, 4))
    rows = _rows(50, 3, 8, 8)
    model = quantized(net, rows)
    assert not {"Relu", "Clip"} & {node.op_type for node in model.graph.node}
    assert noise_db(net, model, rows) > 30
    assert kinds(model, tmp_path)["QLinearConv"] == 3


def test_an_activation_without_kernel_on_codes_stays_float_between_quantized_layers(tmp_path: Path) -> None:
    nodes = Nodes()
    x = nodes.add("Elu", nodes.conv("x", 3, 8))
    x = nodes.add("PRelu", nodes.conv(x, 8, 8), nodes.constant(np.full((8, 1, 1), 0.1)))
    net = nodes.net(["batch", 3, 8, 8], nodes.conv(x, 8, 4))
    rows = _rows(50, 3, 8, 8)
    model = quantized(net, rows)
    found = kinds(model, tmp_path)
    assert (found["QLinearConv"], found["Elu"], found["PRelu"]) == (3, 1, 1)
    assert noise_db(net, model, rows) > 28


def test_codes_are_moved_as_codes(tmp_path: Path) -> None:
    """Reshape, Transpose, Slice and their like keep the grid of what they move."""
    nodes = Nodes()
    x = nodes.conv("x", 3, 8)
    x = nodes.add("Transpose", x, perm=[0, 1, 3, 2])
    ends = [nodes.constant(value, np.int64) for value in ([0], [4], [1])]
    x = nodes.add("Slice", x, *ends)
    x = nodes.add("Reshape", x, nodes.constant([-1, 256], np.int64))
    net = nodes.net([4, 3, 8, 8], nodes.dense(x, 256, 10))
    model = quantized(net, _rows(4, 3, 8, 8))
    found = kinds(model, tmp_path)
    assert (found["QLinearConv"], found["QGemm"], found["DequantizeLinear"]) == (1, 1, 0)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_an_image_is_enlarged_as_codes_where_its_pixels_are_only_repeated(mode: str, tmp_path: Path) -> None:
    nodes = Nodes()
    x = nodes.add("Relu", nodes.conv("x", 3, 8))
    x = nodes.add("Resize", x, "", nodes.constant([1, 1, 2, 2]), mode=mode)
    net = nodes.net(["batch", 3, 8, 8], nodes.conv(x, 8, 4))
    rows = _rows(30, 3, 8, 8)
    model = quantized(net, rows)
    assert noise_db(net, model, rows) > 30
    found = kinds(model, tmp_path)
    assert found["QLinearConv"] == 2
    assert found["DequantizeLinear"] == (1 if mode == "nearest" else 2)


def test_a_product_of_three_axes_is_on_codes_and_gives_float(tmp_path: Path) -> None:
    net_nodes = Nodes()
    x = net_nodes.add("Tanh", net_nodes.dense("x", 16, 32, "MatMul"))
    net = net_nodes.net(["batch", 5, 16], net_nodes.dense(x, 32, 8, "MatMul"))
    rows = _rows(50, 5, 16)
    model = quantized(net, rows)
    assert kinds(model, tmp_path)["MatMulIntegerToFloat"] == 2
    assert noise_db(net, model, rows) > 30


@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_a_last_layer_before_an_activation_is_on_codes_and_gives_float(kind: str, tmp_path: Path) -> None:
    """ONNX Runtime merges Gemm and Sigmoid in float before it looks for codes; a MatMul it leaves alone."""
    nodes = Nodes()
    x = nodes.add("Relu", nodes.dense("x", 16, 32, kind))
    net = nodes.net(["batch", 16], nodes.add("Sigmoid", nodes.dense(x, 32, 1, kind)))
    rows = _rows(300, 16)
    model = quantized(net, rows)
    found = kinds(model, tmp_path)
    assert (found["QGemm"], found["MatMulIntegerToFloat"], found["Sigmoid"]) == (1, 1, 1)
    assert noise_db(net, model, rows) > 30


def test_a_product_of_rows_whose_rank_shapes_do_not_tell_is_on_codes(tmp_path: Path) -> None:
    """ONNX Runtime makes a Gemm of MatMul and Add when it learns the rank; that has to find a Gemm's form."""
    nodes = Nodes()
    sizes = nodes.add("Concat", nodes.constant([-1], np.int64), nodes.constant([256], np.int64), axis=0)
    x = nodes.add("Reshape", nodes.add("Relu", nodes.conv("x", 3, 4)), sizes)
    net = nodes.net(["batch", 3, 8, 8], nodes.dense(x, 256, 5, "MatMul"))
    del net.model.graph.value_info[:]
    model = quantized(net, _rows(20, 3, 8, 8))
    found = kinds(model, tmp_path)
    assert found["QGemm"] + found["MatMulIntegerToFloat"] == 1 and not found["MatMul"] and not found["Gemm"]


def test_elementwise_operators_are_on_codes_between_layers_only(tmp_path: Path) -> None:
    """At the border of the quantized part they would round what is float anyway."""
    nodes = Nodes()
    scaled = nodes.add("Mul", "x", nodes.constant(0.5))
    left, right = nodes.conv(scaled, 3, 8), nodes.conv(scaled, 3, 8)
    middle = nodes.add("Mul", left, right)
    last = nodes.add("Add", nodes.conv(middle, 8, 8), nodes.constant(np.ones((8, 1, 1))))
    net = nodes.net(["batch", 3, 8, 8], last)
    rows = _rows(30, 3, 8, 8)
    model = quantized(net, rows)
    found = kinds(model, tmp_path)
    assert (found["QLinearMul"], found["QLinearAdd"], found["Mul"], found["Add"]) == (1, 0, 1, 1)


def test_pools_and_joins_are_on_codes_between_layers(tmp_path: Path) -> None:
    nodes = Nodes()
    x = nodes.conv("x", 3, 8)
    pooled = nodes.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    leaky = nodes.add("LeakyRelu", nodes.conv(pooled, 8, 8), alpha=0.1)
    joined = nodes.add("Concat", nodes.conv(leaky, 8, 8), nodes.conv(pooled, 8, 4), axis=1)
    net = nodes.net(["batch", 3, 8, 8], nodes.conv(joined, 12, 4))
    rows = _rows(30, 3, 8, 8)
    model = quantized(net, rows)
    found = kinds(model, tmp_path)
    wanted = {"QLinearConv": 5, "QLinearAveragePool": 1, "QLinearLeakyRelu": 1, "QLinearConcat": 1}
    assert {kind: found[kind] for kind in wanted} == wanted
    assert noise_db(net, model, rows) > 25


def test_a_mean_over_places_is_pooled_on_codes(tmp_path: Path) -> None:
    for keepdims in (0, 1):
        nodes = Nodes()
        x = nodes.add("ReduceMean", nodes.add("Relu", nodes.conv("x", 3, 16)), axes=[-2, -1], keepdims=keepdims)
        x = nodes.add("Flatten", x) if keepdims else x
        net = nodes.net(["batch", 3, 8, 8], nodes.dense(x, 16, 5))
        rows = _rows(30, 3, 8, 8)
        model = quantized(net, rows)
        found = kinds(model, tmp_path)
        assert (found["QLinearGlobalAveragePool"], found["ReduceMean"], found["QGemm"]) == (1, 0, 1)
        assert noise_db(net, model, rows) > 30


def test_hard_swish_is_two_passes_instead_of_four(tmp_path: Path) -> None:
    nodes = Nodes()
    x = nodes.conv("x", 3, 8)
    gate = nodes.add("Clip", nodes.add("Add", x, nodes.constant(3.0)), nodes.constant(0.0), nodes.constant(6.0))
    x = nodes.add("Div", nodes.add("Mul", x, gate), nodes.constant(6.0))
    net = nodes.net(["batch", 3, 8, 8], nodes.conv(x, 8, 4))
    rows = _rows(30, 3, 8, 8)
    model = quantized(net, rows)
    found = kinds(model, tmp_path)
    assert (found["HardSigmoid"], found["Mul"], found["Add"], found["Clip"], found["Div"]) == (1, 1, 0, 0, 0)
    assert noise_db(net, model, rows) > 30


def test_products_of_activations_are_on_codes_where_a_recipe_names_them(tmp_path: Path) -> None:
    """By default they are not: their Softmax takes float, and codes made for it alone cost what they gain."""
    nodes = Nodes()
    q, k, v = (nodes.dense("x", 16, 16, "MatMul") for _ in range(3))
    weights = nodes.add("Softmax", nodes.add("MatMul", q, nodes.add("Transpose", k, perm=[0, 2, 1])), axis=-1)
    net = nodes.net(["batch", 5, 16], nodes.dense(nodes.add("MatMul", weights, v), 16, 8, "MatMul"))
    rows = _rows(60, 5, 16)
    default = quantized(net, rows)
    assert kinds(default, tmp_path)["MatMulIntegerToFloat"] == 4 and noise_db(net, default, rows) > 30
    model = quantized(net, rows, replace(U8S8, operators=WEIGHTED | ATTENTION))
    found = kinds(model, tmp_path)
    assert found["MatMulIntegerToFloat"] + found["QLinearMatMul"] == 6
    assert noise_db(net, model, rows) > 25
    whole = quantized(net, rows, replace(S8S8, integer_only=True))
    kept = [node.op_type for node in whole.graph.node]
    before = {node.op_type for node in whole.graph.node if node.op_type != "QuantizeLinear"}
    assert before == {"DequantizeLinear", "MatMul", "Add", "Softmax", "Transpose"} and kept.count("QuantizeLinear") >= 8


def test_a_gate_between_layers_is_on_codes_and_an_answer_is_not(tmp_path: Path) -> None:
    """x * sigmoid(x) between convolutions is a look-up and a product; the probabilities at the end stay float."""
    nodes = Nodes()
    x = nodes.conv("x", 3, 8)
    x = nodes.conv(nodes.add("Mul", x, nodes.add("Sigmoid", x)), 8, 4)
    net = nodes.net(["batch", 3, 8, 8], nodes.add("Sigmoid", x))
    rows = _rows(30, 3, 8, 8)
    model = quantized(net, rows)
    found = kinds(model, tmp_path)
    assert (found["QLinearSigmoid"], found["QLinearMul"], found["Sigmoid"]) == (1, 1, 1)
    assert noise_db(net, model, rows) > 28


def test_operators_of_a_recipe_alone_are_on_codes(tmp_path: Path) -> None:
    recipe = replace(U8S8, operators=frozenset({"Conv", "Gemm"}))
    found = kinds(quantized(cnn(), _rows(64, 3, 16, 16), recipe), tmp_path)
    assert (found["QLinearConv"], found["Conv"] + found["FusedConv"], found["QGemm"]) == (3, 1, 1)


@pytest.mark.parametrize("layer", ["Conv_3", "Conv_5", "Conv_8", "Gemm_12"])
def test_a_layer_that_is_kept_float_is_float_for_onnx_runtime_as_well(layer: str, tmp_path: Path) -> None:
    """Left between codes, it would be quantized on loading, with one scale for all channels (WeightBiasQuantization)."""
    net, x = cnn(), _rows(64, 3, 16, 16)
    assert layer in {node.name for node in net.model.graph.node}
    whole = kinds(quantized(net, x), tmp_path)
    found = kinds(quantized(net, x, replace(U8S8, kept_float=frozenset({layer}))), tmp_path)
    plain, coded = ("Gemm", "QGemm") if layer.startswith("Gemm") else ("Conv", "QLinearConv")
    assert found[coded] == whole[coded] - 1 and found[plain] + found[f"Fused{plain}"] == 1


def test_a_dense_layer_that_is_kept_float_is_float_for_onnx_runtime_as_well(tmp_path: Path) -> None:
    """A MatMul with an Add becomes a Gemm there, and a Gemm between codes would be quantized."""
    net, x = mlp("MatMul"), _rows(300, 16)
    model = quantized(net, x, replace(U8S8, kept_float=frozenset({"MatMul_3"})))
    found = kinds(model, tmp_path)
    assert found["QGemm"] + found["MatMulIntegerToFloat"] == 2 and found["Gemm"] + found["FusedGemm"] == 1
    only = replace(U8S8, kept_float=frozenset({"MatMul_0", "MatMul_6"}))
    assert noise_db(net, quantized(net, x, only), x) > 35
