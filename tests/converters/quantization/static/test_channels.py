"""Grids and rounding that go by what calibration saw of each channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlpack_edge.converters.quantization.calibration.calibrate import calibrate
from mlpack_edge.converters.quantization.search.search import WEIGHTED
from mlpack_edge.converters.quantization.static import sampling, static_model
from mlpack_edge.converters.quantization.static.channels import ChannelFacts, channel_grid
from mlpack_edge.converters.quantization.static.grids import Grid
from mlpack_edge.converters.quantization.static.layers import tensors_of
from mlpack_edge.converters.quantization.static.moments import Moments
from mlpack_edge.converters.quantization.static.sampling import OF_ROW, ROWS, channel_facts, images_of
from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.weights import coded
from mlpack_edge.converters.quantization.values import Recipe
from tests.converters.quantization.static.nets import (
    S8S8,
    Net,
    Nodes,
    cnn,
    kinds,
    mlp,
    noise_db,
    quantized,
    ranges_of,
    run,
)

RECIPE = Recipe("static", operators=WEIGHTED)


def _images(rows: int, seed: int = 0, channels: int = 3, size: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, channels, size, size)).astype(np.float32)


def extremes_of(net: Net, x: np.ndarray) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """Of the channels, by calibration."""
    found = calibrate(net.model, tensors_of(net, RECIPE), [{"x": x}], ["minmax"], images=images_of(net))
    return found.channels


def by_channel(net: Net, x: np.ndarray, recipe: Recipe = RECIPE) -> onnx.ModelProto:
    facts = channel_facts(net, [{"x": x}], len(x), extremes=extremes_of(net, x))
    model = static_model(net, ranges_of(net, x, recipe), recipe, channels=facts)
    onnx.checker.check_model(model, full_check=True)
    return model


def _unlike(behind: str = "HardSigmoid") -> Net:
    """A convolution whose channels differ by 1,000, hard swish, and the depthwise convolution that brings them to one size."""
    nodes = Nodes()
    sizes = np.geomspace(1e-2, 10, 16)
    weights = nodes.random.normal(size=(16, 3, 1, 1)) * sizes[:, None, None, None]
    y = nodes.add("Conv", "x", nodes.constant(weights), nodes.constant(sizes), kernel_shape=[1, 1])
    y = nodes.add("Mul", y, nodes.add(behind, y))
    y = nodes.add(
        "Conv", y, nodes.constant(nodes.random.normal(size=(16, 1, 3, 3)) / sizes[:, None, None, None]),
        group=16, kernel_shape=[3, 3], pads=[1] * 4,
    )  # fmt: skip
    return nodes.net(["batch", 3, 12, 12], nodes.conv(y, 16, 8, k=1))


def _each(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """DequantizeLinear of activations with a scale a channel."""
    constant = {tensor.name: tensor for tensor in model.graph.initializer}
    return [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] not in constant and constant[node.input[1]].dims
    ]


def test_channels_of_unlike_size_each_have_a_grid_before_a_depthwise_convolution_in_float(tmp_path: Path) -> None:
    """One grid leaves 1 % of the largest channel's steps to the smallest; the kernels are the same ones either way."""
    net, rows = _unlike(), _images(40, seed=1)
    before, after = quantized(net, _images(40), RECIPE), by_channel(net, _images(40))
    assert noise_db(net, before, rows) < 20
    assert noise_db(net, after, rows) > 27
    assert len(_each(after)) == 1 and not _each(before)
    assert kinds(after, tmp_path) == kinds(before, tmp_path)


def test_signed_codes_have_grids_a_channel_as_well() -> None:
    net, recipe = _unlike(), Recipe("static", activations="int8", operators=WEIGHTED)
    assert noise_db(net, by_channel(net, _images(40), recipe), _images(40, seed=1)) > 27


@pytest.mark.parametrize("recipe", [Recipe("static"), S8S8])
def test_tensors_that_operators_on_codes_read_have_one_grid(recipe: Recipe, tmp_path: Path) -> None:
    """ONNX Runtime's kernels take one scale a tensor: an Add, a pool, a convolution on codes behind a convolution."""
    net, rows = cnn(), _images(40, size=16)
    model = by_channel(net, rows, recipe)
    assert not _each(model)
    assert noise_db(net, model, _images(20, seed=1, size=16)) > 25


@pytest.mark.parametrize("between", ["", "Relu", "Reshape"])
def test_an_addition_that_onnxruntime_would_fuse_keeps_one_grid(between: str, tmp_path: Path) -> None:
    """It stands in float between DequantizeLinear and QuantizeLinear, so it is put on codes at load: QLinearAdd refuses a scale
    a channel."""
    nodes = Nodes()
    y = nodes.add("Add", nodes.conv("x", 3, 8), nodes.conv("x", 3, 8))
    if between == "Reshape":
        y = nodes.add("Reshape", y, nodes.constant([0, 8, 12, 12], np.int64))
    elif between:
        y = nodes.add(between, y)
    depth = nodes.conv(y, 8, 8, group=8)
    net = nodes.net(["batch", 3, 12, 12], nodes.add("Add", nodes.conv(y, 8, 8, k=1), depth))
    model = by_channel(net, _images(40))
    assert kinds(model, tmp_path)["QLinearConv"] == 3
    assert noise_db(net, model, _images(20, seed=1)) > 25


