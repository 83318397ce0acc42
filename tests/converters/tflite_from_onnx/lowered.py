"""The yardstick of the lowering: lower a model, run both files with the real runtimes, compare every output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.convert import Lowered, tflite_from_onnx
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from mlpack_edge.runtimes.onnxruntime import open_session, run

Array = NDArray[Any]


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[str, Sequence[int | str]]],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    opset: int = 21,
) -> onnx.ModelProto:
    """A model of some nodes. inputs: name -> (numpy dtype, shape); what the outputs are is inferred."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for name, (dtype, shape) in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def lower(model: onnx.ModelProto, **options: Any) -> Lowered:
    return tflite_from_onnx(model, derived_signature(model), **options)


def run_tflite(data: bytes, feeds: Mapping[str, Array], delegate: bool = True) -> dict[str, Array]:
    """All outputs by name; delegate: with XNNPACK, LiteRT's default."""
    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver)
    places = {detail["name"]: detail for detail in interpreter.get_input_details()}
    for name, array in feeds.items():
        if tuple(places[name]["shape"]) != array.shape:
            interpreter.resize_tensor_input(places[name]["index"], array.shape)
    interpreter.allocate_tensors()
    for name, array in feeds.items():
        interpreter.set_tensor(places[name]["index"], array)
    interpreter.invoke()
    return {detail["name"]: interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()}


def assert_lowered(
    model: onnx.ModelProto, *feeds: Mapping[str, Array], rtol: float = 1e-5, atol: float = 1e-6
) -> Lowered:
    """Lower `model` and compare it with ONNX Runtime on each of `feeds`, with XNNPACK and without."""
    lowered = lower(model)
    session = open_session(model.SerializeToString())
    for fed in feeds:
        expected = run(session, dict(fed))
        for delegate in (True, False):
            made = run_tflite(lowered.data, fed, delegate)
            for name, wanted in expected.items():
                assert made[name].shape == wanted.shape, f"{name}: {made[name].shape} for {wanted.shape}"
                if wanted.dtype.kind == "f":
                    np.testing.assert_allclose(made[name], wanted, rtol=rtol, atol=atol, err_msg=name)
                else:
                    assert made[name].dtype == wanted.dtype, f"{name}: {made[name].dtype} for {wanted.dtype}"
                    np.testing.assert_array_equal(made[name], wanted, err_msg=name)
    return lowered


def kinds(data: bytes) -> list[str]:
    """The operators of a TFLite file in order."""
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    return [op["op_name"] for op in interpreter._get_ops_details()]
