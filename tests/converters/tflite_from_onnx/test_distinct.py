"""What is selected by its values: Unique, NonMaxSuppression, TfIdfVectorizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, model_of
from tests.converters.tflite_from_onnx.moving import filled


@pytest.mark.parametrize("dtype", ["float32", "int64", "int8"])
@pytest.mark.parametrize("attributes", [{}, {"sorted": 0}, {"axis": 0}, {"axis": 1}, {"axis": 0, "sorted": 0}])
def test_unique_rows_and_numbers(dtype: str, attributes: dict[str, int]) -> None:
    names = ["y", "first", "back", "often"]
    model = model_of([helper.make_node("Unique", ["x"], names, **attributes)], {"x": (dtype, [5, 4])}, names)
    for _ in range(3):
        assert_lowered(model, {"x": filled("int8", (5, 4), -1, 1).astype(dtype)})


def _nms(boxes: np.ndarray, scores: np.ndarray, limits: dict[str, Any], center: int = 0) -> None:
    node = helper.make_node("NonMaxSuppression", ["b", "s", *limits], ["y"], center_point_box=center)
    kept = helper.make_node("Concat", ["y", "row"], ["z"], axis=0)  # an output of LiteRT cannot be empty
    model = model_of(
        [node, kept],
        {"b": ("float32", boxes.shape), "s": ("float32", scores.shape)},
        ["z"],
        {**limits, "row": np.zeros((1, 3), np.int64)},
        opset=11,
    )
    assert_lowered(model, {"b": boxes, "s": scores})


@given(data=st.data())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_boxes_with_equal_scores_and_without_area(data: st.DataObject) -> None:
    first, second, count = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2)), data.draw(st.integers(1, 8))
    whole = st.integers(0, 4)
    boxes = np.array([[[data.draw(whole) for _ in range(4)] for _ in range(count)] for _ in range(first)], np.float32)
    scores = np.array(
        [[[data.draw(st.integers(0, 3)) for _ in range(count)] for _ in range(second)] for _ in range(first)],
        np.float32,
    )
    limits = {
        "m": np.array([data.draw(st.integers(0, 5))], np.int64),
        "o": np.array([data.draw(st.sampled_from([0, 0.25, 0.5, 1]))], np.float32),
        "t": np.array([data.draw(st.sampled_from([-1, 1, 1.5]))], np.float32),
    }
    _nms(boxes, scores / 2, limits, data.draw(st.integers(0, 1)))


def test_thresholds_that_are_inputs_and_an_open_number_of_boxes() -> None:
    node = helper.make_node("NonMaxSuppression", ["b", "s", "m", "o", "t"], ["y"])
    model = model_of(
        [node],
        {
            "b": ("float32", [1, "n", 4]), "s": ("float32", [1, 2, "n"]),
            "m": ("int64", []), "o": ("float32", []), "t": ("float32", []),
        },
        ["y"],
    )  # fmt: skip
    feeds = []
    for n, overlap in ((1, 0.5), (6, 0.0), (9, 1.0)):
        corner = np.abs(filled("float32", (1, n, 2)))
        feeds.append({
            "b": np.concatenate([corner, corner + 1], -1), "s": np.abs(filled("float32", (1, 2, n))) + 0.2,
            "m": np.array(4), "o": np.array(overlap, np.float32), "t": np.array(0.1, np.float32),
        })  # fmt: skip
    assert_lowered(model, *feeds)


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("shape", [("batch", 8), (8,)])
@pytest.mark.parametrize("skips", [0, 2])
def test_n_grams_are_counted(mode: str, shape: tuple[Any, ...], skips: int) -> None:
    node = helper.make_node(
        "TfIdfVectorizer", ["x"], ["y"], mode=mode, min_gram_length=1, max_gram_length=2, max_skip_count=skips,
        ngram_counts=[0, 3], ngram_indexes=[0, 2, 1, 4, 3], pool_int64s=[1, 2, 3, 1, 2, 2, 3],
        weights=[1.0, 0.5, 2.0, 3.0, 0.25],
    )  # fmt: skip
    model = model_of([node], {"x": ("int64", shape)}, ["y"])
    wholes = [tuple(n if isinstance(size, str) else size for size in shape) for n in (1, 2, 7)]
    assert_lowered(model, *({"x": filled("int64", whole, 0, 5)} for whole in wholes))
