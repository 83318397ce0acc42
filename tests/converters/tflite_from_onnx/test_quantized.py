"""Nets that ONNX Runtime quantized, in TFLite: int8 kernels, the same codes and scales, the same answers to a few steps."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from onnx import numpy_helper

from tests.converters.tflite_from_onnx.lowered import kinds, lower, run_tflite
from tests.converters.tflite_from_onnx.quantized_nets import NETS, WAYS, dynamic, quantized, rows

Array = NDArray[Any]
#: int8 kernels round their fixed-point factors on their own, and layer normalization makes two steps of one: ONNX
#: Runtime's own optimized and plain kernels differ by 5 on the transformer.
_STEPS = 7.5
_ALL = [(net, way) for net in NETS for way in WAYS]
_KIND = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


def as_written(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """ONNX Runtime without optimizations: each operator as the file has it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main_graph(data: bytes) -> tuple[Any, Any]:
    """The model and its main graph as the generated classes unpack them."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    return model, model.subgraphs[0]


def stored_codes(data: bytes) -> list[tuple[Array, Array, Array]]:
    """(codes, scales, zero points) of the constants of 8 bits."""
    model, graph = main_graph(data)
    found = []
    for tensor in graph.tensors:
        raw = model.buffers[tensor.buffer].data
        if tensor.type in (schema.TensorType.INT8, schema.TensorType.UINT8) and raw is not None and len(raw):
            dtype = np.int8 if tensor.type == schema.TensorType.INT8 else np.uint8
            codes = np.asarray(raw, np.uint8).view(dtype).reshape(tensor.shape)
            found.append((codes, np.asarray(tensor.quantization.scale), np.asarray(tensor.quantization.zeroPoint)))
    return found


def operator_types(data: bytes, kind: str) -> list[tuple[int, int, int]]:
    """The types of input 0, input 1 and output of each operator of a kind."""
    model, graph = main_graph(data)
    return [
        (*(graph.tensors[place].type for place in op.inputs[:2]), graph.tensors[op.outputs[0]].type)
        for op in graph.operators
        if _KIND[model.operatorCodes[op.opcodeIndex].builtinCode] == kind
    ]


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, str], tuple[onnx.ModelProto, bytes]]:
    """Each net quantized each way, and lowered."""
    models = {key: quantized(*key) for key in _ALL}
    return {key: (model, lower(model).data) for key, model in models.items()}


@pytest.mark.parametrize(("net", "way"), _ALL)
def test_answers_are_those_of_onnx_runtime_to_a_few_steps(made: Any, net: str, way: str) -> None:
    """At batches of 1, 2, 7 and 64, with XNNPACK and without; on average within a quarter of a step."""
    model, data = made[net, way]
    session = as_written(model)
    whole = session.run(None, {"x": rows(net, 64)})[0]
    step = float(whole.max() - whole.min()) / 255
    for batch in (1, 2, 7, 64):
        x = rows(net, batch)
        expected = session.run(None, {"x": x})[0]
        for delegate in (True, False):
            found = run_tflite(data, {"x": x}, delegate)["y"]
            assert found.shape == expected.shape
            apart = np.abs(found - expected) / step
            assert apart.max() <= _STEPS, (batch, delegate, apart.max())
            if batch == 64:
                assert apart.mean() <= 0.75, (batch, delegate, apart.mean())


@pytest.mark.parametrize("way", [way for way in WAYS if "u8u8" not in way])
def test_weights_keep_their_codes_and_scales(made: Any, way: str) -> None:
    """Filters are the source's int8 codes with other axes, per channel where the source's are."""
    model, data = made["cnn", way]
    arrays = {init.name: numpy_helper.to_array(init) for init in model.graph.initializer}
    known = stored_codes(data)
    # the columns of the dense layer behind the convolutions lie in another order
    filters = [name for name, array in arrays.items() if array.dtype == np.int8 and array.ndim in (2, 4)]
    assert len(filters) == 8
    for name in filters:
        scale = next(array for other, array in arrays.items() if other == name.removesuffix("_quantized") + "_scale")
        turned = _turned(arrays[name])
        assert any(
            any(np.array_equal(codes, one) for one in turned)
            and np.array_equal(scales, scale.reshape(-1))
            and not zeros.any()
            for codes, scales, zeros in known
        ), name


def _turned(filters: Array) -> list[Array]:
    if filters.ndim == 2:
        dense = [filters, filters.T]
        return [
            *dense,
            *(one.reshape(-1, 12, 2, 2).transpose(0, 2, 3, 1).reshape(-1, 48) for one in dense if one.shape[1] == 48),
        ]
    return [filters.transpose(0, 2, 3, 1), filters.transpose(1, 2, 3, 0)]


@pytest.mark.parametrize("way", WAYS)
def test_convolutions_and_products_run_on_codes(made: Any, way: str) -> None:
    """Every operator that has an int8 kernel for its scales runs on it: nothing is dequantized in between."""
    bytes_or_codes = {schema.TensorType.INT8, schema.TensorType.UINT8}
    _, data = made["cnn", way]
    # an average pool between two scales is a depthwise convolution with ones
    depthwise = 2 - kinds(data).count("AVERAGE_POOL_2D")
    for kind, count in (
        ("CONV_2D", 5),
        ("DEPTHWISE_CONV_2D", depthwise),
        ("FULLY_CONNECTED", 2),
        ("ADD", 1),
        ("MUL", 1),
    ):
        types = operator_types(data, kind)
        assert len(types) == count
        assert all(set(each) <= bytes_or_codes for each in types), kind
    found = Counter(kinds(data))
    left = found["DEQUANTIZE"] - found["LOGISTIC"] - found["SOFTMAX"]
    assert left <= 1 if "qdq" in way else found["DEQUANTIZE"] <= 2


@pytest.mark.parametrize("way", WAYS)
def test_attention_runs_on_codes(made: Any, way: str) -> None:
    """Both products of attention and every dense layer are on codes; layer normalization stays float."""
    _, data = made["transformer", way]
    codes = {schema.TensorType.INT8, schema.TensorType.UINT8}
    for kind, count in (("BATCH_MATMUL", 2), ("FULLY_CONNECTED", 6)):
        types = operator_types(data, kind)
        assert len(types) == count
        assert all(set(each) <= codes for each in types), kind


def test_an_mlp_on_xnnpack_is_onnx_runtime_to_the_last_bit(made: Any) -> None:
    """Activations of either sign and weights of each channel or all: the very same codes."""
    for way in WAYS:
        model, data = made["mlp", way]
        x = rows("mlp", 64)
        np.testing.assert_array_equal(run_tflite(data, {"x": x})["y"], as_written(model).run(None, {"x": x})[0])


def test_transposes_stay_at_the_border(made: Any) -> None:
    """The dense layer behind the convolutions takes its columns in the order in which they lie, as codes too."""
    for way in ("qdq s8s8 per channel", "qdq u8s8 per channel"):
        assert kinds(made["cnn", way][1]).count("TRANSPOSE") == 1


@pytest.mark.parametrize("net", NETS)
def test_reference_kernels_agree(made: Any, net: str) -> None:
    """LiteRT's plain kernels, which give the same bits on every processor."""
    for way in WAYS:
        model, data = made[net, way]
        x = rows(net, 32)
        expected = as_written(model).run(None, {"x": x})[0]
        interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        place = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(place, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, x)
        interpreter.invoke()
        found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        assert np.abs(found - expected).max() / (np.ptp(expected) / 255) <= _STEPS


