"""Small nets made node by node, calibrated by running them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

from mlpack_edge.converters.quantization.static import columns_of, static_model, tensors_of
from mlpack_edge.converters.quantization.values import Range, Recipe

Array = NDArray[Any]
U8S8, S8S8 = Recipe("static"), Recipe("static", activations="int8")


@dataclass
class Net:
    """What `prepare` gives, as far as it is read."""

    model: onnx.ModelProto


class Nodes:
    """Nodes one after the other; names are those of the operators with a number."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        name = f"const_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def normal(self, *shape: int, size: float = 1.0) -> str:
        return self.constant(self.random.normal(size=shape) * size)

    def add(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        output = out or f"{name}_out"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=name, **attributes))
        return output

    def conv(self, x: str, into: int, out: int, k: int = 3, bias: bool = True, **attributes: Any) -> str:
        groups = attributes.get("group", 1)
        weights = self.normal(out, into // groups, k, k, size=(2 / (into // groups * k * k)) ** 0.5)
        inputs = [x, weights] + ([self.normal(out, size=0.2)] if bias else [])
        return self.add("Conv", *inputs, pads=[k // 2] * 4, kernel_shape=[k, k], **attributes)

    def dense(self, x: str, into: int, out: int, kind: str = "Gemm") -> str:
        size = (2 / into) ** 0.5
        if kind == "Gemm":
            return self.add("Gemm", x, self.normal(out, into, size=size), self.normal(out, size=0.2), transB=1)
        product = self.add("MatMul", x, self.normal(into, out, size=size))
        return self.add("Add", product, self.normal(out, size=0.2))

    def net(self, shape: list[int | str], *outputs: str, opset: int = 17) -> Net:
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info("x", 1, shape)],
            [helper.make_tensor_value_info(name, 1, None) for name in outputs], self.constants,
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return Net(shape_inference.infer_shapes(model, data_prop=True))


def mlp(kind: str = "Gemm", inputs: int = 16, outputs: int = 4) -> Net:
    nodes = Nodes()
    x = nodes.add("Relu", nodes.dense("x", inputs, 32, kind))
    x = nodes.add("Relu", nodes.dense(x, 32, 32, kind))
    return nodes.net(["batch", inputs], nodes.dense(x, 32, outputs, kind))


def cnn() -> Net:
    """Convolutions with a residual, a depthwise one, pools, and a dense end."""
    nodes = Nodes()
    x = nodes.add("Relu", nodes.conv("x", 3, 16))
    x = nodes.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    y = nodes.add("Clip", nodes.conv(x, 16, 16, group=16), nodes.constant(0.0), nodes.constant(6.0))
    y = nodes.conv(y, 16, 16, k=1)
    x = nodes.add("Relu", nodes.add("Add", x, y))
    x = nodes.add("Relu", nodes.conv(x, 16, 32, bias=False))
    x = nodes.add("Flatten", nodes.add("GlobalAveragePool", x))
    return nodes.net(["batch", 3, 16, 16], nodes.dense(x, 32, 10))


def ranges_of(net: Net, x: Array, recipe: Recipe) -> dict[str, Range]:
    """Minimum and maximum of what calibration is to observe."""
    names = tensors_of(net, recipe)
    apart = columns_of(net, recipe)
    watched = onnx.ModelProto()
    watched.CopyFrom(net.model)
    known = {info.name for info in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known and name != "x")
    found = run(watched, x)
    found["x"] = x
    ranges = {}
    for name in names:
        axes = tuple(range(found[name].ndim - 1)) if name in apart else None
        low, high = found[name].min(axis=axes), found[name].max(axis=axes)
        ranges[name] = Range(np.asarray(low, np.float64), np.asarray(high, np.float64))
    return ranges


def quantized(net: Net, x: Array, recipe: Recipe = U8S8) -> onnx.ModelProto:
    model = static_model(net, ranges_of(net, x, recipe), recipe)
    onnx.checker.check_model(model, full_check=True)
    return model


def session(model: onnx.ModelProto, optimized: str | None = None, **entries: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    for key, value in entries.items():
        options.add_session_config_entry(f"session.{key}", value)
    if optimized is not None:
        options.optimized_model_filepath = optimized
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto, x: Array) -> dict[str, Array]:
    opened = session(model)
    names = [entry.name for entry in opened.get_outputs()]
    return dict(zip(names, opened.run(None, {"x": x}), strict=True))


def first(model: onnx.ModelProto, x: Array) -> Array:
    return next(iter(run(model, x).values()))


def noise_db(net: Net, model: onnx.ModelProto, x: Array) -> float:
    """Signal to noise of the first output."""
    real, made = first(net.model, x).astype(np.float64), first(model, x).astype(np.float64)
    return float(10 * np.log10(real.var() / np.mean((real - made) ** 2)))


def kinds(model: onnx.ModelProto, folder: Any, **entries: str) -> Counter[str]:
    """How many nodes of each operator ONNX Runtime runs."""
    path = str(folder / "optimized.onnx")
    session(model, path, **entries)
    return Counter(node.op_type for node in onnx.load(path).graph.node)