@pytest.mark.parametrize("recipe", [RECIPE, Recipe("static", activations="int8", operators=WEIGHTED)])
def test_a_bounded_activation_ends_at_its_bound_in_each_channel(recipe: Recipe) -> None:
    """The grid stands for the Clip: a wider one, though it rounds what calibration saw better, lets through what was to be cut."""
    nodes = Nodes()
    sizes = np.linspace(0.5, 3, 16)
    weights = nodes.random.normal(size=(16, 3, 1, 1)) * sizes[:, None, None, None]
    y = nodes.add("Conv", "x", nodes.constant(weights), nodes.constant(sizes), kernel_shape=[1, 1])
    bounded = nodes.add("Clip", y, nodes.constant(0.0), nodes.constant(6.0))
    y = nodes.add("Mul", bounded, nodes.add("HardSigmoid", bounded))
    y = nodes.add(
        "Conv", y, nodes.constant(nodes.random.normal(size=(16, 1, 3, 3))), group=16, kernel_shape=[3, 3], pads=[1] * 4
    )  # fmt: skip
    model = by_channel(nodes.net(["batch", 3, 12, 12], nodes.conv(y, 16, 8, k=1)), _images(40), recipe)
    (clipped,) = _each(model)
    model.graph.output.append(onnx.helper.make_tensor_value_info(clipped.output[0], onnx.TensorProto.FLOAT, None))
    highest = run(model, 20 * _images(20, seed=1))[clipped.output[0]].max(axis=(0, 2, 3))
    assert (highest < 6.02).all() and highest.max() > 5.9


def test_what_rounding_adds_on_average_is_taken_off_the_bias() -> None:
    """Activations that hardly vary: whatever codes lose, of the weights and of the activations, is an offset."""
    nodes = Nodes(seed=5)
    net = nodes.net(["batch", 5, 16], nodes.dense("x", 16, 12, "MatMul"))
    level = np.random.default_rng(3).uniform(0.2, 3, (1, 1, 16))
    rows, others = (
        (level + 0.02 * np.random.default_rng(seed).normal(size=(200, 5, 16))).astype(np.float32) for seed in (0, 1)
    )
    before, after = quantized(net, rows, RECIPE), by_channel(net, rows)

    def offset(model: onnx.ModelProto) -> float:
        (real,), (made,) = (list(run(one, others).values()) for one in (net.model, model))
        return float(np.abs((made - real).astype(np.float64).mean(axis=(0, 1))).max())

    assert offset(before) > 0.01
    assert offset(after) < 0.005


def test_dense_layers_are_corrected_too_and_a_product_without_bias_gets_no_addition() -> None:
    for kind in ("Gemm", "MatMul"):
        net, rows = mlp(kind), np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
        assert noise_db(net, by_channel(net, rows), rows) > 30
    nodes = Nodes()
    net = nodes.net(["batch", 5, 16], nodes.add("MatMul", "x", nodes.normal(16, 8)))
    model = by_channel(net, np.random.default_rng(0).normal(size=(40, 5, 16)).astype(np.float32))
    assert {node.op_type for node in model.graph.node} == {"QuantizeLinear", "DequantizeLinear", "MatMul"}


