"""What becomes of the file: opsets, stale shapes, biases, half floats, the types of codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.converters.onnx_from_onnx.convert import convert
from mlpack_edge.converters.quantization.job import quantize
from mlpack_edge.converters.quantization.lite import lite_from_model
from mlpack_edge.converters.quantization.prepared import prepare
from mlpack_edge.converters.quantization.stored import dynamic_model, fp16_model, weights_model
from mlpack_edge.converters.quantization.values import Recipe
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from tests.converters.quantization.lite.nets import INTEGER_ONLY, STATIC, lite, operators
from tests.converters.quantization.prepared.graphs import Graph, answers, built
from tests.converters.quantization.traps.roads import S8S8, U8S8, answer, lite_of, noise_of_slices, static_of


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3, 8, 8)).astype(np.float32)


def _convnet(opset: int) -> onnx.ModelProto:
    graph = Graph()
    x = graph.op("Relu", graph.conv("x", 3, 16))
    x = graph.op("Flatten", graph.op("GlobalAveragePool", graph.conv(x, 16, 8)))
    return graph.model({"x": ["batch", 3, 8, 8]}, x, opset=opset)


@pytest.mark.parametrize("recipe", [U8S8, S8S8])
@pytest.mark.parametrize("opset", [8, 11, 12])
def test_a_model_of_an_old_opset_gets_a_scale_a_channel_in_a_valid_file(opset: int, recipe: Recipe) -> None:
    """Below opset 13 QuantizeLinear has no axis, and a file that says so is invalid."""
    model, rows = _convnet(opset), _images(100)
    made = static_of(model, rows, recipe)
    assert next(item.version for item in made.opset_import if not item.domain) >= 13
    sizes = {tensor.name: tensor.dims for tensor in made.graph.initializer}
    scales = [
        list(sizes[node.input[1]]) for node in made.graph.node if any(one.name == "axis" for one in node.attribute)
    ]
    assert [16] in scales and [8] in scales
    assert noise_of_slices(answer(made, rows[:30]), answer(model, rows[:30])).max() < 0.02


def test_shapes_that_an_exporter_left_behind_do_not_reach_the_file() -> None:
    """Recorded at another rank and batch, which ONNX Runtime believes: converting leaves them out before anything looks."""
    graph = Graph()
    hidden = graph.op("Relu", graph.dense("x", 8, 64))
    folded = graph.op("Reshape", hidden, graph.const(np.array([-1, 4, 16])))
    product = graph.op("Add", graph.product(folded, 16, 32), graph.normal(32))
    model = graph.model({"x": ["batch", 8]}, graph.product(graph.op("Relu", product), 32, 5))
    for name, sizes in ((hidden, [1, 64]), (folded, [4, 16]), (product, [4, 32])):
        model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes))
    rows = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    made = static_of(convert(model).model, rows)
    onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True)
    del model.graph.value_info[:]
    assert noise_of_slices(answer(made, rows), answer(model, rows)).max() < 0.01
    for count in (1, 5):
        assert answer(made, rows[:count]).shape == (count, 4, 5)


def test_the_newest_opset_and_ir_are_brought_to_what_onnx_runtime_opens(tmp_path: Path) -> None:
    graph = Graph()
    model = graph.model({"x": ["batch", 24]}, graph.product(graph.op("Relu", graph.product("x", 24, 64)), 64, 5))
    newest = onnx.defs.onnx_opset_version()
    model.opset_import[0].version, model.ir_version = newest, onnx.IR_VERSION
    assert newest > 26
    onnx.save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(300, 24)).astype(np.float32))
    made = quantize(
        {
            "model": str(tmp_path / "net.onnx"), "to": "onnx", "output": "small.onnx", "data": str(tmp_path / "rows.npy"),
            "evaluation": None, "label": None, "metric": None, "whole": [], "scheme": "static", "method": "minmax", "bits": None,
            "io": "float", "keep_float": [], "max_drop": 0.05, "max_bytes": None, "seconds": 60.0, "verbose": False,
            "dtype": None, "weights": None, "shapes": [], "trust_pickle": False, "scratch": str(tmp_path), "arm": False,
            "integer_only": False,
        },
        lambda stage: None,
    )  # fmt: skip
    paths = [one["path"] for one in made["points"] if one["path"]]
    assert paths
    for path in paths:
        small = onnx.load(path)
        assert small.opset_import[0].version <= 26 and small.ir_version <= 13
        answers(small, x=np.zeros((2, 24), np.float32))


def _coded(model: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray]:
    """The int8 weights of the only layer, [outputs, inputs], and their scales."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    (found,) = (
        node for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in held and held[node.input[0]].ndim == 2
    )  # fmt: skip
    return held[found.input[0]], held[found.input[1]]


