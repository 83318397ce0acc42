"""Losses: every reduction, weights, classes that are ignored or lie outside; determinants of small matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, lower, model_of

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("ignored", [None, 1, -1, 9])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("op", ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"])
def test_losses(op: str, reduction: str, weighted: bool, ignored: int | None, dtype: str) -> None:
    attributes: dict[str, Any] = {"reduction": reduction, **({} if ignored is None else {"ignore_index": ignored})}
    constants = {"w": RNG.uniform(0.5, 2, 3).astype(np.float32)} if weighted else {}
    model = model_of(
        [helper.make_node(op, ["x", "t", *constants], ["y"], **attributes)],
        {"x": ("float32", ["batch", 3, 4]), "t": (dtype, ["batch", 4])},
        ["y"],
        constants,
    )
    feeds = []
    for n in (1, 2, 7):
        target = RNG.integers(0, 3, (n, 4)).astype(dtype)
        if ignored is not None:
            target[0, 0] = ignored
        feeds.append({"x": -RNG.random((n, 3, 4)).astype(np.float32), "t": target})
    assert_lowered(model, *feeds, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [["batch", 3], ["batch", 3, 2, 2]])
def test_cross_entropy_also_gives_the_log_probabilities(shape: list[Any]) -> None:
    node = helper.make_node("SoftmaxCrossEntropyLoss", ["x", "t"], ["y", "p"])
    model = model_of([node], {"x": ("float32", shape), "t": ("int64", [shape[0], *shape[2:]])}, ["y", "p"])
    feeds = [
        {"x": RNG.normal(size=(n, *shape[1:])).astype(np.float32), "t": RNG.integers(0, 3, (n, *shape[2:]))}
        for n in (1, 2, 7)
    ]
    assert_lowered(model, *feeds, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_determinants(size: int) -> None:
    model = model_of([helper.make_node("Det", ["x"], ["y"])], {"x": ("float32", ["batch", 3, size, size])}, ["y"])
    feeds = [{"x": RNG.normal(size=(n, 3, size, size)).astype(np.float32)} for n in (1, 2, 7)]
    assert_lowered(model, *feeds, rtol=1e-4, atol=1e-4)


def test_a_large_determinant_is_refused() -> None:
    model = model_of([helper.make_node("Det", ["x"], ["y"])], {"x": ("float32", [5, 5])}, ["y"])
    with pytest.raises(Unsupported, match="Det"):
        lower(model)
