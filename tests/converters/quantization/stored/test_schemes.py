"""Weights as int8, int4 and float16, and products on codes: small files, small errors, operators that are fast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.stored import dynamic_model, fp16_model, layers_of, weights_model
from mlpack_edge.converters.quantization.stored.writer import finished
from mlpack_edge.converters.quantization.values import Recipe
from mlpack_edge.core.errors import Unsupported
from tests.converters.quantization.prepared.graphs import Graph, answers, kinds, kinds_run, noise
from tests.converters.quantization.stored.nets import FEEDS, NETS, attention, convnet, embedding, mlp, prepared_of, rows

Make = Callable[[Prepared, Recipe], onnx.ModelProto]
INT8, INT4 = Recipe("weights"), Recipe("weights", weights="int4")
#: Scheme -> what makes it, the noise that is allowed, the largest share of the bytes.
SCHEMES: dict[str, tuple[Make, Recipe, float, float]] = {
    "fp16": (fp16_model, Recipe("fp16"), 1e-6, 0.56),
    "int8": (weights_model, INT8, 3e-4, 0.34),
    "int4": (weights_model, INT4, 4e-2, 0.26),
    "dynamic": (dynamic_model, Recipe("dynamic"), 1e-3, 0.34),
    "portable int8": (lambda prepared, recipe: weights_model(prepared, recipe, portable=True), INT8, 3e-4, 0.35),
    "portable int4": (lambda prepared, recipe: weights_model(prepared, recipe, portable=True), INT4, 6e-2, 0.27),
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_is_small_and_near_and_always_the_same_bytes(scheme: str, net: str) -> None:
    make, recipe, most_noise, most_bytes = SCHEMES[scheme]
    model = NETS[net]
    prepared = prepared_of(model)
    made = make(prepared, recipe)
    onnx.checker.check_model(made)
    assert noise(made, model, x=FEEDS[net]) <= most_noise
    assert made.ByteSize() <= most_bytes * model.ByteSize()
    assert make(prepared, recipe).SerializeToString() == made.SerializeToString()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("scheme", ["fp16", "int8", "int4", "dynamic"])
def test_with_every_layer_kept_float_the_answers_are_those_of_the_float_model(scheme: str, net: str) -> None:
    make, recipe, _, _ = SCHEMES[scheme]
    prepared = prepared_of(NETS[net])
    kept = frozenset(layer.name for layer in layers_of(prepared, recipe.scheme))
    assert kept
    made = make(prepared, Recipe(recipe.scheme, weights=recipe.weights, kept_float=kept))
    np.testing.assert_array_equal(answers(made, x=FEEDS[net])[0], answers(prepared.model, x=FEEDS[net])[0])


def test_one_layer_kept_float_stays_as_it_is_and_the_others_are_stored() -> None:
    prepared = prepared_of(mlp())
    first, second, last = layers_of(prepared, "weights")
    assert (first.weight_bytes, second.weight_bytes, last.weight_bytes) == (4 * 300 * 128, 4 * 128 * 128, 4 * 1280)
    made = weights_model(prepared, Recipe("weights", kept_float=frozenset([second.name])))
    wide = [
        tensor
        for tensor in made.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) > 256
    ]
    assert [list(tensor.dims) for tensor in wide] == [[128, 128]]


@pytest.mark.parametrize("opset", [9, 11, 12])
def test_scales_a_channel_below_opset_13_come_with_a_newer_opset(opset: int) -> None:
    """There DequantizeLinear has no axis: a model that says so is invalid."""
    model = convnet(opset)
    made = weights_model(prepared_of(model), INT8, portable=True)
    onnx.checker.check_model(made)
    assert next(item.version for item in made.opset_import if item.domain == "") == 13
    assert noise(made, model, x=FEEDS["convnet"]) < 3e-4


@pytest.mark.parametrize("scheme", ["int8", "int4", "dynamic"])
@pytest.mark.parametrize("net", NETS)
def test_onnx_runtime_dequantizes_no_constant_at_every_call(net: str, scheme: str) -> None:
    make, recipe, _, _ = SCHEMES[scheme]
    assert kinds_run(make(prepared_of(NETS[net]), recipe))["DequantizeLinear"] == 0


@pytest.mark.parametrize("recipe", [INT8, INT4])
@pytest.mark.parametrize("follower", ["Tanh", "Relu", "Clip", "Softmax", "Add", "Neg"])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul", "MatMul of rank 3"])
def test_large_products_are_on_codes_where_onnx_runtime_sees_them_and_float_where_not(
    kind: str, follower: str, recipe: Recipe
) -> None:
    """MatMulNBits of a Gemm too, whose weights torch writes turned, where usual tools do nothing without a word."""
    graph = Graph()
    shape: list[int | str] = ["batch", 3, 520] if kind == "MatMul of rank 3" else ["batch", 520]
    product = graph.dense("x", 520, 520) if kind == "Gemm" else graph.product("x", 520, 520)
    after = graph.op(follower, product, *(["x"] if follower == "Add" else []))
    model = graph.model({"x": shape}, graph.op("Sin", after))
    made = weights_model(prepared_of(model), recipe)
    run = kinds_run(made)
    assert run["DequantizeLinear"] == 0
    assert made.ByteSize() < 0.3 * model.ByteSize()
    blocked = follower in ("Relu", "Clip") or (kind == "MatMul" and follower == "Add") or (
        kind == "Gemm" and follower == "Tanh"
    )  # fmt: skip
    assert run["MatMulNBits"] == (0 if blocked else 1), run
    assert noise(made, model, x=rows(2, *(size for size in shape[1:] if isinstance(size, int)))) < 2e-2


def test_convolutions_stay_float_in_scheme_dynamic() -> None:
    """ConvInteger is 2 to 6 times slower than a float convolution."""
    made = dynamic_model(prepared_of(convnet()), Recipe("dynamic"))
    assert kinds(made)["ConvInteger"] == 0
    assert kinds(made)["Conv"] == 3


def test_activations_that_three_products_read_are_quantized_once() -> None:
    made = dynamic_model(prepared_of(attention()), Recipe("dynamic"))
    assert (kinds(made)["DynamicQuantizeLinear"], kinds(made)["MatMulInteger"]) == (2, 4)
    run = kinds_run(made)
    assert run["DynamicQuantizeMatMul"] + run["MatMulIntegerToFloat"] == 4


def test_products_with_the_columns_of_a_table_are_not_on_codes() -> None:
    """One grid for columns of unlike magnitude loses the small ones, as it does in onnxruntime's quantize_dynamic."""
    graph = Graph()
    scale = 10.0 ** np.arange(-3, 5)
    weights = graph.const((graph.random.normal(size=(8, 512)) / scale[:, None]).astype(np.float32))
    hidden = graph.op("Tanh", graph.op("MatMul", "x", weights))
    model = graph.model({"x": ["batch", 8]}, graph.product(hidden, 512, 16))
    table = (rows(64, 8) * scale).astype(np.float32)
    for made in (dynamic_model(prepared_of(model), Recipe("dynamic")), weights_model(prepared_of(model), INT8)):
        assert noise(made, model, x=table) < 1e-3


