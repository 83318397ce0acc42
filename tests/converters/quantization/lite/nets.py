"""Small nets, quantized with the project's own roads, and lowered."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.quantization.calibration.calibrate import calibrate
from mlpack_edge.converters.quantization.lite import Borders, lite_from_model
from mlpack_edge.converters.quantization.lite_norms import with_norms_apart
from mlpack_edge.converters.quantization.prepared import Prepared, prepare
from mlpack_edge.converters.quantization.static import columns_of, static_model, tensors_of
from mlpack_edge.converters.quantization.stored import fp16_model, weights_model
from mlpack_edge.converters.quantization.values import Recipe
from mlpack_edge.converters.tflite_from_onnx.convert import Lowered
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from tests.converters.tflite_from_onnx.quantized_nets import NETS, rows
from tests.converters.tflite_from_onnx.test_quantized import as_written

Array = NDArray[Any]
STATIC = Recipe("static", "int8", exact_sums=False)
INTEGER_ONLY = Recipe("static", "int8", exact_sums=False, integer_only=True)
_KINDS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
_TYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}


def table_net(columns: int = 4) -> onnx.ModelProto:
    """Raw features (epoch seconds, a fraction, ...) -> BatchNormalization as exporters write it (Sub, Mul) -> two layers."""
    draw = np.random.default_rng(5)
    middle = np.array([1.7e9, 0.02, 500.0, -3.0], np.float32)[:columns]
    spread = np.array([2.0e7, 0.01, 300.0, 1.0], np.float32)[:columns]
    weights: dict[str, Array] = {
        "middle": middle, "factor": (1 / spread).astype(np.float32),
        "w0": draw.normal(0, 0.5, (columns, 32)), "b0": draw.normal(0, 0.1, 32),
        "w1": draw.normal(0, 0.3, (32, 3)), "b1": draw.normal(0, 0.1, 3),
    }  # fmt: skip
    nodes = [
        helper.make_node("Sub", ["x", "middle"], ["s"]),
        helper.make_node("Mul", ["s", "factor"], ["n"]),
        helper.make_node("Gemm", ["n", "w0", "b0"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w1", "b1"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", columns])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def table_rows(count: int, seed: int) -> Array:
    draw = np.random.default_rng(seed).normal(0, 1, (count, 4))
    return (draw * [2.0e7, 0.01, 300.0, 1.0] + [1.7e9, 0.02, 500.0, -3.0]).astype(np.float32)


@cache
def float_net(net: str) -> onnx.ModelProto:
    return table_net() if net == "table" else onnx.shape_inference.infer_shapes(NETS[net][0]())


def net_rows(net: str, count: int, seed: int = 7) -> Array:
    return table_rows(count, seed) if net == "table" else rows(net, count, seed)


def signature_of(net: str) -> Signature:
    return derived_signature(float_net(net))


@cache
def prepared(net: str) -> Prepared:
    return prepare(BuiltModel(float_net(net), signature_of(net), {}))


@cache
def quantized(net: str, recipe: Recipe) -> onnx.ModelProto:
    """The ONNX form that `lite_from_model` wants of the scheme."""
    source = with_norms_apart(prepared(net)) if recipe.integer_only else prepared(net)
    if recipe.scheme == "fp16":
        return fp16_model(source, recipe)
    if recipe.scheme != "static":
        return weights_model(source, recipe, portable=True)
    found = calibrate(
        source.model, tensors_of(source, recipe), [{"x": net_rows(net, 128, seed=3)}], ("minmax",),
        columns=columns_of(source, recipe),
    )  # fmt: skip
    return static_model(source, found.ranges("minmax"), recipe)


@cache
def lite(net: str, recipe: Recipe, io: Borders = "float") -> Lowered:
    return lite_from_model(quantized(net, recipe), signature_of(net), recipe, io)


def answers(model: onnx.ModelProto, x: Array) -> Array:
    """Of ONNX Runtime as the file is written: it would quantize the activations behind stored weights by itself."""
    found: Array = as_written(model).run(["y"], {"x": x})[0]
    return found


def noise(found: Array, expected: Array) -> float:
    """Mean square of the error over the variance of what is expected."""
    return float(np.mean((found - expected) ** 2) / np.var(expected))


def operators(data: bytes) -> list[tuple[str, int, tuple[str, ...], str]]:
    """(kind, version, types of the inputs, type of the first output) of each operator of the main graph."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    found = []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        types = tuple(_TYPES[graph.tensors[place].type] if place >= 0 else "" for place in op.inputs)
        found.append((_KINDS[code.builtinCode], code.version, types, _TYPES[graph.tensors[op.outputs[0]].type]))
    return found
