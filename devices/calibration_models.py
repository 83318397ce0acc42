"""The models that boards are calibrated with: what models spend their time on, a few milliseconds each on a small board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
_OPSET, _IR = 17, 8


def write_models(folder: Path) -> list[Path]:
    """Write them as ONNX, the same bytes each time: their digests are what a calibration knows them by."""
    random = np.random.default_rng(20240229)
    paths = []
    for name, make in (
        ("dense", _dense),
        ("convolution", _convolution),
        ("depthwise", _depthwise),
        ("elementwise", _elementwise),
    ):
        path = folder / f"{name}.onnx"
        path.write_bytes(make(random).SerializeToString(deterministic=True))
        paths.append(path)
    return paths


def _model(nodes: list[Any], shape: list[int], weights: dict[str, Array]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "calibration",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    return onnx.shape_inference.infer_shapes(model)


def _weights(random: np.random.Generator, *shape: int) -> Array:
    made: Array = (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    return made


def _dense(random: np.random.Generator) -> onnx.ModelProto:
    """Three layers, whose weights are read once for each row: bound by memory."""
    nodes = []
    for number in range(3):
        nodes.append(helper.make_node("MatMul", ["x" if not number else f"h{number}", f"w{number}"], [f"m{number}"]))
        nodes.append(helper.make_node("Relu", [f"m{number}"], ["y" if number == 2 else f"h{number + 1}"]))
    return _model(nodes, [1, 512], {f"w{number}": _weights(random, 512, 512) for number in range(3)})


def _convolution(random: np.random.Generator) -> onnx.ModelProto:
    """Two 3x3 convolutions of 32 channels: bound by multiply-adds."""
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "w1"], ["y"], pads=[1, 1, 1, 1]),
    ]
    return _model(nodes, [1, 32, 28, 28], {f"w{number}": _weights(random, 32, 32, 3, 3) for number in range(2)})


def _depthwise(random: np.random.Generator) -> onnx.ModelProto:
    """A depthwise and a pointwise convolution, as nets for small devices have them."""
    nodes = [
        helper.make_node("Conv", ["x", "d"], ["c"], group=64, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "p"], ["y"]),
    ]
    return _model(
        nodes, [1, 64, 56, 56], {"d": _weights(random, 64, 1, 3, 3), "p": _weights(random, 64, 64, 1, 1)}
    )  # fmt: skip


def _elementwise(random: np.random.Generator) -> onnx.ModelProto:
    """Softmax, sigmoid and sums: exponentials, and memory passed through."""
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Mul", ["s", "x"], ["m"]),
        helper.make_node("Softmax", ["m"], ["f"], axis=-1),
        helper.make_node("Add", ["f", "x"], ["y"]),
    ]
    return _model(nodes, [1, 256, 256], {})