@pytest.mark.parametrize("exact", [True, False])
def test_sums_of_two_products_fit_16_bits_where_that_is_asked_for(exact: bool) -> None:
    made = dynamic_model(prepared_of(mlp()), Recipe("dynamic", exact_sums=exact))
    product = {node.input[1] for node in made.graph.node if node.op_type == "MatMulInteger"}
    assert len(product) == 2
    worst = 0
    for tensor in made.graph.initializer:
        if tensor.name in product:
            codes = numpy_helper.to_array(tensor).astype(int)
            left, right = codes[0::2], codes[1::2]
            same = np.sign(left) == np.sign(right)
            worst = max(worst, int(np.abs(np.where(same, left + right, 0)).max()))
    assert (255 * worst <= 32767) == exact


@pytest.mark.parametrize("weight_type", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("net", ["mlp", "convnet", "attention", "recurrent"])
def test_files_are_no_larger_and_no_worse_than_those_of_quantize_dynamic(
    net: str, weight_type: QuantType, tmp_path: Path
) -> None:
    model = NETS[net]
    onnx.save(model, tmp_path / "float.onnx")
    quantize_dynamic(str(tmp_path / "float.onnx"), str(tmp_path / "peer.onnx"), weight_type=weight_type)
    peer = onnx.load(tmp_path / "peer.onnx")
    made = dynamic_model(prepared_of(model), Recipe("dynamic", exact_sums=False))
    assert made.ByteSize() <= 1.02 * (tmp_path / "peer.onnx").stat().st_size
    if peer.ByteSize() < 0.5 * model.ByteSize():
        assert noise(made, model, x=FEEDS[net]) <= 1.1 * noise(peer, model, x=FEEDS[net])


def test_a_constant_that_two_nodes_read_is_stored_once_and_only_if_none_of_them_is_kept_float() -> None:
    graph = Graph()
    shared = graph.normal(64, 64, size=0.1)
    hidden = graph.op("Tanh", graph.op("MatMul", graph.op("Tanh", graph.op("MatMul", "x", shared)), shared))
    prepared = prepared_of(graph.model({"x": ["batch", "time", 64]}, hidden))
    for make, recipe in ((weights_model, INT8), (dynamic_model, Recipe("dynamic"))):
        made = make(prepared, recipe)
        assert [tensor.data_type for tensor in made.graph.initializer].count(TensorProto.INT8) == 1
        kept = Recipe(recipe.scheme, kept_float=frozenset([layers_of(prepared, recipe.scheme)[0].name]))
        assert [tensor.data_type for tensor in make(prepared, kept).graph.initializer] == [TensorProto.FLOAT]


def test_weights_that_are_read_both_ways_are_right() -> None:
    """Tied: a Gemm reads them turned, a MatMul as they are, Gather takes rows."""
    graph = Graph()
    tied = graph.normal(600, 600, size=0.05)
    turned = graph.op("Gemm", "x", tied, transB=1)
    straight = graph.op("MatMul", graph.op("Tanh", turned), tied)
    model = graph.model({"x": ["batch", 600]}, graph.op("Sin", straight))
    for make, recipe in ((weights_model, INT8), (dynamic_model, Recipe("dynamic", exact_sums=False))):
        assert noise(make(prepared_of(model), recipe), model, x=rows(4, 600)) < 2e-3


def test_a_large_table_of_embeddings_stays_codes_in_memory() -> None:
    model = embedding(20_000)
    made = weights_model(prepared_of(model), INT8)
    gather = next(node for node in made.graph.node if node.op_type == "Gather")
    table = next(tensor for tensor in made.graph.initializer if tensor.name == gather.input[0])
    assert table.data_type == TensorProto.INT8
    assert noise(made, model, x=np.array([[0, 19_999, -1], [7, 7, 8]])) < 3e-4


def test_float16_is_only_how_constants_are_stored() -> None:
    """Sums far above 65504, weights far beside float16's range, and a mask of the lowest float32."""
    graph = Graph()
    wide = graph.op("MatMul", "x", graph.normal(300, 64, size=1e4))
    narrow = graph.op("MatMul", wide, graph.normal(64, 64, size=1e-9))
    mask = np.zeros((20, 64), np.float32)
    mask[:, ::2] = np.finfo(np.float32).min
    made_of = graph.op("Softmax", graph.op("Add", graph.op("Mul", narrow, graph.const(1e3)), graph.const(mask)))
    model = graph.model({"x": [20, 300]}, made_of)
    made = fp16_model(prepared_of(model), Recipe("fp16"))
    x = rows(20, 300) * 100
    assert np.abs(answers(model, x=x)[0]).min() == 0
    assert noise(made, model, x=x) < 1e-5
    assert np.array_equal(answers(made, x=x)[0].argmax(axis=1), answers(model, x=x)[0].argmax(axis=1))
    assert not any(node.op_type == "MatMul" and "float16" in str(node) for node in made.graph.node)


def test_vectors_are_not_put_on_a_grid() -> None:
    """A row of factors of unlike magnitude would have one scale."""
    graph = Graph()
    factors = graph.const((10.0 ** graph.random.uniform(-4, 0, size=512)).astype(np.float32))
    prepared = prepared_of(graph.model({"x": ["batch", 512]}, graph.op("Mul", "x", factors)))
    assert layers_of(prepared, "weights") == layers_of(prepared, "dynamic") == ()
    assert len(layers_of(prepared, "fp16")) == 1


def test_constants_that_decide_are_never_stored_smaller() -> None:
    graph = Graph()
    limits = graph.normal(64, 64)
    prepared = prepared_of(graph.model({"x": [64, 64]}, graph.op("Cast", graph.op("Less", "x", limits), to=1)))
    assert len(prepared.layers) == 1
    assert layers_of(prepared, "weights") == layers_of(prepared, "fp16") == ()


def test_weights_inside_the_branches_of_a_graph_are_stored() -> None:
    graph = Graph()
    bodies = {}
    for name in ("then_branch", "else_branch"):
        weights = numpy_helper.from_array(graph.random.normal(size=(64, 64)).astype(np.float32), "w")
        body = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], [name])], name, [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)], [weights],
        )  # fmt: skip
        bodies[name] = body
    graph.op("If", "flag", out="y", **bodies)
    model = graph.model({"x": ["batch", 64], "flag": []}, "y", dtypes={"flag": TensorProto.BOOL})
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64]))
    prepared = prepared_of(model)
    for make, recipe, share in ((weights_model, INT8, 0.3), (fp16_model, Recipe("fp16"), 0.55)):
        made = make(prepared, recipe)
        assert made.ByteSize() < share * model.ByteSize()
        for flag in (True, False):
            assert noise(made, model, x=rows(4, 64), flag=np.array(flag)) < 3e-4


