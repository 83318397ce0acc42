"""Integers alone: operators whose int8 forms only devices without floats want, against the ONNX form on three sets of kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mlpack_edge.converters.quantization.lite import lite_from_model
from mlpack_edge.converters.quantization.lite_integers import compute_with_integers
from mlpack_edge.converters.quantization.lite_norms import with_norms_apart
from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.tflite_from_onnx.convert import Lowered
from mlpack_edge.converters.tflite_from_onnx.passes.dead import drop_dead
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor
from mlpack_edge.converters.tflite_graph.write import write_tflite
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from tests.converters.quantization.lite.nets import INTEGER_ONLY, STATIC, Array, answers, noise, operators
from tests.converters.quantization.static.nets import Net, Nodes, quantized

_KERNELS = {
    "XNNPACK": OpResolverType.AUTO,
    "LiteRT": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}
_ROWS = 24


def _pooled(nodes: Nodes, x: str, channels: int) -> Net:
    """The end of each net: an average of the image, and a dense layer."""
    x = nodes.add("Flatten", nodes.add("GlobalAveragePool", nodes.conv(x, channels, 8)))
    return nodes.net(["batch", 3, 8, 8], nodes.add("Gemm", x, nodes.normal(4, 8), out="y", transB=1))


def _prelu() -> Net:
    """Slopes of each channel, negative ones among them, and one slope for all."""
    nodes = Nodes()
    slopes = nodes.constant(np.linspace(-0.2, 0.9, 16).reshape(16, 1, 1))
    x = nodes.add("PRelu", nodes.conv("x", 3, 16), slopes)
    return _pooled(nodes, nodes.add("PRelu", nodes.conv(x, 16, 16), nodes.constant([0.25])), 16)


def _gate(slope: float) -> Callable[[], Net]:
    """Squeeze and excitation: an image times the HardSigmoid of what its average gives."""

    def made() -> Net:
        nodes = Nodes()
        x = nodes.add("Relu", nodes.conv("x", 3, 16))
        gate = nodes.conv(nodes.add("GlobalAveragePool", x), 16, 16, k=1)
        gate = nodes.add("HardSigmoid", gate, alpha=slope, beta=0.5)
        return _pooled(nodes, nodes.add("Mul", x, gate), 16)

    return made


def _swish() -> Net:
    """x * HardSigmoid(x), and the same in four operators."""
    nodes = Nodes()
    x = nodes.conv("x", 3, 16)
    x = nodes.conv(nodes.add("Mul", x, nodes.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)), 16, 16)
    six = nodes.add("Clip", nodes.add("Add", x, nodes.constant(3.0)), nodes.constant(0.0), nodes.constant(6.0))
    return _pooled(nodes, nodes.add("Div", nodes.add("Mul", x, six), nodes.constant(6.0)), 16)


def _inverse_root() -> Net:
    """x / sqrt(variance + epsilon), as exporters write it."""
    return _normalized(13)


def _layer_normalization() -> Net:
    return _normalized(17)


def _normalized(opset: int) -> Net:
    nodes = Nodes()
    x = nodes.add("Transpose", nodes.conv("x", 3, 16), perm=[0, 2, 3, 1])
    if opset == 17:
        x = nodes.add("LayerNormalization", x, nodes.normal(16), nodes.normal(16))
    else:
        x = nodes.add("Sub", x, nodes.add("ReduceMean", x, axes=[-1]))
        variance = nodes.add("ReduceMean", nodes.add("Pow", x, nodes.constant(2.0)), axes=[-1])
        x = nodes.add("Div", x, nodes.add("Sqrt", nodes.add("Add", variance, nodes.constant(1e-5))))
    net = _pooled(nodes, nodes.add("Transpose", x, perm=[0, 3, 1, 2]), 16)
    net.model.opset_import[0].version = opset
    return Net(with_norms_apart(Prepared(net.model, (), ())).model)


def _channels() -> Net:
    """BatchNormalization behind an activation and in front of a convolution with padding; factors of either sign, and 0."""
    nodes = Nodes()
    factors = nodes.constant(np.r_[0.0, -0.5, np.geomspace(0.01, 3, 14)])
    x = nodes.add("Relu", nodes.conv("x", 3, 16))
    moments = nodes.normal(16), nodes.constant(np.linspace(0.5, 2, 16))
    return _pooled(nodes, nodes.add("BatchNormalization", x, factors, nodes.normal(16), *moments), 16)


def _columns() -> Net:
    """The same behind a dense layer's activation, in front of two of its readers; and a factor alone."""
    nodes = Nodes()
    x = nodes.add("Flatten", nodes.conv("x", 3, 2, k=1))
    x = nodes.add("Relu", nodes.dense(x, 128, 16))
    moments = nodes.normal(16), nodes.constant(np.linspace(0.5, 2, 16))
    x = nodes.add("BatchNormalization", x, nodes.normal(16), nodes.normal(16), *moments)
    none = nodes.constant(np.zeros(16))
    factors = nodes.constant(np.geomspace(0.01, 9, 16)), none, none, nodes.constant(np.ones(16))
    scaled = nodes.add("BatchNormalization", nodes.add("Tanh", x), *factors)
    return nodes.net(["batch", 3, 8, 8], nodes.add("Add", nodes.dense(x, 16, 4), nodes.dense(scaled, 16, 4), out="y"))


