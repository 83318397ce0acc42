"""Activations that exporters take apart become one TFLite operator again, in whatever order and grouping they are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, model_of

RNG = np.random.default_rng(3)
SQRT2, SLOPE = math.sqrt(2.0), math.sqrt(2.0 / math.pi)


class _Formula:
    """Nodes written as a formula: numbers become constants of rank 0."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def __call__(self, operator: str, *parts: str | float, **attributes: Any) -> str:
        names = [self._named(part) for part in parts]
        made = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [made], **attributes))
        return made

    def _named(self, part: str | float) -> str:
        if isinstance(part, str):
            return part
        name = f"c{len(self.constants)}"
        self.constants[name] = np.array(part, np.float32)
        return name


def _by_erf(f: _Formula, x: str) -> str:
    return f("Add", f("Erf", f("Div", x, SQRT2)), 1.0)


def _by_tanh(f: _Formula, x: str) -> str:
    return f("Add", 1.0, f("Tanh", f("Mul", SLOPE, f("Add", x, f("Mul", 0.044715, f("Pow", x, 3.0))))))


GELUS: dict[str, Callable[[_Formula, str], str]] = {
    "torch": lambda f, x: f("Mul", f("Mul", x, _by_erf(f, x)), 0.5),
    "half first": lambda f, x: f("Mul", f("Mul", x, 0.5), _by_erf(f, x)),
    "half of the gate": lambda f, x: f("Mul", x, f("Mul", 0.5, _by_erf(f, x))),
    "divided by 2": lambda f, x: f("Div", f("Mul", _by_erf(f, x), x), 2.0),
    "multiplied by the root": lambda f, x: f("Mul", f("Mul", 0.5, x), f("Add", 1.0, f("Erf", f("Mul", x, 1 / SQRT2)))),
    "tanh": lambda f, x: f("Mul", f("Mul", 0.5, x), _by_tanh(f, x)),
    "tanh, cube multiplied out": lambda f, x: f(
        "Mul", 0.5, f("Mul", x, f("Add", f("Tanh", f("Mul", f("Add", f("Mul", f("Mul", f("Mul", x, x), x), 0.044715), x), SLOPE)), 1.0))
    ),
    "tanh, x taken out": lambda f, x: f(
        "Mul", f("Mul", x, f("Add", 1.0, f("Tanh", f("Mul", f("Mul", SLOPE, x), f("Add", f("Mul", f("Mul", 0.044715, x), x), 1.0))))), 0.5
    ),
}  # fmt: skip
OTHERS: dict[str, tuple[Callable[[_Formula, str], str], str]] = {
    "hard swish": (lambda f, x: f("Div", f("Mul", x, f("Clip", f("Add", x, 3.0), 0.0, 6.0)), 6.0), "HARD_SWISH"),
    "hard swish, sixth of the gate": (
        lambda f, x: f("Mul", f("Mul", f("Clip", f("Add", 3.0, x), 0.0, 6.0), 1 / 6), x), "HARD_SWISH",
    ),
    "hard swish by hard sigmoid": (lambda f, x: f("Mul", f("HardSigmoid", x, alpha=1 / 6), x), "HARD_SWISH"),
}  # fmt: skip


def _model(formula: Callable[[_Formula, str], str], before: str = "Neg") -> onnx.ModelProto:
    """The formula of what `before` makes of the input, and something after it."""
    f = _Formula()
    x = f(before, "x", *(["x"] if before == "Mul" else []))
    f.nodes.append(helper.make_node("Identity", [formula(f, x)], ["y"]))
    return model_of(f.nodes, {"x": ("float32", ["batch", 5])}, ["y"], f.constants)


def _kinds(model: onnx.ModelProto) -> list[str]:
    feeds = [{"x": RNG.normal(size=(n, 5)).astype(np.float32) * 2} for n in (1, 2, 7)]
    return kinds(assert_lowered(model, *feeds, atol=3e-6).data)


@pytest.mark.parametrize("formula", GELUS.values(), ids=GELUS)
@pytest.mark.parametrize("before", ["Neg", "Mul"])
def test_gelu_is_one_operator(formula: Callable[[_Formula, str], str], before: str) -> None:
    """Also where it is of a product, whose factors are none of its own."""
    assert _kinds(_model(formula, before)) == ["NEG" if before == "Neg" else "MUL", "GELU"]


@pytest.mark.parametrize(("formula", "kind"), OTHERS.values(), ids=OTHERS)
def test_hard_swish_is_one_operator(formula: Callable[[_Formula, str], str], kind: str) -> None:
    assert _kinds(_model(formula)) == ["NEG", kind]


def test_mish_taken_apart_is_mish() -> None:
    assert "TANH" not in _kinds(_model(lambda f, x: f("Mul", x, f("Tanh", f("Softplus", x)))))


@pytest.mark.parametrize(
    "formula",
    [
        lambda f, x: f("Mul", f("Mul", x, _by_erf(f, x)), 0.49),
        lambda f, x: f("Mul", f("Mul", "x", _by_erf(f, x)), 0.5),
        lambda f, x: f("Mul", f("Mul", x, f("Add", f("Erf", f("Div", x, 1.5)), 1.0)), 0.5),
        lambda f, x: f("Mul", f("Mul", x, f("Add", f("Erf", f("Div", x, SQRT2)), 0.9)), 0.5),
        lambda f, x: f("Mul", f("Mul", 0.5, x), f("Add", 1.0, f("Tanh", f("Mul", SLOPE, f("Add", x, f("Mul", 0.05, f("Pow", x, 3.0))))))),
        lambda f, x: f("Div", f("Mul", x, f("Clip", f("Add", x, 3.0), 0.0, 5.0)), 6.0),
        lambda f, x: f("Mul", f("HardSigmoid", x), x),
        lambda f, x: f("Mul", f("HardSigmoid", x, alpha=1 / 6), "x"),
    ],
)  # fmt: skip
def test_what_is_only_alike_is_left_as_it_is(formula: Callable[[_Formula, str], str]) -> None:
    made = _kinds(_model(formula))
    assert "GELU" not in made
    assert "HARD_SWISH" not in made


def test_what_others_read_of_a_pattern_stays() -> None:
    f = _Formula()
    gate = _by_erf(f, "x")
    f.nodes.append(helper.make_node("Mul", [f("Mul", "x", gate), f._named(0.5)], ["y"]))
    f.nodes.append(helper.make_node("Neg", [gate], ["z"]))
    model = model_of(f.nodes, {"x": ("float32", ["batch", 5])}, ["y", "z"], f.constants)
    made = _kinds(model)
    assert "GELU" in made
    assert "NEG" in made


def test_a_gated_gelu_is_a_gelu_times_its_gate() -> None:
    assert _kinds(_model(lambda f, x: f("Mul", "x", GELUS["torch"](f, x)))) == ["NEG", "GELU", "MUL"]