def test_long_names_inside_are_given_up_and_those_of_inputs_and_outputs_stay() -> None:
    graph = Graph()
    graph.op("Relu", graph.product("input_" * 9, 64, 64), out="hidden_" * 9)
    graph.op("MatMul", "hidden_" * 9, graph.normal(64, 64, name="weights_" * 9), out="output_" * 9)
    model = graph.model({"input_" * 9: ["batch", 64]}, "output_" * 9)
    model.graph.node[0].name = "node_" * 20
    made = fp16_model(prepared_of(model), Recipe("fp16"))
    assert [value.name for value in [*made.graph.input, *made.graph.output]] == ["input_" * 9, "output_" * 9]
    text = str(made.graph)
    assert not any(word in text for word in ("hidden_", "weights_", "node_"))
    np.testing.assert_allclose(
        answers(made, **{"input_" * 9: rows(2, 64)})[0],
        answers(model, **{"input_" * 9: rows(2, 64)})[0],
        rtol=0.02,
        atol=0.05,
    )


def test_a_model_that_the_checker_passes_and_no_session_opens_is_refused() -> None:
    graph = Graph()
    graph.op("ImageDecoder", "x", out="y")
    made = helper.make_graph(
        graph.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.UINT8, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, ["h", "w", "c"])],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    with pytest.raises(Unsupported) as caught:
        finished(model)
    assert "ImageDecoder" in caught.value.why
