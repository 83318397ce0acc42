"""A quantized model may be steps apart from its source, and no more than that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlpack_edge.converters.prove import Allowed, Proof, prove
from mlpack_edge.converters.quantized_parity import STEPS, is_quantized
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.rows import Hints

_INPUTS = (TensorSpec("x", "float32", ("batch", 4)),)
_STEP = 2 / 255


class Rounded:
    """tanh on a grid of 255 steps, moved by some of them in each row."""

    def __init__(self, moved: Callable[[Any], Any], dtype: str = "float32", role: str = "value") -> None:
        self.moved, self.dtype = moved, dtype
        self.signature = Signature(_INPUTS, (TensorSpec("y", dtype, ("batch",), role),))

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        x = feeds["x"][:, 0]
        codes = np.rint(np.tanh(np.rint(x * 40) / 40) / _STEP) + self.moved(x)
        if self.dtype == "int64":
            return {"y": (codes > 20).astype(np.int64)}
        return {"y": (codes * _STEP).astype(np.float32)}


def _prove(moved: Callable[[Any], Any], dtype: str = "float32", role: str = "value", **limits: Any) -> Proof:
    reference, candidate = Rounded(np.zeros_like, dtype, role), Rounded(moved, dtype, role)
    return prove(reference, candidate, Hints(), None, 200, Allowed("quantized", **limits), lambda feeds: None)


def test_a_few_steps_here_and_there_are_the_same_model() -> None:
    assert _prove(lambda x: np.rint(2 * np.sin(1000 * x))).verdict.passed


def test_many_steps_at_one_row_in_ten_are_another_model() -> None:
    proof = _prove(lambda x: np.where(np.sin(1000 * x) > 0.95, 90, 0))
    assert not proof.verdict.passed
    assert "rows differ by more than" in proof.verdict.reasons[0]


def test_some_steps_at_every_row_are_another_model() -> None:
    """Each is within what one row may be off by; that half of the rows are is a wrong scale or zero point."""
    proof = _prove(lambda x: np.full_like(x, STEPS * 0.75))
    assert not proof.verdict.passed
    assert "half of the rows" in proof.verdict.reasons[-1]


@pytest.mark.parametrize("role", ["label", "value"])
def test_labels_differ_only_where_the_source_has_no_stable_one(role: str) -> None:
    """One step beside the threshold flips what a step of the input flips as well; these rows are counted apart."""
    near = _prove(lambda x: np.where(np.abs(x - 0.16) < 0.02, -1.0, 0.0), "int64", role)
    assert near.verdict.passed
    far = _prove(lambda x: np.where(x > 0.5, -200.0, 0.0), "int64", role)
    assert not far.verdict.passed


def test_what_the_user_allows_is_what_counts() -> None:
    assert not _prove(lambda x: np.rint(2 * np.sin(1000 * x)), atol=0.5 * _STEP).verdict.passed


def test_a_model_of_dequantized_weights_alone_is_no_quantized_one() -> None:
    """It computes in floats, and is held to what floats allow."""
    codes = numpy_helper.from_array(np.ones((4, 2), np.int8), "w")
    scale = numpy_helper.from_array(np.array(0.1, np.float32), "s")
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["d"]), helper.make_node("MatMul", ["x", "d"], ["y"])]
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "g", [value], [out], [codes, scale])
    assert not is_quantized(helper.make_model(graph))
    graph.node.append(helper.make_node("QuantizeLinear", ["y", "s"], ["q"]))
    assert is_quantized(helper.make_model(graph))