_NETS: dict[str, Callable[[], Net]] = {
    "PRelu": _prelu,
    "HardSigmoid": _gate(0.2),
    "HardSigmoid of torch": _gate(1 / 6),
    "hard swish": _swish,
    "BatchNormalization": _channels,
    "BatchNormalization of columns": _columns,
    "LayerNormalization": _layer_normalization,
    "quotient by a root": _inverse_root,
}


def _rows() -> Array:
    return np.random.default_rng(1).normal(size=(_ROWS, 3, 8, 8)).astype(np.float32)


@cache
def _forms(net: str) -> tuple[Net, onnx.ModelProto, Lowered]:
    """The float net, its integer-only ONNX form, and the TFLite file of that with codes at its borders."""
    made = _NETS[net]()
    model = quantized(made, _rows(), INTEGER_ONLY)
    return made, model, lite_from_model(model, derived_signature(made.model), INTEGER_ONLY, "int8")


def _run(data: bytes, x: Array, kernels: OpResolverType) -> Array:
    """Row by row, real numbers in and out."""
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=kernels, num_threads=1)
    interpreter.allocate_tensors()
    into, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    (scale, zero), (last_scale, last_zero) = into["quantization"], out["quantization"]
    found = []
    for row in np.clip(np.rint(x / scale) + zero, -128, 127).astype(np.int8):
        interpreter.set_tensor(into["index"], row[None])
        interpreter.invoke()
        found.append((interpreter.get_tensor(out["index"])[0].astype(np.float64) - last_zero) * last_scale)
    return np.stack(found)


@pytest.mark.parametrize("net", _NETS)
def test_nothing_is_left_float(net: str) -> None:
    lowered = _forms(net)[2]
    assert not [op for op in operators(lowered.data) if "float32" in (*op[2], op[3])]
    assert not any("real numbers" in note for note in lowered.notes)


@pytest.mark.parametrize("kernels", _KERNELS)
@pytest.mark.parametrize("net", _NETS)
def test_integers_are_as_near_to_the_float_net_as_the_onnx_form(net: str, kernels: str) -> None:
    made, model, lowered = _forms(net)
    x = np.random.default_rng(2).normal(size=(_ROWS, 3, 8, 8)).astype(np.float32)
    whole = answers(made.model, x)
    before = noise(answers(model, x), whole)
    assert noise(_run(lowered.data, x, _KERNELS[kernels]), whole) <= 1.5 * before + 1e-4


def test_hard_swish_is_one_operator_in_either_spelling() -> None:
    """It is rounded once, where a product of codes and of its gate's codes is rounded twice."""
    assert [kind for kind, *_ in operators(_forms("hard swish")[2].data)].count("HARD_SWISH") == 2


