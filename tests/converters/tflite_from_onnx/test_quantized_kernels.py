"""Each operator that TFLite has on int8, between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import kinds, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.test_quantized import as_written, main_graph

Array = NDArray[Any]
_N = helper.make_node
_RANDOM = np.random.default_rng(5)
_BATCHES = (1, 2, 7)


def _weights(*shape: int) -> Array:
    return _RANDOM.integers(-127, 128, shape).astype(np.int8)


def between_codes(
    nodes: list[onnx.NodeProto], shape: list[int | str], constants: dict[str, Array], same: bool = False,
    scale: float = 0.05, zero: int = -10,
) -> onnx.ModelProto:  # fmt: skip
    """x quantized and dequantized as `a`, the nodes that make `b`, and that quantized and dequantized as `y`.

    same: with the scale of the input.
    """
    grids: dict[str, Array] = {
        "s": np.array(0.03, np.float32), "z": np.array(4, np.int8),
        "u": np.array(0.03 if same else scale, np.float32), "v": np.array(4 if same else zero, np.int8),
    }  # fmt: skip
    whole = [
        _N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("DequantizeLinear", ["q", "s", "z"], ["a"]), *nodes,
        _N("QuantizeLinear", ["b", "u", "v"], ["r"]), _N("DequantizeLinear", ["r", "u", "v"], ["y"]),
    ]  # fmt: skip
    return model_of(whole, {"x": ("float32", shape)}, ["y"], {**grids, **constants})


def _filters(shape: tuple[int, ...], axis: int = 0) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    """Filters with a scale for each output, dequantized as `w`."""
    scales = _RANDOM.uniform(0.002, 0.02, shape[axis]).astype(np.float32)
    return [_N("DequantizeLinear", ["wq", "ws"], ["w"], axis=axis)], {"wq": _weights(*shape), "ws": scales}


def _conv(shape: tuple[int, ...], **attributes: Any) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    nodes, constants = _filters(shape)
    return [*nodes, _N("Conv", ["a", "w"], ["b"], **attributes)], constants


def _one(kind: str, *inputs: str, **attributes: Any) -> list[onnx.NodeProto]:
    return [_N(kind, ["a", *inputs], ["b"], **attributes)]


_IMAGE: list[int | str] = ["n", 4, 6, 8]
_ROWS: list[int | str] = ["n", 5]
_DENSE, _DENSE_CONSTANTS = _filters((5, 6), axis=1)
_TURNED, _TURNED_CONSTANTS = _filters((4, 3, 3, 3), axis=1)
_PAIR = [_N("Split", ["a"], ["c", "d"], axis=1, num_outputs=2)]
Case = tuple[list[onnx.NodeProto], dict[str, Array], list[int | str], str, dict[str, Any]]
_CASES: dict[str, Case] = {
    "conv": (*_conv((6, 4, 3, 3), pads=[1] * 4), _IMAGE, "CONV_2D", {}),
    "strided conv": (*_conv((6, 4, 3, 3), pads=[1] * 4, strides=[2, 2]), _IMAGE, "CONV_2D", {}),
    "depthwise conv": (*_conv((4, 1, 3, 3), pads=[1] * 4, group=4), _IMAGE, "DEPTHWISE_CONV_2D", {}),
    "grouped conv": (*_conv((6, 2, 3, 3), group=2), _IMAGE, "CONV_2D", {}),
    "dilated conv": (*_conv((6, 4, 3, 3), dilations=[2, 2]), _IMAGE, "CONV_2D", {}),
    "conv of sequences": (*_conv((6, 4, 3), pads=[1, 1]), ["n", 4, 9], "CONV_2D", {}),
    "transposed conv": (
        [*_TURNED, _N("ConvTranspose", ["a", "w"], ["b"], strides=[2, 2])], _TURNED_CONSTANTS, _IMAGE, "", {},
    ),
    "dense": ([*_DENSE, _N("MatMul", ["a", "w"], ["b"])], _DENSE_CONSTANTS, _ROWS, "FULLY_CONNECTED", {}),
    "relu6": ([_N("Clip", ["a", "lo", "hi"], ["b"])], {"lo": np.array(0, np.float32), "hi": np.array(6, np.float32)}, _IMAGE, "RELU6", {}),
    "relu": (_one("Relu"), {}, _IMAGE, "RELU", {}),
    "leaky relu": (_one("LeakyRelu", alpha=0.2), {}, _IMAGE, "LEAKY_RELU", {}),
    "hard swish": (_one("HardSwish"), {}, _IMAGE, "HARD_SWISH", {}),
    "elu": (_one("Elu"), {}, _IMAGE, "ELU", {}),
    "gelu": (_one("Gelu"), {}, _IMAGE, "GELU", {}),
    "sigmoid": (_one("Sigmoid"), {}, _IMAGE, "LOGISTIC", {"scale": 1 / 256, "zero": -128}),
    "softmax": (_one("Softmax", axis=-1), {}, _ROWS, "SOFTMAX", {"scale": 1 / 256, "zero": -128}),
    "tanh": (_one("Tanh"), {}, _IMAGE, "TANH", {"scale": 1 / 128, "zero": 0}),
    "mean": (_one("ReduceMean", "axes", keepdims=0), {"axes": np.array([2, 3])}, _IMAGE, "MEAN", {"scale": 0.02}),
    "average pool": (
        _one("AveragePool", kernel_shape=[2, 2], strides=[2, 2]), {}, _IMAGE, "DEPTHWISE_CONV_2D", {"scale": 0.02},
    ),
    "average pool on one grid": (
        _one("AveragePool", kernel_shape=[2, 2], strides=[2, 2]), {}, _IMAGE, "AVERAGE_POOL_2D", {"same": True},
    ),
    "max pool": (_one("MaxPool", kernel_shape=[3, 3], pads=[1] * 4), {}, _IMAGE, "MAX_POOL_2D", {"same": True}),
    "nearest": (
        _one("Resize", "", "by", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        {"by": np.array([1, 1, 2, 2], np.float32)}, _IMAGE, "RESIZE_NEAREST_NEIGHBOR", {"same": True},
    ),
    "bilinear": (
        _one("Resize", "", "by", mode="linear"), {"by": np.array([1, 1, 2, 2], np.float32)}, _IMAGE, "RESIZE_BILINEAR",
        {"same": True},
    ),
    "sum": ([*_PAIR, _N("Add", ["c", "d"], ["b"])], {}, _IMAGE, "ADD", {}),
    "difference": ([*_PAIR, _N("Sub", ["c", "d"], ["b"])], {}, _IMAGE, "SUB", {}),
    "product": ([*_PAIR, _N("Mul", ["c", "d"], ["b"])], {}, _IMAGE, "MUL", {}),
    "maximum": ([*_PAIR, _N("Max", ["c", "d"], ["b"])], {}, _IMAGE, "MAXIMUM", {}),
    "join": ([*_PAIR, _N("Concat", ["d", "c"], ["b"], axis=1)], {}, _IMAGE, "CONCATENATION", {}),
    "product of matrices": (
        [_N("Transpose", ["a"], ["t"], perm=[0, 1, 3, 2]), _N("MatMul", ["a", "t"], ["b"])], {}, _IMAGE, "BATCH_MATMUL",
        {"scale": 0.2},
    ),
    "depth to space": (_one("DepthToSpace", blocksize=2), {}, _IMAGE, "DEPTH_TO_SPACE", {"same": True}),
    "slice": (
        _one("Slice", "from", "to", "of"), {"from": np.array([1]), "to": np.array([4]), "of": np.array([2])}, _IMAGE,
        "STRIDED_SLICE", {"same": True},
    ),
    "gather": (_one("Gather", "at", axis=1), {"at": np.array([3, 0])}, _IMAGE, "GATHER", {"same": True}),
}  # fmt: skip


@pytest.mark.parametrize("case", _CASES)
def test_operators_run_on_int8_within_a_step(case: str) -> None:
    """One DEQUANTIZE, at the end: the operator reads and writes codes."""
    nodes, constants, shape, kind, grids = _CASES[case]
    model = between_codes(nodes, shape, {name: np.asarray(array) for name, array in constants.items()}, **grids)
    data = lower(model).data
    found = kinds(data)
    if kind:
        assert kind in found
    assert found.count("DEQUANTIZE") == 1, found
    session = as_written(model)
    step = 0.03 if grids.get("same") else grids.get("scale", 0.05)
    for batch in _BATCHES:
        x = _RANDOM.normal(0, 1.5, [batch, *(int(size) for size in shape[1:])]).astype(np.float32)
        expected = session.run(None, {"x": x})[0]
        for delegate in (True, False):
            made = run_tflite(data, {"x": x}, delegate)["y"]
            assert made.shape == expected.shape
            apart = np.abs(made - expected) / step
            assert apart.max() <= 1.01, (delegate, apart.max())


def test_rows_of_a_quantized_table_are_taken_as_codes() -> None:
    """An embedding: what is looked up is dequantized, not the table."""
    constants = {"t": _weights(500, 8), "s": np.array(0.01, np.float32), "z": np.array(3, np.int8)}
    nodes = [_N("DequantizeLinear", ["t", "s", "z"], ["w"]), _N("Gather", ["w", "x"], ["y"])]
    model = model_of(nodes, {"x": ("int64", ["n", 4])}, ["y"], constants)
    data = lower(model).data
    assert kinds(data)[-2:] == ["GATHER", "DEQUANTIZE"]
    for batch in _BATCHES:
        x = _RANDOM.integers(0, 500, (batch, 4))
        for delegate in (True, False):
            expected = as_written(model).run(None, {"x": x})[0]
            np.testing.assert_allclose(run_tflite(data, {"x": x}, delegate)["y"], expected, rtol=1e-6)


def test_a_sigmoid_on_another_grid_stays_float() -> None:
    """LOGISTIC writes with scale 1/256 alone."""
    data = lower(between_codes(_one("Sigmoid"), _IMAGE, {}, scale=1 / 255, zero=-128)).data
    assert kinds(data).count("DEQUANTIZE") == 2


def test_the_largest_of_codes_is_found_among_codes() -> None:
    nodes = [
        _N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("DequantizeLinear", ["q", "s", "z"], ["a"]),
        _N("ArgMax", ["a"], ["y"], axis=1, keepdims=0),
    ]  # fmt: skip
    constants: dict[str, Array] = {"s": np.array(0.03, np.float32), "z": np.array(4, np.int8)}
    model = model_of(nodes, {"x": ("float32", ["n", 5])}, ["y"], constants)
    data = lower(model).data
    assert "DEQUANTIZE" not in kinds(data)
    x = _RANDOM.normal(0, 1.5, (50, 5)).astype(np.float32)
    for delegate in (True, False):
        np.testing.assert_array_equal(
            run_tflite(data, {"x": x}, delegate)["y"], as_written(model).run(None, {"x": x})[0]
        )


def test_operators_say_the_version_that_has_their_int8_kernel() -> None:
    """LiteRT takes version 1 of anything; older runtimes choose their kernel by it."""
    nodes, constants, shape, _, _ = _CASES["conv"]
    model, graph = main_graph(lower(between_codes(nodes, shape, constants)).data)
    from tests.converters.tflite_from_onnx.test_quantized import _KIND

    versions = {_KIND[code.builtinCode]: code.version for code in model.operatorCodes}
    assert versions["CONV_2D"] == 3
    assert versions["DEQUANTIZE"] == 2
    assert graph.operators
