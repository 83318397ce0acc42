"""Small nets and what onnxruntime.quantization makes of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

Array = NDArray[Any]
_N = helper.make_node


class _Net:
    """A float net under construction; weights are drawn as they are asked for."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int, scale: float = 0.0) -> str:
        name = f"w{len(self.weights)}"
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 4
        array = self.random.normal(0, scale or 1.2 / np.sqrt(fan), shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def constant(self, array: Array) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(_N(kind, list(inputs), [name], name=name, **attributes))
        return name

    def conv(self, x: str, into: int, out: int, kernel: int = 3, group: int = 1, **attributes: Any) -> str:
        w = self.weight(out, into // group, kernel, kernel)
        pad = attributes.pop("pads", [kernel // 2] * 4)
        return self.op("Conv", x, w, self.weight(out, scale=0.1), group=group, pads=pad, **attributes)

    def model(self, x: tuple[int | str, ...], out: str, y: tuple[int | str, ...]) -> onnx.ModelProto:
        float32 = onnx.TensorProto.FLOAT
        self.nodes.append(_N("Identity", [out], ["y"]))
        self.nodes[-2].output[0] = "y"
        self.nodes.pop()
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", float32, x)],
            [helper.make_tensor_value_info("y", float32, y)],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def cnn() -> onnx.ModelProto:
    """Convolution, depthwise, residual sum, two branches joined, both pools, a dense layer, softmax."""
    net = _Net(0)
    x = net.op("Relu", net.conv("x", 3, 8, strides=[2, 2], pads=[1, 1, 1, 1]))
    branch = net.op("Relu", net.conv(x, 8, 8, group=8))
    branch = net.conv(branch, 8, 8, kernel=1)
    x = net.op("Relu", net.op("Add", x, branch))
    x = net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Concat", net.op("Relu", net.conv(x, 8, 4, kernel=1)), net.op("Relu", net.conv(x, 8, 8)), axis=1)
    x = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    pooled = net.op("GlobalAveragePool", x)
    x = net.op("Flatten", net.op("Mul", x, net.op("Sigmoid", net.conv(pooled, 12, 12, kernel=1))))
    x = net.op("Relu", net.op("Gemm", x, net.weight(16, 48), net.weight(16, scale=0.1), transB=1))
    x = net.op("Softmax", net.op("Gemm", x, net.weight(5, 16, scale=1.0), net.weight(5), transB=1), axis=-1)
    return net.model(("batch", 3, 16, 16), x, ("batch", 5))


def mlp() -> onnx.ModelProto:
    """Dense layers as MatMul and Add, and as Gemm."""
    net = _Net(1)
    x = net.op("Relu", net.op("Add", net.op("MatMul", "x", net.weight(20, 32, scale=0.3)), net.weight(32)))
    x = net.op("Tanh", net.op("Gemm", x, net.weight(32, 16, scale=0.3), net.weight(16)))
    x = net.op("Gemm", x, net.weight(16, 3, scale=0.5), net.weight(3))
    return net.model(("batch", 20), x, ("batch", 3))


def transformer() -> onnx.ModelProto:
    """One block: attention with two heads, sums, layer normalization, a dense part."""
    net, width, heads = _Net(2), 16, 2

    def dense(x: str, into: int, out: int) -> str:
        return net.op("Add", net.op("MatMul", x, net.weight(into, out, scale=0.25)), net.weight(out, scale=0.1))

    def split(x: str, perm: list[int]) -> str:
        shape = net.constant(np.array([0, 6, heads, width // heads], np.int64))
        return net.op("Transpose", net.op("Reshape", x, shape), perm=perm)

    def normal(x: str) -> str:
        ones = net.constant((1 + net.random.normal(0, 0.1, width)).astype(np.float32))
        return net.op("LayerNormalization", x, ones, net.weight(width, scale=0.1), axis=-1)

    q, k, v = (split(dense("x", width, width), perm) for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    scores = net.op("Div", net.op("MatMul", q, k), net.constant(np.array(np.sqrt(8), np.float32)))
    mixed = net.op("Transpose", net.op("MatMul", net.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    mixed = net.op("Reshape", mixed, net.constant(np.array([0, 6, width], np.int64)))
    x = normal(net.op("Add", "x", dense(mixed, width, width)))
    x = normal(net.op("Add", x, dense(net.op("Relu", dense(x, width, 32)), 32, width)))
    return net.model(("batch", 6, width), x, ("batch", 6, width))


NETS: dict[str, tuple[Callable[[], onnx.ModelProto], tuple[int, ...]]] = {
    "cnn": (cnn, (3, 16, 16)),
    "mlp": (mlp, (20,)),
    "transformer": (transformer, (6, 16)),
}
#: (format, activations, weights, per channel)
WAYS = {
    "qdq s8s8 per channel": (QuantFormat.QDQ, QuantType.QInt8, QuantType.QInt8, True),
    "qdq u8s8 per channel": (QuantFormat.QDQ, QuantType.QUInt8, QuantType.QInt8, True),
    "qoperator u8s8": (QuantFormat.QOperator, QuantType.QUInt8, QuantType.QInt8, True),
    "qoperator s8s8": (QuantFormat.QOperator, QuantType.QInt8, QuantType.QInt8, False),
    "qdq u8u8": (QuantFormat.QDQ, QuantType.QUInt8, QuantType.QUInt8, False),
    "qoperator u8u8": (QuantFormat.QOperator, QuantType.QUInt8, QuantType.QUInt8, False),
}


def rows(net: str, count: int, seed: int = 7) -> Array:
    return np.random.default_rng(seed).normal(0, 1, (count, *NETS[net][1])).astype(np.float32)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime.quantization has no types
    def __init__(self, array: Array) -> None:
        self.left: Iterator[Array] = iter(np.split(array, len(array)))

    def get_next(self) -> dict[str, Array] | None:
        row = next(self.left, None)
        return None if row is None else {"x": row}


def quantized(net: str, way: str, **extra: Any) -> onnx.ModelProto:
    """The net as ONNX Runtime's static quantization writes it."""
    form, activations, weights, per_channel = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "q.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(NETS[net][0]()), source)
        quantize_static(
            source, target, _Reader(rows(net, 64, seed=3)), quant_format=form, activation_type=activations,
            weight_type=weights, per_channel=per_channel, extra_options=extra,
        )  # fmt: skip
        return onnx.load(target)


def dynamic(net: str, weights: Any = QuantType.QInt8) -> onnx.ModelProto:
    """The net as ONNX Runtime's dynamic quantization writes it."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "q.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(NETS[net][0]()), source)
        quantize_dynamic(source, target, weight_type=weights)
        return onnx.load(target)