@pytest.mark.parametrize("recipe", [U8S8, S8S8])
def test_a_channel_whose_bias_needs_a_larger_scale_leaves_those_of_the_others(recipe: Recipe) -> None:
    """In steps of both scales a bias of 5,000 beside weights of 1e-9 does not fit int32, and ONNX Runtime's quantizer widens
    the scales of weights for it. Here the channel that needs it loses alone, and nothing that shows beside its bias."""
    draw, others = np.random.default_rng(3), [0, 1, 3, 4, 5]
    weights, rows = draw.normal(size=(6, 12)), draw.normal(size=(300, 12)).astype(np.float32) * 1e-3
    found = []
    for factor, bias in ((1.0, 0.0), (1e-9, 5e3)):
        content, biases = weights.copy(), np.full(6, 1e-3)
        content[2] *= factor
        biases[2] += bias
        graph = Graph()
        value = graph.op("Gemm", "x", graph.const(content), graph.const(biases), transB=1)
        model = graph.model({"x": ["batch", 12]}, value)
        made = static_of(model, rows, recipe)
        found.append(_coded(made))
        assert np.abs(answer(made, rows)[:, 2] - biases[2] - rows @ content[2].astype(np.float32)).max() < 0.005 * (
            bias or 6
        )
        if recipe is U8S8:  # int8 codes leave the layer on one scale for all its columns
            assert noise_of_slices(answer(made, rows)[:, others], answer(model, rows)[:, others]).max() < 1e-3
    (plain, plain_scale), (moved, moved_scale) = found
    assert np.array_equal(plain[others], moved[others]) and np.array_equal(plain_scale[others], moved_scale[others])
    assert moved_scale[2] > 100 * 1e-9 / 127


@pytest.mark.parametrize("recipe", [U8S8, S8S8, INTEGER_ONLY])
def test_a_large_bias_of_one_layer_leaves_another_that_reads_its_weights_as_it_is(recipe: Recipe) -> None:
    """They share one copy of the codes where no bias takes a larger scale than the weights; then each has its own."""
    draw = np.random.default_rng(0)
    content, rows = draw.normal(size=(8, 8)), draw.normal(size=(300, 8)).astype(np.float32)
    found, copies = [], []
    for bias in (0.0, 1e4):
        graph = Graph()
        weights = graph.const(content)
        small = graph.op("Relu", graph.op("Gemm", graph.op("Mul", "x", graph.const(1e-3)), graph.const(np.eye(8))))
        shifted = graph.op("Gemm", small, weights, graph.const(np.full(8, bias)))
        plain = graph.op("Gemm", "x", weights, graph.const(np.zeros(8)))
        model = graph.model({"x": ["batch", 8]}, plain, shifted)
        made = static_of(model, rows, recipe)
        found.append(noise_of_slices(answer(made, rows), answer(model, rows)).max())
        copies.append(
            sum(item.data_type == TensorProto.INT8 and list(item.dims) == [8, 8] for item in made.graph.initializer)
        )
        assert np.abs(answers(made, x=rows)[1] - answers(model, x=rows)[1]).max() < 1e-4 * bias + 0.01
    assert found[1] == pytest.approx(found[0], rel=0.5) and found[1] < 1e-3
    assert copies == [2, 3]


@pytest.mark.parametrize("to", ["onnx", "tflite"])
def test_half_floats_are_stored_and_never_computed_with(to: str) -> None:
    """Sums of 1e7 overflow float16: a text detector kept 67 % of its answers in it elsewhere."""
    graph = Graph()
    wide = graph.op("Relu", graph.op("MatMul", "x", graph.normal(300, 64, size=1e4)))
    model = graph.model({"x": ["batch", 300]}, graph.op("MatMul", wide, graph.normal(64, 8, size=1e-6)))
    rows = np.random.default_rng(0).normal(size=(20, 300)).astype(np.float32) * 100
    assert np.abs(answers(model, x=rows)[0]).max() > 1 and np.isfinite(answers(model, x=rows)[0]).all()
    made = fp16_model(prepare(built(model)), Recipe("fp16"))
    file = made if to == "onnx" else lite_from_model(made, derived_signature(model), Recipe("fp16")).data
    size = len(file) if isinstance(file, bytes) else made.ByteSize()
    assert size < 0.6 * model.ByteSize()
    assert noise_of_slices(answer(file, rows), answer(model, rows)).max() < 1e-5


@pytest.mark.parametrize("net", ["cnn", "mlp", "transformer", "table"])
def test_no_file_computes_with_activations_of_16_bits(net: str) -> None:
    """8 to 20 times slower on this kind of processor; what 8 bits do not hold stays float."""
    for recipe in (STATIC, INTEGER_ONLY, Recipe("dynamic"), Recipe("weights")):
        assert not [kind for kind, _, types, out in operators(lite(net, recipe).data) if "int16" in (*types, out)]


def test_convolutions_on_scales_of_each_call_are_in_no_file() -> None:
    """ConvInteger was slower than float on every net: of schemes without calibration, none has it."""
    prepared = prepare(built(_convnet(17)))
    files = [dynamic_model(prepared, Recipe("dynamic", stored=True)), weights_model(prepared, Recipe("weights"))]
    for made in files:
        assert not {"ConvInteger", "DynamicQuantizeLinear"} & {node.op_type for node in made.graph.node}
        assert noise_of_slices(answer(made, _images(50)), answer(prepared.model, _images(50))).max() < 0.01


def test_what_an_npu_gets_has_no_float_product() -> None:
    """Arm's compiler takes a float model, does nothing, and exits 0 with a time of 0."""
    graph = Graph()
    hidden = graph.op("Relu", graph.dense("x", 24, 64))
    model = graph.model({"x": ["batch", 24]}, graph.dense(hidden, 64, 5))
    rows = np.random.default_rng(0).normal(size=(200, 24)).astype(np.float32)
    recipe = Recipe("static", "int8", exact_sums=False, integer_only=True)
    kinds = [(kind, types) for kind, _, types, _ in operators(lite_of(model, rows, recipe))]
    assert [types[:2] for kind, types in kinds if kind == "FULLY_CONNECTED"] == [("int8", "int8")] * 2
