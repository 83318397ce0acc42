"""What is known of the numbers in a graph bounds what operators give: a QUANTIZE is guarded only where it has to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges
from mlpack_edge.converters.tflite_from_onnx.passes.intervals import ANYTHING, Intervals
from mlpack_edge.converters.tflite_from_onnx.passes.permuted_scales import permuted_grid
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor
from mlpack_edge.converters.tflite_graph.write import write_tflite
from tests.converters.tflite_from_onnx.lowered import run_tflite

_UNARY = ("RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "ELU", "GELU", "SQUARE", "LEAKY_RELU")
_BINARY = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "DIV")
_SHAPE = (1, 256)


def _graph(kind: str, scale: float, zero: int, constant: float) -> tuple[Graph, Tensor]:
    grid = Quantization(np.array([scale], np.float32), np.array([zero], np.int64))
    x, reals, y = Tensor("x", "int8", _SHAPE, None, grid), Tensor("", "float32", _SHAPE), Tensor("y", "float32", _SHAPE)
    given: list[Tensor | None] = [reals]
    if kind in _BINARY:
        given.append(Tensor("c", "float32", (), np.array(constant, np.float32)))
    options = {"alpha": 0.1} if kind == "LEAKY_RELU" else {"approximate": False} if kind == "GELU" else {}
    return Graph([x], [y], [Op("DEQUANTIZE", [x], [reals]), Op(kind, given, [y], options)]), y


@pytest.mark.parametrize("kind", [*_UNARY, *_BINARY])
@settings(max_examples=12, deadline=None)
@given(
    scale=st.floats(1e-3, 10), zero=st.integers(-128, 127), constant=st.floats(-50, 50).filter(lambda c: abs(c) > 1e-2)
)
def test_every_result_lies_within_its_interval(kind: str, scale: float, zero: int, constant: float) -> None:
    """All 256 codes, computed by LiteRT."""
    graph, y = _graph(kind, scale, zero, constant)
    low, high = Intervals(Edges(graph)).of(y)
    assert np.isfinite([low, high]).all()
    codes = np.arange(-128, 128).astype(np.int8).reshape(_SHAPE)
    made = run_tflite(write_tflite(graph, {}), {"x": codes})["y"]
    slack = 1e-4 * max(abs(low), abs(high), 1e-3)
    assert low - slack <= made.min()
    assert made.max() <= high + slack


def test_inputs_of_the_model_may_be_anything() -> None:
    x, y = Tensor("x", "float32", _SHAPE), Tensor("y", "float32", _SHAPE)
    assert Intervals(Edges(Graph([x], [y], [Op("NEG", [x], [y])]))).of(y) == ANYTHING


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), axis=st.integers(0, 1), taken=st.integers(2, 12))
def test_scales_are_found_in_any_order(seed: int, axis: int, taken: int) -> None:
    """Some channels of a constant, in another order and along another axis: each has its own scale again."""
    draw = np.random.default_rng(seed)
    scale = draw.uniform(0.001, 0.1, 12).astype(np.float32)
    codes = draw.integers(-127, 128, (12, 20)).astype(np.int8)
    codes[:, 0] = 127  # as quantizers leave it: the largest number has the largest code
    chosen = draw.permutation(12)[:taken]
    data = (codes[chosen].astype(np.float32) * scale[chosen, None]).astype(np.float32)
    found = permuted_grid(Quantization(scale, np.zeros(12, np.int64), 0), np.moveaxis(data, 0, axis))
    assert found is not None
    assert found.axis == axis
    np.testing.assert_array_equal(found.scale, scale[chosen])


def test_numbers_off_the_grid_have_no_scales() -> None:
    draw = np.random.default_rng(0)
    grid = Quantization(np.array([0.1, 0.2], np.float32), np.zeros(2, np.int64), 0)
    assert permuted_grid(grid, draw.normal(0, 1, (2, 9)).astype(np.float32)) is None
