"""Pad in its modes and element types, at known and open sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of
from tests.converters.tflite_from_onnx.moving import assert_moved, behind_convolution, filled, images


def _ints(*items: int) -> np.ndarray:
    return np.array(items, np.int64)


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32", "int8", "uint8", "bool"])
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [(0, 1, 2, 0, 3, 1), (0, -1, 2, 0, 1, -2), (0, 0, -1, 0, 1, 0)])
def test_every_mode_and_element_type(dtype: str, mode: str, pads: tuple[int, ...]) -> None:
    made = helper.make_node("Pad", ["x", "p"], ["y"], mode=mode)
    assert_moved(made, dtype, ("batch", 5, 6), {"p": _ints(*pads)})


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32", "int8", "uint8"])
def test_a_constant_that_is_not_zero(dtype: str) -> None:
    made = helper.make_node("Pad", ["x", "p", "v"], ["y"])
    assert_moved(made, dtype, ("batch", 5), {"p": _ints(0, 1, 0, 2), "v": np.array(7, dtype)})


def test_minus_infinity_and_a_value_that_is_an_input() -> None:
    pads = {"p": _ints(0, 1, 0, 2)}
    made = helper.make_node("Pad", ["x", "p", "v"], ["y"])
    assert_moved(made, "float32", ("batch", 5), {**pads, "v": np.array(-np.inf, np.float32)})
    model = model_of([made], {"x": ("float32", ["batch", 5]), "v": ("float32", [])}, ["y"], pads)
    assert_lowered(model, *({"x": filled("float32", (n, 5)), "v": np.array(2.5, np.float32)} for n in (1, 2, 7)))


@pytest.mark.parametrize(
    ("opset", "attribute"), [(7, {"pads": [0, 1, 0, 2], "value": 1.5}), (10, {"pads": [0, 0, 0, 2]})]
)
def test_pads_that_are_attributes(opset: int, attribute: dict[str, object]) -> None:
    assert_moved(helper.make_node("Pad", ["x"], ["y"], **attribute), "float32", ("batch", 5), opset=opset)


def test_axes_that_are_named_out_of_order() -> None:
    constants = {"p": _ints(1, 2, 0, 3), "v": np.array(0, np.float32), "a": _ints(-1, 1)}
    assert_moved(helper.make_node("Pad", ["x", *constants], ["y"]), "float32", ("batch", 4, 5), constants, opset=19)


@pytest.mark.parametrize("rank", [6, 7])
def test_more_dimensions_than_the_kernel_takes(rank: int) -> None:
    pads = [0] * (2 * rank)
    pads[1], pads[-1], pads[rank] = 1, 2, 0
    assert_moved(
        helper.make_node("Pad", ["x", "p"], ["y"]), "float32", ["batch", *[2] * (rank - 1)], {"p": _ints(*pads)}
    )


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
@pytest.mark.parametrize("pads", [(1, 2), (2, 0), (-1, 2), (-1, -1)])
def test_an_axis_whose_size_is_open(mode: str, pads: tuple[int, int]) -> None:
    constants = {"p": _ints(0, pads[0], 0, 0, pads[1], 0)}
    model = model_of(
        [helper.make_node("Pad", ["x", "p"], ["y"], mode=mode)],
        {"x": ("float32", ["batch", "time", 2])},
        ["y"],
        constants,
    )
    assert_lowered(model, *({"x": filled("float32", (n, t, 2))} for n, t in ((1, 5), (2, 4), (7, 9))))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [(0, 0, 1, 1, 0, 0, 1, 1), (0, 2, 0, 3, 0, 1, 0, -1)])
def test_padding_behind_a_convolution_keeps_its_layout(mode: str, pads: tuple[int, ...]) -> None:
    model = behind_convolution([helper.make_node("Pad", ["c", "p"], ["y"], mode=mode)], constants={"p": _ints(*pads)})
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 2


def test_pads_that_are_an_input() -> None:
    model = model_of(
        [helper.make_node("Pad", ["x", "p"], ["y"])], {"x": ("float32", ["batch", 3]), "p": ("int64", [4])}, ["y"]
    )
    assert_lowered(model, *({"x": filled("float32", (n, 3)), "p": _ints(0, n, 1, 2)} for n in (1, 2, 7)))


@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_pads_are_as_in_onnx_runtime(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(2, 4), min_size=1, max_size=4))
    mode = data.draw(st.sampled_from(["constant", "reflect", "edge", "wrap"]))
    first, last = ([data.draw(st.integers(-1, 1 if mode == "reflect" else 3)) for _ in shape] for _ in range(2))
    left = [n + min(a, 0) + min(b, 0) for n, a, b in zip(shape, first, last, strict=True)]
    if min(left) < 1 or (mode == "reflect" and min(left) < 2):
        return
    constants = {"p": _ints(*first, *last)}
    made = helper.make_node("Pad", ["x", "p"], ["y"], mode=mode)
    model = model_of([made], {"x": ("float32", shape)}, ["y"], constants)
    assert_lowered(model, {"x": filled("float32", shape)})


@pytest.mark.parametrize(("mode", "pads"), [("reflect", (0, 3, 0, 0)), ("constant", (0, -2, 0, -2))])
def test_more_than_there_is_is_refused(mode: str, pads: tuple[int, ...]) -> None:
    made = helper.make_node("Pad", ["x", "p"], ["y"], mode=mode, name="much")
    model = model_of([made], {"x": ("float32", ["batch", 3])}, ["y"], {"p": _ints(*pads)})
    with pytest.raises(Unsupported, match="much"):
        lower(model)
