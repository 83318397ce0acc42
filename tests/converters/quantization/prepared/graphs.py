"""Small graphs as a conversion gives them, and what ONNX Runtime computes and makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from mlpack_edge.runtimes.onnxruntime import open_session, run

Array = NDArray[Any]
Sizes = Sequence[int | str]


class Graph:
    """Nodes one after the other; constants are float32 where they are lists or floats."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Array] = {}

    def const(self, value: Any, name: str | None = None) -> str:
        array = np.asarray(value)
        name = name or f"c{len(self.constants)}"
        self.constants[name] = array.astype(np.float32) if array.dtype == np.float64 else array
        return name

    def normal(self, *shape: int, size: float = 1.0, name: str | None = None) -> str:
        return self.const((self.random.normal(size=shape) * size).astype(np.float32), name)

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        output = out or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def dense(self, x: str, inner: int, outputs: int, bias: bool = True) -> str:
        """A Gemm as torch writes it: weights [outputs, inner]."""
        inputs = [x, self.normal(outputs, inner, size=inner**-0.5)]
        return self.op("Gemm", *inputs, *([self.normal(outputs, size=0.1)] if bias else []), transB=1)

    def product(self, x: str, inner: int, outputs: int) -> str:
        return self.op("MatMul", x, self.normal(inner, outputs, size=inner**-0.5))

    def conv(self, x: str, into: int, out: int, side: int = 3, **attributes: Any) -> str:
        groups = attributes.get("group", 1)
        weights = self.normal(out, into // groups, side, side, size=(into // groups * side * side) ** -0.5)
        return self.op("Conv", x, weights, self.normal(out, size=0.1), pads=[side // 2] * 4, **attributes)

    def model(
        self, inputs: Mapping[str, Sizes], *outputs: str, opset: int = 17, dtypes: Mapping[str, int] | None = None
    ) -> onnx.ModelProto:
        """inputs: float32 unless `dtypes` (ONNX types by name) says otherwise; outputs: float32 of the rank inferred."""
        dtypes = dtypes or {}
        graph = helper.make_graph(
            self.nodes, "net",
            [helper.make_tensor_value_info(name, dtypes.get(name, 1), list(shape)) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, dtypes.get(name, 1), None) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )  # fmt: skip
        domains = sorted({node.domain for node in self.nodes} - {""})
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=8)
        inferred = onnx.shape_inference.infer_shapes(model)
        for value, found in zip(model.graph.output, inferred.graph.output, strict=True):
            if found.type.tensor_type.HasField("shape"):
                value.CopyFrom(found)
        return model


def built(model: onnx.ModelProto) -> BuiltModel:
    return BuiltModel(model, derived_signature(model), {})


def answers(model: onnx.ModelProto, **feeds: Array) -> list[Array]:
    return list(run(open_session(model.SerializeToString()), feeds).values())


def noise(model: onnx.ModelProto, original: onnx.ModelProto, **feeds: Array) -> float:
    """The worst mean square of an output's error over the variance of the output."""
    pairs = zip(answers(model, **feeds), answers(original, **feeds), strict=True)
    return max(float(np.square(a.astype(np.float64) - b).mean() / b.astype(np.float64).var()) for a, b in pairs)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def kinds_run(model: onnx.ModelProto) -> Counter[str]:
    """The operators that ONNX Runtime runs, after its optimizations."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "optimized.onnx")
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return kinds(onnx.load(path))
