"""Normalisation as exporters write it out: a quotient by a root is a product with the inverse root, where that is safe."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, model_of

RNG = np.random.default_rng(0)


def _normalised(epsilon: float, reciprocal: bool) -> onnx.ModelProto:
    """LayerNormalization, or the root mean square and a reciprocal, of opset 13."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[-1]),
        helper.make_node("Sub", ["x", "m"], ["d"]),
        helper.make_node("Pow", ["d", "two"], ["p"]),
        helper.make_node("ReduceMean", ["p"], ["v"], axes=[-1]),
        helper.make_node("Add", ["v", "eps"], ["a"]),
        helper.make_node("Sqrt", ["a"], ["s"]),
    ]
    if reciprocal:
        nodes += [helper.make_node("Reciprocal", ["s"], ["r"]), helper.make_node("Mul", ["d", "r"], ["y"])]
    else:
        nodes.append(helper.make_node("Div", ["d", "s"], ["y"]))
    constants = {"two": np.array(2, np.float32), "eps": np.array(epsilon, np.float32)}
    return model_of(nodes, {"x": ("float32", ["batch", 5, 8])}, ["y"], constants, opset=13)


@pytest.mark.parametrize("reciprocal", [False, True])
def test_a_normalisation_written_out_is_as_lean_as_the_operator(reciprocal: bool) -> None:
    feeds: list[dict[str, Any]] = [{"x": 3 * RNG.normal(size=(n, 5, 8)).astype(np.float32)} for n in (1, 2, 7)]
    feeds[0]["x"][0, 2] = 4.0  # no variance at all
    lowered = assert_lowered(_normalised(1e-5, reciprocal), *feeds, rtol=1e-4, atol=1e-5)
    assert kinds(lowered.data) == ["MEAN", "SUB", "MUL", "MEAN", "ADD", "RSQRT", "MUL"]


def test_without_a_constant_under_the_root_the_quotient_stays() -> None:
    made = kinds(assert_lowered(_normalised(0.0, False), {"x": RNG.normal(size=(2, 5, 8)).astype(np.float32)}).data)
    assert "RSQRT" not in made
    assert "DIV" in made