@settings(max_examples=100, deadline=None)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(2, 9)), elements=st.floats(-4, 4, width=32)),
    st.integers(0, 1000),
)
def test_pairs_are_within_16_bits_and_errors_go_where_little_is_multiplied(content: np.ndarray, seed: int) -> None:
    inner = content.shape[1]
    power = np.random.default_rng(seed).uniform(1e-3, 1, (1, inner))
    zeros = np.zeros((1, inner))
    grid = Grid(0.02, 0, "uint8")
    weights = Weights(content, 0, 1, None)
    made = coded(weights, "Gemm", [grid], [None], True, Moments(zeros, zeros, power)).codes.astype(np.int64)
    left, right = made[:, 0 : inner // 2 * 2 : 2], made[:, 1 : inner // 2 * 2 : 2]
    alike = np.sign(left) == np.sign(right)
    assert (np.abs(left + right)[alike] <= 128).all() and np.abs(made).max(initial=0) <= 127


def test_of_a_pair_that_is_too_large_the_one_gives_way_that_multiplies_little() -> None:
    random = np.random.default_rng(2)
    content = random.normal(size=(40, 32)).astype(np.float32)
    power, zeros = 10 ** random.uniform(-4, 0, (1, 32)), np.zeros((1, 32))
    weights, grid = Weights(content, 0, 1, None), Grid(0.02, 128, "uint8")

    def lost(moments: Moments | None) -> np.ndarray:
        made = coded(weights, "Gemm", [grid], [None], True, moments)
        off: np.ndarray = (power * (made.codes * made.scale[:, None] - content) ** 2).sum(axis=1)
        return off

    before, after = lost(None), lost(Moments(zeros, zeros, power))
    assert (after <= before * 1.01).all()
    assert after.sum() < 0.95 * before.sum()


_ARRAY = arrays.arrays(np.float32, (4, 30), elements=st.floats(-100, 100, width=32))


@settings(max_examples=100, deadline=None)
@given(_ARRAY, st.sampled_from(["uint8", "int8"]))
@example(np.full((4, 30), -(2.0**-23), np.float32), "uint8")
def test_each_channel_has_0_among_its_codes_and_loses_at_most_half_a_step(values: np.ndarray, dtype: str) -> None:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1e-3)
    whole = Grid((high - low) / 255, (0 if dtype == "uint8" else -128) + round(-low / (high - low) * 255), dtype)  # type: ignore[arg-type]
    facts = ChannelFacts(values.min(axis=1).astype(np.float64), values.max(axis=1).astype(np.float64), values, 1)
    made = channel_grid(whole, facts, (-np.inf, np.inf))
    zeros = made.zeros.astype(np.int64)
    assert (zeros >= whole.lowest).all() and (zeros <= whole.lowest + 255).all()
    assert (made.factors <= 1.41).all()
    step = made.scales.astype(np.float64)[:, None]
    codes = np.clip(np.rint(values / step) + zeros[:, None], whole.lowest, whole.lowest + 255)
    least = (
        whole.lowest - whole.zero
    ) * whole.scale  # what the tensor's grid cuts off, rounding its zero point, is cut off here
    held = np.clip(values.astype(np.float64), least, least + 255 * whole.scale)
    assert np.abs((codes - zeros[:, None]) * step - held).max() <= step.max() * 1.01


def test_rows_are_taken_from_all_parts_and_the_same_rows_give_the_same_facts() -> None:
    net = _unlike()
    x = _images(10 * ROWS)
    x[len(x) // 2 :] += 50
    facts = channel_facts(net, ({"x": x[start : start + 7]} for start in range(0, len(x), 7)), len(x))
    again = channel_facts(net, [{"x": x}], len(x))
    assert facts.keys() == again.keys() and "x" in facts
    assert facts["x"].values.max() > 50 and facts["x"].values.min() < 0
    for name, one in facts.items():
        np.testing.assert_array_equal(one.values, again[name].values)


@pytest.mark.parametrize(("until", "least", "most"), [(-1.0, 1, 1), (40.0, 2, 20), (1e9, ROWS, ROWS)])
def test_no_row_is_begun_when_the_time_is_over_and_one_is_always_looked_at(
    monkeypatch: pytest.MonkeyPatch, until: float, least: int, most: int
) -> None:
    """A second passes between any two looks at the clock. Every tensor of the graph is seen on as many rows as any other."""
    monkeypatch.setattr(sampling, "grouped", lambda sizes, most: [[name] for name in sizes])  # several sessions
    x = _images(10 * ROWS)
    given: list[int] = []

    def stream() -> Iterator[dict[str, Any]]:
        for start in range(len(x)):
            given.append(start)
            yield {"x": x[start : start + 1]}

    seconds = count()
    facts = channel_facts(_unlike(), stream(), len(x), lambda: float(next(seconds)), until)
    seen = {one.values.shape[1] // OF_ROW for name, one in facts.items() if name != "x"}
    assert len(seen) == 1 and least <= seen.pop() <= most
    assert len(given) <= max(2, until / 2 + 2)


def test_a_tensor_that_holds_no_number_somewhere_has_no_facts() -> None:
    x = _images(4)
    x[2, 0, 3, 3] = np.nan
    assert not channel_facts(_unlike(), [{"x": x}], None)
    assert channel_facts(_unlike(), iter(()), 0) == {}


@pytest.mark.parametrize("known", [True, False])
def test_a_channel_that_fires_on_rows_that_are_not_looked_at_is_not_clipped(known: bool) -> None:
    """Calibration read them; by the 32 rows that are looked at, the channels are a hundredth of what they are."""
    net, x = _unlike(), _images(10 * ROWS) * np.float32(0.01)
    rare = slice(5, None, 10 * 4)  # between the rows that are taken, each tenth
    x[rare] *= 100
    extremes = extremes_of(net, x)
    facts = channel_facts(net, [{"x": x}], len(x), extremes=extremes if known else {})
    assert facts["x"].values.max() < 1 < x.max()
    np.testing.assert_array_equal(extremes["x"][1], x.max(axis=(0, 2, 3)))
    unbounded = [name for name, one in facts.items() if np.isinf(one.low).all() and np.isinf(one.high).all()]
    assert set(unbounded) == (set(facts) - set(extremes) if known else set(facts))
    plain = static_model(net, ranges_of(net, x, RECIPE), RECIPE)
    made = static_model(net, ranges_of(net, x, RECIPE), RECIPE, channels=facts)
    assert noise_db(net, made, x[rare]) > noise_db(net, plain, x[rare]) + (6 if known else -0.5)
