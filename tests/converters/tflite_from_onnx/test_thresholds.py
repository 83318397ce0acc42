"""Float64 thresholds that the numbers of an input are compared with, on float32 rows exactly beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, KBinsDiscretizer
from sklearn.tree import DecisionTreeClassifier

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx
from mlpack_edge.converters.tflite_from_onnx.thresholds import with_float32_thresholds
from mlpack_edge.core.signature import Signature, TensorSpec
from tests.converters.tflite_from_onnx.lowered import run_tflite

COMPARED = {"Greater": np.greater, "GreaterOrEqual": np.greater_equal, "Less": np.less, "LessOrEqual": np.less_equal}
SIGNATURE = Signature((TensorSpec("x", "float64", ("batch", 1)),), ())


def _beside(number: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    with np.errstate(over="ignore"):
        near = np.float32(number)
    return np.array([[np.nextafter(near, np.float32(-np.inf))], [near], [np.nextafter(near, np.float32(np.inf))]])


@pytest.mark.parametrize("first", [True, False], ids=["x first", "constant first"])
@pytest.mark.parametrize("kind", COMPARED)
@settings(max_examples=200, deadline=None)
@given(number=st.floats(allow_nan=True))
def test_every_float32_number_gets_the_answer_of_float64(kind: str, first: bool, number: float) -> None:
    constant = numpy_helper.from_array(np.array([number]), "c")
    node = helper.make_node(kind, ["x", "c"] if first else ["c", "x"], ["y"])
    nodes = list(with_float32_thresholds([node], [constant], SIGNATURE))
    if len(nodes) == 1:
        used = np.array([number])
    else:
        (attribute,) = nodes[0].attribute
        used = numpy_helper.to_array(attribute.t)
    with np.errstate(over="ignore", invalid="ignore"):
        held = used.astype(np.float32)
        rows = _beside(number)
    compare = COMPARED[kind]
    wanted = compare(rows.astype(np.float64), number) if first else compare(number, rows.astype(np.float64))
    np.testing.assert_array_equal(compare(rows, held) if first else compare(held, rows), wanted)


def test_computed_numbers_are_left_alone() -> None:
    """A number that was clipped to 0.1 reaches 0.1, rounded or not."""
    constant = numpy_helper.from_array(np.array([0.1]), "c")
    nodes = [helper.make_node("Min", ["x", "c"], ["m"]), helper.make_node("GreaterOrEqual", ["m", "c"], ["y"])]
    assert list(with_float32_thresholds(nodes, [constant], SIGNATURE)) == nodes


@pytest.mark.parametrize(
    "steps",
    [
        (KBinsDiscretizer(5, encode="onehot"), LogisticRegression()),
        (KBinsDiscretizer(7, encode="ordinal"), DecisionTreeClassifier(random_state=0)),
        (Binarizer(threshold=0.1), DecisionTreeClassifier(random_state=0)),
    ],
    ids=["one-hot", "ordinal", "binarised"],
)
def test_rows_beside_the_edges_of_bins_fall_where_they_fall_in_the_source(steps: tuple[Any, Any]) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 2)) * [1.0, 3e7] + [0.0, 1.7e9]
    model = make_pipeline(*steps).fit(x, (x[:, 0] > 0.2).astype(int) + (x[:, 1] > 1.7e9))
    edges = steps[0].bin_edges_ if hasattr(steps[0], "bin_edges_") else [np.array([0.1]), np.array([0.1])]
    rows = np.concatenate(
        [np.where(np.arange(2) == column, _beside(edge), np.float32(0)) for column in (0, 1) for edge in edges[column]]
    ).astype(np.float32)
    built = onnx_from_sklearn(model, Signature((TensorSpec("X", "float64", ("batch", 2)),), ()))
    made = tflite_from_onnx(built.model, built.signature)
    for delegate in (True, False):
        np.testing.assert_array_equal(
            run_tflite(made.data, {"X": rows}, delegate)["label"], model.predict(rows.astype(np.float64))
        )


def test_a_constant_node_counts_as_an_initializer_does() -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(0.1))),
        helper.make_node("Cast", ["x"], ["d"], to=onnx.TensorProto.DOUBLE),
        helper.make_node("Less", ["d", "c"], ["y"]),
    ]
    assert len(with_float32_thresholds(nodes, [], SIGNATURE)) == 4
