"""Operands that no grid covers stay out of what computes with codes, or the layer that needs one is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.converters.quantization.static import layers_of, static_model
from mlpack_edge.converters.quantization.static.grids import Grid
from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.weights import coded
from mlpack_edge.core.errors import Unsupported
from tests.converters.quantization.static.nets import S8S8, U8S8, Nodes, kinds, mlp, noise_db, quantized, ranges_of


def _rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_a_join_with_a_constant_of_no_number_stays_float() -> None:
    nodes = Nodes()
    x = nodes.add("Concat", nodes.conv("x", 3, 8), nodes.constant(np.empty((4, 0, 8, 8))), axis=1)
    net = nodes.net([4, 3, 8, 8], nodes.conv(x, 8, 4))
    assert [layer.op_type for layer in layers_of(net)] == ["Conv", "Conv"]
    assert noise_db(net, quantized(net, _rows(4, 3, 8, 8)), _rows(4, 3, 8, 8)) > 30


def test_a_mask_of_infinity_stays_float_where_integers_alone_are_wanted() -> None:
    nodes = Nodes()
    x = nodes.add("Max", nodes.conv("x", 3, 8), nodes.constant(-np.inf))
    net = nodes.net(["batch", 3, 8, 8], nodes.conv(x, 8, 4))
    model = quantized(net, _rows(30, 3, 8, 8), replace(S8S8, integer_only=True))
    assert noise_db(net, model, _rows(30, 3, 8, 8)) > 30


def test_a_crop_that_fills_in_a_value_of_its_own_is_no_move(tmp_path: Path) -> None:
    """That value may lie far outside the grid of what is cropped."""
    nodes = Nodes()
    x, box = nodes.conv("x", 3, 8), nodes.constant([0, 0, -0.5, -0.5, 1, 1, 1.5, 1.5])
    x = nodes.add(
        "Resize", x, box, "", nodes.constant([30, 8, 10, 10], np.int64),
        mode="nearest", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=50.0,
    )  # fmt: skip
    net = nodes.net([30, 3, 8, 8], nodes.conv(x, 8, 4))
    model = quantized(net, _rows(30, 3, 8, 8))
    assert noise_db(net, model, _rows(30, 3, 8, 8)) > 30
    assert kinds(model, tmp_path)["QLinearConv"] == 2


@pytest.mark.parametrize("turned", [0, 1])
def test_factors_of_a_gemm_are_in_its_codes(turned: int) -> None:
    """`alpha * x @ w + beta * c` (Gemm 13), which kernels on codes do not know the factors of."""
    nodes = Nodes()
    weights = nodes.normal(*((24, 16) if turned else (16, 24)), size=0.3)
    x = nodes.add("Gemm", "x", weights, nodes.normal(24, size=3), alpha=0.5, beta=-2.0, transB=turned)
    net = nodes.net(["batch", 16], nodes.dense(nodes.add("Relu", x), 24, 4))
    assert [layer.op_type for layer in layers_of(net)] == ["Gemm", "Gemm"]
    assert noise_db(net, quantized(net, _rows(50, 16)), _rows(50, 16)) > 30


def test_a_gemm_of_turned_rows_stays_float() -> None:
    nodes = Nodes()
    net = nodes.net([16, 16], nodes.add("Gemm", "x", nodes.normal(16, 4), transA=1))
    assert layers_of(net) == ()


@pytest.mark.parametrize("values", [(2.0, 6.0, 6.0), (3.0, 5.0, 6.0), (3.0, 6.0, 4.0)])
def test_what_only_looks_like_hard_swish_is_computed_as_it_is(values: tuple[float, float, float]) -> None:
    nodes = Nodes()
    added, most, divisor = (nodes.constant(value) for value in values)
    x = nodes.conv("x", 3, 8)
    gate = nodes.add("Clip", nodes.add("Add", x, added), nodes.constant(0.0), most)
    x = nodes.add("Div", nodes.add("Mul", x, gate), divisor)
    net = nodes.net(["batch", 3, 8, 8], nodes.conv(x, 8, 4))
    rows = _rows(30, 3, 8, 8)
    assert noise_db(net, quantized(net, rows), rows) > 30


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("step", [0.02, 2.0**-60])
def test_scales_of_weights_below_the_numbers_of_float32_stay_numbers(step: float, exact: bool) -> None:
    content = np.array([[3.6e-44, -1e-45], [0.0, 0.0], [1e-41, 2e-41]], np.float32)
    made = coded(Weights(content, 0, 1, None), "Gemm", [Grid(step, 0, "uint8")], [None], exact)
    least = np.finfo(np.float32).tiny
    assert (made.scale >= least).all() and (made.scale * np.float32(step) >= least).all()
    assert np.abs(made.codes * made.scale[:, None] - content).max() <= made.scale.max()


def test_a_layer_whose_tensor_has_no_range_is_named_and_can_be_kept_float() -> None:
    """Calibration has none of a tensor that held NaN, or no row at all: other schemes may still be had."""
    net, rows = mlp(), _rows(50, 16)
    ranges = {name: found for name, found in ranges_of(net, rows, U8S8).items() if name != "Relu_1_out"}
    with pytest.raises(Unsupported, match="Gemm_0, Gemm_2 cannot compute with codes") as refusal:
        static_model(net, ranges, U8S8)
    assert "--keep-float Gemm_0 --keep-float Gemm_2" in (refusal.value.hint or "")
    static_model(net, ranges, replace(U8S8, kept_float=frozenset({"Gemm_0", "Gemm_2"})))
