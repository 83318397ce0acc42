"""Gathers, scatters and what finds places, with indices that are constant or not, and negative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.moving import assert_moved, behind_convolution, filled, images

DTYPES = ("float32", "int64", "int32", "int8", "uint8", "int16", "bool")
RNG = np.random.default_rng(3)


def _ints(*items: int) -> np.ndarray:
    return np.array(items, np.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("indices", "axis"), [(np.array(-1), 1), (np.array([2, -3, 0]), 1), (np.array([[0], [-1]]), -1), (np.array(1), 2)]
)
def test_gather_of_constant_places(dtype: str, indices: np.ndarray, axis: int) -> None:
    assert_moved(helper.make_node("Gather", ["x", "i"], ["y"], axis=axis), dtype, ("batch", 3, 4), {"i": indices})


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("shape", [(), ("batch",), ("batch", 2)])
@pytest.mark.parametrize("axis", [0, 1])
def test_gather_of_places_that_are_an_input_counts_negative_ones_from_the_end(
    dtype: str, shape: tuple[Any, ...], axis: int
) -> None:
    model = model_of(
        [helper.make_node("Gather", ["t", "x"], ["y"], axis=axis)],
        {"x": (dtype, shape)}, ["y"], {"t": filled("float32", (5, 5, 3))},
    )  # fmt: skip
    wholes = [tuple(n if isinstance(size, str) else size for size in shape) for n in (1, 2, 7)]
    assert_lowered(model, *({"x": filled(dtype, whole, -5, 5)} for whole in wholes))


def test_gather_outside_is_refused() -> None:
    made = helper.make_node("Gather", ["x", "i"], ["y"], axis=1, name="far")
    model = model_of([made], {"x": ("float32", ["batch", 3])}, ["y"], {"i": _ints(0, 3)})
    with pytest.raises(Unsupported, match="far"):
        lower(model)


@pytest.mark.parametrize("axis", [0, 1, 3])
@pytest.mark.parametrize("indices", [np.array(0), np.array([0, 0]), np.array([[0], [-1]])])
def test_gather_behind_a_convolution_keeps_its_layout(axis: int, indices: np.ndarray) -> None:
    model = behind_convolution(
        [helper.make_node("Gather", ["c", "i"], ["y"], axis=axis)],
        constants={"i": indices},
        batch=2 if axis == 0 else "n",
    )
    made = kinds(assert_lowered(model, *images(*((2,) if axis == 0 else (1, 2, 7)))).data)
    assert made.count("TRANSPOSE") <= 2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gather_elements_along_each_axis(axis: int) -> None:
    model = model_of(
        [helper.make_node("GatherElements", ["x", "i"], ["y"], axis=axis)],
        {"x": ("float32", ["batch", 4, 3]), "i": ("int64", ["batch", 4, 3])},
        ["y"],
    )
    if axis == 0:
        model = model_of(
            [helper.make_node("GatherElements", ["x", "i"], ["y"], axis=0)],
            {"x": ("float32", [4, 4, 3]), "i": ("int64", ["n", 2, 3])},
            ["y"],
        )
    feeds = []
    for n in (1, 2, 7):
        rows = (4, 4, 3) if axis == 0 else (n, 4, 3)
        index = (n, 2, 3) if axis == 0 else (n, 4, 3)
        limit = rows[axis]
        feeds.append({"x": filled("float32", rows), "i": filled("int64", index, -limit, limit)})
    assert_lowered(model, *feeds)


def test_gather_elements_behind_a_convolution() -> None:
    index = {"i": RNG.integers(-4, 4, (2, 4, 6, 5))}
    model = behind_convolution(
        [helper.make_node("GatherElements", ["c", "i"], ["y"], axis=1)], constants=index, batch=2
    )
    assert_lowered(model, *images(2))


@pytest.mark.parametrize(("batch_dims", "depth"), [(0, 1), (0, 2), (1, 1), (1, 2)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_gather_nd_with_and_without_batch_axes(batch_dims: int, depth: int, dtype: str) -> None:
    model = model_of(
        [helper.make_node("GatherND", ["x", "i"], ["y"], batch_dims=batch_dims)],
        {"x": (dtype, ["batch", 4, 3, 2]), "i": ("int64", ["batch", 5, depth])},
        ["y"],
    )
    feeds = []
    for n in (1, 2, 7):
        limits = (n, 4, 3, 2)[batch_dims : batch_dims + depth]
        index = np.stack([RNG.integers(-limit, limit, (n, 5)) for limit in limits], -1)
        feeds.append({"x": filled(dtype, (n, 4, 3, 2)), "i": index})
    assert_lowered(model, *feeds)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scatter_elements_at_places_that_are_an_input(dtype: str, axis: int) -> None:
    """Each place once; constant shapes."""
    model = model_of(
        [helper.make_node("ScatterElements", ["x", "i", "u"], ["y"], axis=axis)],
        {"x": (dtype, [4, 4, 4]), "i": ("int64", [3, 3, 3]), "u": (dtype, [3, 3, 3])},
        ["y"],
    )
    line = np.array([-1, 0, 2]).reshape([-1 if i == axis else 1 for i in range(3)])
    index = np.broadcast_to(line, (3, 3, 3)).copy()
    assert_lowered(model, {"x": filled(dtype, (4, 4, 4)), "i": index, "u": filled(dtype, (3, 3, 3))})


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "int32"])
def test_scatter_reductions_with_an_open_batch(reduction: str, dtype: str) -> None:
    opset = 18
    model = model_of(
        [helper.make_node("ScatterElements", ["x", "i", "u"], ["y"], axis=1, reduction=reduction)],
        {"x": (dtype, ["batch", 5]), "i": ("int64", ["batch", 5]), "u": (dtype, ["batch", 5])},
        ["y"],
        opset=opset,
    )
    feeds = []
    for n in (1, 2, 7):
        index = RNG.permuted(np.tile(np.arange(-5, 0), (n, 1)), axis=1) if reduction == "none" else (
            RNG.integers(-5, 5, (n, 5))
        )  # fmt: skip
        feeds.append({"x": filled(dtype, (n, 5), -4, 4), "i": index, "u": filled(dtype, (n, 5), -4, 4)})
    assert_lowered(model, *feeds)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_scatter_nd_of_windows(reduction: str, depth: int) -> None:
    model = model_of(
        [helper.make_node("ScatterND", ["x", "i", "u"], ["y"], reduction=reduction)],
        {"x": ("float32", [4, 4, 4]), "i": ("int64", ["n", depth]), "u": ("float32", ["n", *[4] * (3 - depth)])},
        ["y"],
        opset=18,
    )
    feeds = []
    for n in (1, 2, 4):
        index = RNG.permuted(np.tile(np.arange(-4, 0)[:, None], (1, depth)), axis=0)[:n]
        feeds.append({"x": filled("float32", (4, 4, 4)), "i": index, "u": filled("float32", (n, *[4] * (3 - depth)))})
    assert_lowered(model, *feeds)


def test_scatter_behind_a_convolution_stays_in_its_layout() -> None:
    constants = {"i": np.zeros((2, 4, 1, 5), np.int64), "u": filled("float32", (2, 4, 1, 5))}
    model = behind_convolution(
        [helper.make_node("ScatterElements", ["c", "i", "u"], ["y"], axis=2)], constants=constants, batch=2
    )
    assert kinds(assert_lowered(model, *images(2)).data).count("TRANSPOSE") == 2


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32", "int8", "uint8", "int16", "bool"])
def test_places_of_what_is_not_zero(dtype: str) -> None:
    model = model_of([helper.make_node("NonZero", ["x"], ["y"])], {"x": (dtype, ["batch", 4])}, ["y"])
    lowered = lower(model)
    for n in (1, 2, 7):
        x = np.tile(np.array([[0, 1, 0, 1]]), (n, 1)).astype(dtype)
        for delegate in (True, False):  # ONNX Runtime lacks some of the element types
            made = run_tflite(lowered.data, {"x": x}, delegate)["y"]
            np.testing.assert_array_equal(made, np.array(np.nonzero(x), np.int64))


@pytest.mark.parametrize("attributes", [{}, {"axis": 0}, {"axis": -1}])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_compress_by_a_condition_that_is_an_input(attributes: dict[str, int], dtype: str) -> None:
    model = model_of(
        [helper.make_node("Compress", ["x", "k"], ["y"], **attributes)],
        {"x": (dtype, [3, 4]), "k": ("bool", [3])},
        ["y"],
    )
    assert_lowered(model, {"x": filled(dtype, (3, 4)), "k": np.array([True, False, True])})


def test_compress_by_a_constant_condition_behind_a_convolution() -> None:
    constants = {"k": np.array([True, False, True, True])}
    model = behind_convolution([helper.make_node("Compress", ["c", "k"], ["y"], axis=1)], constants=constants)
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 2