def test_unsigned_activations_are_held_as_signed_ones(made: Any) -> None:
    """U8S8 and S8S8 are the same file but for names: the same grid."""
    signed, unsigned = made["mlp", "qdq s8s8 per channel"][1], made["mlp", "qdq u8s8 per channel"][1]
    for one, two in zip(stored_codes(signed), stored_codes(unsigned), strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("net", NETS)
def test_dynamically_quantized_nets_are_exact(net: str) -> None:
    """Activations quantized as they come, integer products, as ONNX Runtime computes them; weights stay int8."""
    model = dynamic(net)
    data = lower(model).data
    session = as_written(model)
    for batch in (1, 2, 7):
        x = rows(net, batch)
        expected = session.run(None, {"x": x})[0]
        for delegate in (True, False):
            found = run_tflite(data, {"x": x}, delegate)["y"]
            span = float(np.ptp(expected)) / 255
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2 * span)


def test_weights_alone_may_be_quantized() -> None:
    """int8 weights under float activations: the file holds codes, and computes with exactly their real numbers."""
    model = NETS["cnn"][0]()
    arrays = {init.name: init for init in model.graph.initializer}
    nodes = []
    for node in list(model.graph.node):
        if node.op_type not in ("Conv", "Gemm"):
            continue
        name = node.input[1]
        array = numpy_helper.to_array(arrays[name])
        scale = (np.abs(array).reshape(len(array), -1).max(axis=1) / 127).astype(np.float32)
        codes = np.rint(array / scale.reshape(-1, *[1] * (array.ndim - 1))).astype(np.int8)
        model.graph.initializer.remove(arrays[name])
        model.graph.initializer.extend([
            numpy_helper.from_array(codes, f"{name}_q"), numpy_helper.from_array(scale, f"{name}_s"),
        ])  # fmt: skip
        nodes.append(onnx.helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_s"], [name], axis=0))
    ordered = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    data = lower(model).data
    large = [codes.size for codes, _, _ in stored_codes(data)]
    assert sorted(large) == [576, 768]  # smaller ones are floats: a DEQUANTIZE would cost more than it saves
    x = rows("cnn", 7)
    expected = as_written(model).run(None, {"x": x})[0]
    for delegate in (True, False):
        np.testing.assert_allclose(run_tflite(data, {"x": x}, delegate)["y"], expected, rtol=1e-4, atol=1e-6)
