"""Elementwise operators between two convolutions: no transposes but those at the border, at any batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, model_of

RNG = np.random.default_rng(5)
CONSTANTS: dict[str, np.ndarray] = {
    "w": RNG.normal(size=(4, 4, 3, 3)).astype(np.float32) / 6,
    "one": np.array(1.0, np.float32),
    "channels": RNG.uniform(0.5, 2, (4, 1, 1)).astype(np.float32),
    "columns": RNG.uniform(0.5, 2, 6).astype(np.float32),
    "plane": RNG.uniform(0.5, 2, (6, 6)).astype(np.float32),
    "whole": RNG.uniform(0.5, 2, (1, 4, 6, 6)).astype(np.float32),
    "least": np.array(-0.5, np.float32),
    "most": np.array(0.75, np.float32),
}
UNARY = [
    "Abs", "Neg", "Exp", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh", "Erf", "Ceil", "Floor", "Round", "Sign", "Relu",
    "LeakyRelu", "Elu", "Celu", "Selu", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign", "Sigmoid", "Tanh",
    "ThresholdedRelu", "Shrink", "Dropout", "Identity",
]  # fmt: skip


def _conv(source: str, made: str) -> onnx.NodeProto:
    return helper.make_node("Conv", [source, "w"], [made], pads=[1, 1, 1, 1])


def _kinds(
    middle: Sequence[onnx.NodeProto], more: dict[str, tuple[str, Sequence[int | str]]] | None = None
) -> list[str]:
    """The operators of conv -> middle (from "a" to "m") -> conv, which must be right at batch 1, 2 and 7."""
    inputs: dict[str, tuple[str, Sequence[int | str]]] = {"x": ("float32", ["batch", 4, 6, 6]), **(more or {})}
    used = {name for node in middle for name in node.input} | {"w"}
    constants = {name: array for name, array in CONSTANTS.items() if name in used}
    model = model_of([_conv("x", "a"), *middle, _conv("m", "y")], inputs, ["y"], constants, opset=22)
    feeds = [
        {
            name: RNG.normal(size=[size if isinstance(size, int) else n for size in shape]).astype(np.float32)
            for name, (_, shape) in inputs.items()
        }
        for n in (1, 2, 7)
    ]
    return kinds(assert_lowered(model, *feeds, rtol=1e-4, atol=1e-4).data)


def _assert_border_only(made: list[str]) -> None:
    assert made.count("TRANSPOSE") == 2
    assert made[0] == made[-1] == "TRANSPOSE"


@pytest.mark.parametrize("operator", UNARY)
def test_functions_of_one_value(operator: str) -> None:
    _assert_border_only(_kinds([helper.make_node(operator, ["a"], ["m"])]))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "PRelu"])
@pytest.mark.parametrize("other", ["one", "channels", "columns", "plane", "whole"])
def test_constants_follow_the_layout(operator: str, other: str) -> None:
    middle = [helper.make_node("Abs", ["a"], ["p"]), helper.make_node(operator, ["p", other], ["m"])]
    _assert_border_only(_kinds(middle))


@pytest.mark.parametrize("operator", ["Add", "Mul", "Max", "Mean"])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_value_that_spans_less_follows_the_wider_one(operator: str, swapped: bool) -> None:
    """A gate of [batch, 4, 1, 1], whichever side it is on."""
    sides = ["p", "a"] if swapped else ["a", "p"]
    middle = [helper.make_node("GlobalAveragePool", ["a"], ["p"]), helper.make_node(operator, sides, ["m"])]
    _assert_border_only(_kinds(middle))


@pytest.mark.parametrize("shape", [["batch", 1, 6, 6], ["batch", 4, 1, 1], [4, 1, 1], [6], [1, 1, 1, 1]])
def test_another_input_of_few_elements_moves_and_not_the_features(shape: list[int | str]) -> None:
    made = _kinds([helper.make_node("Mul", ["k", "a"], ["m"])], {"k": ("float32", shape)})
    assert made.count("TRANSPOSE") <= 3
    assert made[-2:] == ["CONV_2D", "TRANSPOSE"]
    assert "TRANSPOSE" not in made[made.index("MUL") :][:-1]


def test_a_residual_takes_the_input_as_the_convolution_has_it() -> None:
    for sides in (["x", "a"], ["a", "x"]):
        _assert_border_only(_kinds([helper.make_node("Add", sides, ["m"])]))


def test_comparisons_logic_and_choices() -> None:
    middle = [
        helper.make_node("Greater", ["a", "least"], ["above"]),
        helper.make_node("Less", ["a", "channels"], ["below"]),
        helper.make_node("And", ["above", "below"], ["both"]),
        helper.make_node("Not", ["both"], ["outside"]),
        helper.make_node("Where", ["outside", "whole", "a"], ["chosen"]),
        helper.make_node("Cast", ["outside"], ["counted"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["chosen", "counted"], ["m"]),
    ]
    _assert_border_only(_kinds(middle))


@pytest.mark.parametrize("bounds", [["least", "most"], ["least"], ["", "most"]])
def test_clip(bounds: list[str]) -> None:
    _assert_border_only(_kinds([helper.make_node("Clip", ["a", *bounds], ["m"])]))


def test_a_gelu_that_an_exporter_took_apart() -> None:
    constants: dict[str, Any] = {"root": 2**0.5, "half": 0.5}
    nodes = [helper.make_node("Constant", [], [name], value_float=value) for name, value in constants.items()]
    nodes += [
        helper.make_node("Div", ["a", "root"], ["d"]),
        helper.make_node("Erf", ["d"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["g"]),
        helper.make_node("Mul", ["a", "g"], ["h"]),
        helper.make_node("Mul", ["h", "half"], ["m"]),
    ]
    made = _kinds(nodes)
    _assert_border_only(made)
    assert "GELU" in made
    assert "DIV" not in made
