"""What goes wrong with quantized models elsewhere, each held down by a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mlpack_edge.converters.quantization.static import columns_of, layers_of, static_model, tensors_of
from mlpack_edge.converters.quantization.values import Recipe
from mlpack_edge.core.errors import BadInput, Unsupported
from tests.converters.quantization.static.nets import (
    S8S8,
    U8S8,
    Net,
    Nodes,
    cnn,
    first,
    kinds,
    mlp,
    noise_db,
    quantized,
    ranges_of,
    run,
)

#: Sizes of columns as tables have them: seconds since 1970, shares, counts, a constant.
_SIZES = np.array([1e9, 0.01, 300.0, 1.0, 5e4, 2e-4, 12.0, 0.0], np.float32)
_MIDDLES = np.array([1.6e9, 0.5, 0.0, -3.0, 1e5, 1e-3, 6.0, 7.0], np.float32)


def _table(rows: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).uniform(-1, 1, (rows, 8)) * _SIZES + _MIDDLES).astype(np.float32)


def _raw_net(first_layer: str = "Gemm") -> Net:
    """A net trained on raw columns: its first weights are as small as the columns are large."""
    nodes = Nodes()
    random = np.random.default_rng(3)
    weights = random.normal(size=(8, 16)) / np.maximum(_SIZES, 1e-3)[:, None] * 0.4
    bias = -(_MIDDLES.astype(np.float64) @ weights)
    if first_layer == "Gemm":
        x = nodes.add("Gemm", "x", nodes.constant(weights.T), nodes.constant(bias), transB=1)
    else:
        x = nodes.add("Add", nodes.add("MatMul", "x", nodes.constant(weights)), nodes.constant(bias))
    return nodes.net(["batch", 8], nodes.dense(nodes.add("Relu", x), 16, 3))


@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
@pytest.mark.parametrize("recipe", [U8S8, S8S8])
def test_raw_columns_of_unlike_size_keep_their_meaning(kind: str, recipe: Recipe, tmp_path: Path) -> None:
    """One grid over 1e9 and 1e-4 leaves nothing of the second; the columns are brought to one size in float first."""
    net = _raw_net(kind)
    assert columns_of(net, recipe) == {"x"}
    model = quantized(net, _table(500), recipe)
    rows = _table(500, seed=9)
    assert noise_db(net, model, rows) > 25
    agree = np.mean(first(net.model, rows).argmax(1) == first(model, rows).argmax(1))
    assert agree > 0.97
    assert kinds(model, tmp_path, qdqisint8allowed="1")["QGemm"] == 2


def _two_readers(scaled: bool, caller: bool) -> Net:
    """Two heads on one table, raw or behind a scaler, whose weights weigh its columns unlike; perhaps given as well."""
    nodes = Nodes()
    random, x, spread = np.random.default_rng(3), "x", np.maximum(_SIZES, 1e-4)
    if scaled:
        x = nodes.add("Mul", nodes.add("Sub", "x", nodes.constant(_MIDDLES)), nodes.constant(np.full(8, 0.5)))
        spread = spread / 2
    heads = []
    for size in (1.0, 20.0):
        weights = random.normal(size=(8, 5)) * size / spread[:, None]
        bias = np.zeros(5) if scaled else -(_MIDDLES.astype(np.float64) @ weights)
        heads.append(nodes.add("Gemm", x, nodes.constant(weights), nodes.constant(bias)))
    return nodes.net(["batch", 8], *heads, *([x] if caller else []))


@pytest.mark.parametrize("recipe", [U8S8, S8S8])
@pytest.mark.parametrize(("scaled", "caller"), [(False, False), (True, False), (True, True)])
def test_two_readers_of_one_table_share_the_factors_of_its_columns(recipe: Recipe, scaled: bool, caller: bool) -> None:
    """Wide and deep, two heads: one grid over such columns leaves noise as large as the answers."""
    net = _two_readers(scaled, caller)
    model, rows = quantized(net, _table(500), recipe), _table(500, seed=9)
    real, made = run(net.model, rows), run(model, rows)
    for name in list(real)[:2]:
        noise = np.mean((real[name] - made[name]) ** 2, axis=0) / real[name].var(axis=0)
        assert noise.max() < 1e-3, name
    if caller:
        np.testing.assert_array_equal(list(real.values())[2], list(made.values())[2])
    # One set of codes; a scaler that nobody else reads gives normal columns itself.
    kinds_of = [node.op_type for node in model.graph.node]
    floats = 4 if caller else 2
    assert sum(kind in ("Sub", "Mul") for kind in kinds_of) == floats
    sources = {node.input[0] for node in model.graph.node if node.op_type == "Gemm"}
    assert len(sources) == 1


def test_columns_of_one_size_cost_no_operators() -> None:
    model = quantized(mlp(), np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32))
    assert not {"Sub", "Mul"} & {node.op_type for node in model.graph.node}


def test_integers_alone_leave_no_float_in_front() -> None:
    """A microcontroller gets codes: the columns stay as they are."""
    recipe = replace(S8S8, integer_only=True)
    model = quantized(_raw_net(), _table(100), recipe)
    assert {node.op_type for node in model.graph.node} <= {"QuantizeLinear", "DequantizeLinear", "Gemm", "Relu"}


def test_a_scaler_in_front_stays_float_and_outside(tmp_path: Path) -> None:
    """Its input has the raw columns; a grid over them costs a net from 96.9 to 70.6 % (the table of facts)."""
    nodes = Nodes()
    scale, shift = nodes.constant(1 / np.maximum(_SIZES, 1)), nodes.constant(np.zeros(8))
    x = nodes.add("BatchNormalization", "x", scale, shift, nodes.constant(_MIDDLES), nodes.constant(np.ones(8)))
    x = nodes.add("Relu", nodes.dense(x, 8, 16))
    net = nodes.net(["batch", 8], nodes.dense(x, 16, 3))
    rows = _table(500)
    model = quantized(net, rows)
    found = kinds(model, tmp_path)
    assert found["BatchNormalization"] == 1 and found["QGemm"] == 2
    assert model.graph.node[0].op_type == "BatchNormalization" and model.graph.node[0].input[0] == "x"
    assert noise_db(net, model, rows) > 30


def test_boxes_and_scores_that_end_in_one_concat_do_not_share_a_grid(tmp_path: Path) -> None:
    """Boxes reach 640, scores 1: on one grid the scores have a code or two."""
    nodes = Nodes()
    x = nodes.add("Relu", nodes.conv("x", 3, 16))
    boxes = nodes.add("Mul", nodes.conv(x, 16, 4, k=1), nodes.constant(100.0))
    scores = nodes.add("Sigmoid", nodes.conv(x, 16, 2, k=1))
    joined = nodes.add("Concat", boxes, scores, axis=1)
    net = nodes.net(["batch", 3, 8, 8], nodes.add("Transpose", joined, perm=[0, 2, 3, 1]))
    rows = np.random.default_rng(0).normal(size=(30, 3, 8, 8)).astype(np.float32)
    model = quantized(net, rows)
    real, made = first(net.model, rows), first(model, rows)
    noise = np.mean((real - made) ** 2, axis=(0, 1, 2)) / real.var(axis=(0, 1, 2))
    assert noise.max() < 0.01
    assert kinds(model, tmp_path)["QLinearConcat"] == 0


def test_channels_without_weights_keep_their_bias() -> None:
    nodes = Nodes()
    weights = np.random.default_rng(0).normal(size=(4, 8))
    weights[1] = 0
    hidden = nodes.add("Gemm", "x", nodes.constant(weights), nodes.constant([1.0, 0.123456, 3.0, 0.0]), transB=1)
    net = nodes.net(["batch", 8], nodes.dense(hidden, 4, 2))
    rows = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
    model = quantized(net, rows)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.name.startswith("s"):
            assert (numpy_helper.to_array(tensor) > 0).all()
    assert noise_db(net, model, rows) > 30
    nodes.nodes.pop()
    made = first(quantized(nodes.net(["batch", 8], hidden), rows), rows)[:, 1]
    assert np.abs(made - np.float32(0.123456)).max() < 1e-4


def test_a_net_of_zeros_gives_its_biases() -> None:
    nodes = Nodes()
    hidden = nodes.add("Gemm", "x", nodes.constant(np.zeros((4, 8))), nodes.constant([1.0, -2.0, 0.0, 4.0]), transB=1)
    net = nodes.net(["batch", 8], hidden)
    rows = np.zeros((10, 8), np.float32)
    assert np.allclose(first(quantized(net, rows), rows), [1, -2, 0, 4], atol=1e-5)


@pytest.mark.parametrize("end", [False, True])
def test_a_bias_far_above_its_weights_does_not_overflow_32_bits(end: bool) -> None:
    """bias / (scale of x * scale of w) is 1e13 here: int32 would wrap to another sign."""
    nodes = Nodes()
    weights, bias = np.random.default_rng(0).normal(size=(4, 8)), np.array([5.0, -4.0, 3.0, 2.0])
    weights[0] *= 1e-9
    x = nodes.add("Gemm", "x", nodes.constant(weights), nodes.constant(bias), transB=1)
    net = nodes.net(["batch", 8], x if end else nodes.dense(x, 4, 3))
    rows = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32) * 1e-3
    model = quantized(net, rows)
    assert np.abs(first(net.model, rows) - first(model, rows)).max() < 0.05


def test_weights_of_two_layers_are_stored_once() -> None:
    nodes = Nodes()
    weights, bias = nodes.normal(16, 16, size=0.3), nodes.normal(16, size=0.1)
    x = nodes.add("Relu", nodes.add("Gemm", "x", weights, bias, transB=1))
    net = nodes.net(["batch", 16], nodes.add("Gemm", x, weights, bias, transB=1))
    rows = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    model = quantized(net, rows)
    kept = [tensor for tensor in model.graph.initializer if list(tensor.dims) == [16, 16]]
    assert [tensor.data_type for tensor in kept] == [onnx.TensorProto.INT8]
    assert noise_db(net, model, rows) > 30
    one = quantized(net, rows, replace(U8S8, kept_float=frozenset({"Gemm_2"})))
    assert noise_db(net, one, rows) > noise_db(net, model, rows)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_has_a_scale_an_output_channel(groups: int) -> None:
    """Axis 1 of its weights; in groups the channels of all groups share those."""
    nodes = Nodes()
    x = nodes.add("Relu", nodes.conv("x", 3, 8))
    weights = np.random.default_rng(0).normal(size=(8, 4, 2, 2)) * np.array([1, 10, 0.1, 1])[None, :, None, None]
    bias = nodes.normal(4 * groups)
    x = nodes.add("ConvTranspose", x, nodes.constant(weights), bias, strides=[2, 2], group=groups, kernel_shape=[2, 2])
    net = nodes.net(["batch", 3, 8, 8], x)
    rows = np.random.default_rng(1).normal(size=(30, 3, 8, 8)).astype(np.float32)
    model = quantized(net, rows)
    real, made = first(net.model, rows), first(model, rows)
    assert (np.abs(real - made).max(axis=(0, 2, 3)) < 0.02 * np.abs(real).max()).all()
    assert any(list(tensor.dims) == [4] and tensor.name.startswith("s") for tensor in model.graph.initializer)


def test_scales_a_channel_are_refused_below_opset_13() -> None:
    net = mlp()
    net.model.opset_import[0].version = 12
    with pytest.raises(Unsupported, match="opset 13, the model has 12"):
        static_model(net, {}, U8S8)


def test_a_range_that_is_missing_or_not_finite_is_named() -> None:
    net, rows = mlp(), np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    ranges = ranges_of(net, rows, U8S8)
    with pytest.raises(Unsupported, match="no range of the tensor 'Relu_1_out'"):
        static_model(net, {name: found for name, found in ranges.items() if name != "Relu_1_out"}, U8S8)
    ranges["Relu_1_out"] = replace(ranges["Relu_1_out"], high=np.array(np.inf))
    with pytest.raises(BadInput, match=r"Relu_1_out: calibration found 0\.0 to inf"):
        static_model(net, ranges, U8S8)


@pytest.mark.parametrize("recipe", [U8S8, S8S8, replace(S8S8, integer_only=True)])
def test_one_calibration_serves_whatever_is_kept_float(recipe: Recipe) -> None:
    net, rows = cnn(), np.random.default_rng(0).normal(size=(20, 3, 16, 16)).astype(np.float32)
    ranges = ranges_of(net, rows, recipe)
    names = [layer.name for layer in layers_of(net, recipe)]
    assert len(names) >= 7
    for name in names:
        for kept in ({name}, set(names) - {name}):
            wanted = replace(recipe, kept_float=frozenset(kept))
            assert tensors_of(net, wanted) == tensors_of(net, recipe)
            run(static_model(net, ranges, wanted), rows)
    whole = static_model(net, ranges, replace(recipe, kept_float=frozenset(names)))
    assert "QuantizeLinear" not in {node.op_type for node in whole.graph.node}


def test_the_same_arguments_give_the_same_bytes_and_leave_the_model_alone() -> None:
    net, rows = cnn(), np.random.default_rng(0).normal(size=(20, 3, 16, 16)).astype(np.float32)
    before, ranges = net.model.SerializeToString(deterministic=True), ranges_of(net, rows, U8S8)
    made = [static_model(net, ranges, U8S8).SerializeToString(deterministic=True) for _ in range(2)]
    assert made[0] == made[1] and net.model.SerializeToString(deterministic=True) == before


def test_files_are_no_larger_than_those_of_onnxruntime(tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    for net, shape in ((mlp(), (50, 16)), (mlp("MatMul"), (50, 16)), (cnn(), (50, 3, 16, 16))):
        rows = np.random.default_rng(0).normal(size=shape).astype(np.float32)

        class Rows(CalibrationDataReader):  # type: ignore[misc]
            left = iter([{"x": rows}])

            def get_next(self) -> dict[str, np.ndarray] | None:
                return next(self.left, None)

        onnx.save(net.model, tmp_path / "float.onnx")
        theirs = tmp_path / "theirs.onnx"
        quantize_static(
            tmp_path / "float.onnx", theirs, Rows(), per_channel=True, activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
        assert len(quantized(net, rows).SerializeToString()) < theirs.stat().st_size


def _wide_and_deep(scaled: bool) -> Net:
    """Raw columns beside a deep part of their own, joined before the head; the first is 10,000 times the deep part."""
    nodes = Nodes()
    sizes = np.array([1e4, 1.0, 30.0])
    deep = nodes.add("Relu", nodes.dense(nodes.add("Slice", "x", *_ints(nodes, 3, 11, 1)), 8, 16))
    joined = nodes.add("Concat", nodes.add("Slice", "x", *_ints(nodes, 0, 3, 1)), deep, axis=-1)
    if scaled:
        joined = nodes.add("Mul", joined, nodes.constant(np.full(19, 0.5)))
    weights = nodes.random.normal(size=(19, 12)) / np.append(sizes, np.ones(16))[:, None]
    y = nodes.add("Relu", nodes.add("Gemm", joined, nodes.constant(weights), nodes.normal(12)))
    return nodes.net(["batch", 11], nodes.dense(y, 12, 3))


def _ints(nodes: Nodes, *values: int) -> list[str]:
    return [nodes.constant([value], np.int64) for value in values]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("recipe", [U8S8, S8S8])
def test_raw_columns_beside_a_deep_part_leave_it_its_scale(recipe: Recipe, scaled: bool) -> None:
    """On one grid the steps would be 40 times what the deep part gives."""
    net, random = _wide_and_deep(scaled), np.random.default_rng(0)
    rows, others = ((random.normal(size=(400, 11)) * [1e4, 1.0, 30.0, *[1.0] * 8]).astype(np.float32) for _ in "ab")
    model = quantized(net, rows, recipe)
    assert noise_db(net, model, others) > 25
    assert sum(node.op_type in ("Gemm", "MatMul") for node in model.graph.node) == 3
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) >= 3


def test_parts_that_layers_made_are_joined_without_operators_for_their_columns() -> None:
    nodes = Nodes()
    parts = [nodes.add("Relu", nodes.dense("x", 8, 8)) for _ in range(2)]
    net = nodes.net(["batch", 8], nodes.dense(nodes.add("Concat", *parts, axis=1), 16, 3))
    assert columns_of(net, U8S8) == {"x"}
    model = quantized(net, np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32))
    assert not {"Sub", "Mul"} & {node.op_type for node in model.graph.node}