@pytest.mark.parametrize(
    ("scale", "zero", "kinds"), [(1 / 256, -128, ["HARD_SWISH"]), (1 / 64, 0, ["ADD", "MUL", "MUL"])]
)
def test_a_gate_that_its_codes_do_not_clip_is_no_hard_swish(scale: float, zero: int, kinds: list[str]) -> None:
    """x * (x / 6 + 1 / 2) between -2 and 2 is another function."""
    x, y = (Tensor(name, "int8", (-1, 4), None, _grid(0.05, 0)) for name in "xy")
    gate = Tensor("g", "int8", (-1, 4), None, _grid(scale, zero))
    reals = [Tensor(name, "float32", (-1, 4)) for name in "rst"]
    numbers = [Tensor("n", "float32", (), np.array(number, np.float32)) for number in (1 / 6, 0.5)]
    ops = [
        Op("DEQUANTIZE", [x], [reals[0]]),
        Op("MUL", [reals[0], numbers[0]], [reals[1]]),
        Op("ADD", [reals[1], numbers[1]], [reals[2]]),
        Op("QUANTIZE", [reals[2]], [gate]),
        Op("MUL", [x, gate], [y]),
    ]
    graph = Graph([x], [y], ops)
    assert compute_with_integers(graph)
    drop_dead(graph)
    assert [op.kind for op in graph.ops] == kinds


@pytest.mark.parametrize(("steps", "wanted"), [(2**31 - 2**16, 100.0), (2**31 - 2**7, None)])
def test_a_summand_leaves_int32_room_for_the_product(steps: float, wanted: float | None) -> None:
    """A sum beyond 2**31 would come back as the lowest code; an operator in float stays then."""
    x, y = Tensor("x", "int8", (1, 2), None, _grid(1.0, -128)), Tensor("y", "int8", (1, 2), None, _grid(1.0, -128))
    reals = [Tensor(name, "float32", (1, 2)) for name in "rst"]
    factor = 127 * 100 / 2**31
    numbers = [Tensor("n", "float32", (2,), np.full(2, one, np.float32)) for one in (factor, steps * factor / 127)]
    ops = [
        Op("DEQUANTIZE", [x], [reals[0]]),
        Op("MUL", [reals[0], numbers[0]], [reals[1]]),
        Op("ADD", [reals[1], numbers[1]], [reals[2]]),
        Op("QUANTIZE", [reals[2]], [y]),
    ]
    graph = Graph([x], [y], ops)
    assert compute_with_integers(graph) == (wanted is not None)
    if wanted is None:
        return
    drop_dead(graph)
    interpreter = Interpreter(
        model_content=write_tflite(graph, {}), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.full((1, 2), 127, np.int8))
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(np.float64) + 128
    np.testing.assert_allclose(found, wanted, atol=1)


def _grid(scale: float, zero: int) -> Quantization:
    return Quantization(np.array([scale], np.float32), np.array([zero], np.int64))


@pytest.mark.parametrize("kernels", _KERNELS)
def test_means_much_finer_than_what_they_are_of(kernels: str) -> None:
    """Of wide rows whose mean is next to 0, as LayerNormalization has them."""
    x, y = Tensor("x", "int8", (1, 4, 64), None, _grid(0.5, 3)), Tensor("y", "int8", (1, 4, 1), None, _grid(0.002, -7))
    reals = [Tensor(name, "float32", shape) for name, shape in (("r", x.shape), ("s", y.shape))]
    axes = Tensor("a", "int32", (1,), np.array([2], np.int32))
    ops = [
        Op("DEQUANTIZE", [x], [reals[0]]),
        Op("MEAN", [reals[0], axes], [reals[1]], {"keep_dims": True}),
        Op("QUANTIZE", [reals[1]], [y]),
    ]
    graph = Graph([x], [y], ops)
    assert compute_with_integers(graph)
    drop_dead(graph)
    assert [op.kind for op in graph.ops] == ["MEAN", "QUANTIZE"]
    codes = np.clip(np.rint(np.random.default_rng(0).normal(3, 1.5, x.shape)), -128, 127).astype(np.int8)
    wanted = (codes.astype(np.float64) - 3).mean(-1, keepdims=True) * 0.5
    interpreter = Interpreter(model_content=write_tflite(graph, {}), experimental_op_resolver_type=_KERNELS[kernels])
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes)
    interpreter.invoke()
    found = (interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(np.float64) + 7) * 0.002
    assert np.abs(found - wanted).max() <= 0.5 / 64 / 2 + 0.002


def test_files_for_processors_compute_slopes_in_float() -> None:
    """XNNPACK has no PRELU on codes."""
    net = _prelu()
    lowered = lite_from_model(quantized(net, _rows(), STATIC), derived_signature(net.model), STATIC)
    assert {types[:2] for kind, _, types, _ in operators(lowered.data) if kind == "PRELU"} == {("float32", "float32")}
