"""What calibration does to a model: raw tables, every method, boxes beside scores, scores that labels do not show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars
import pytest
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.attempts import METHODS
from mlpack_edge.converters.quantization.calibration.calibrate import calibrate
from mlpack_edge.converters.quantization.choosing import Budget, Tried, choose
from mlpack_edge.converters.quantization.judging.judge import Judge
from mlpack_edge.converters.quantization.prepared import prepare
from mlpack_edge.converters.quantization.static import static_model, tensors_of
from mlpack_edge.converters.quantization.values import Method, Point, Range, Recipe
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from mlpack_edge.runtimes.onnxruntime import OnnxRunner
from tests.cli.quantize_models import make_raw
from tests.converters.quantization.judging.answering import InMemory
from tests.converters.quantization.lite.nets import operators
from tests.converters.quantization.prepared.graphs import Graph, built
from tests.converters.quantization.traps.roads import S8S8, U8S8, answer, lite_of, noise_of_slices, static_of

Array = NDArray[Any]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> tuple[onnx.ModelProto, Array, Array, Array]:
    """A trained net on 30 raw columns of 0.001 to 4,000, rows to calibrate on, rows held out, and their truth."""
    folder: Path = tmp_path_factory.mktemp("raw")
    make_raw(folder)
    rows, held = (polars.read_csv(folder / name) for name in ("raw.csv", "raw-holdout.csv"))
    truth = held["truth"].to_numpy()
    return (
        onnx.load(folder / "raw.onnx"), rows.to_numpy().astype(np.float32),
        held.drop("truth").to_numpy().astype(np.float32), truth,
    )  # fmt: skip


@pytest.mark.parametrize("to", ["onnx", "tflite"])
@pytest.mark.parametrize("method", METHODS)
def test_a_net_on_raw_columns_keeps_its_accuracy_under_every_method(
    method: Method, to: str, raw: tuple[onnx.ModelProto, Array, Array, Array]
) -> None:
    """One large column decides over a scale for all: elsewhere such a net lost a quarter of its accuracy under each."""
    model, rows, held, truth = raw
    made = static_of(model, rows, U8S8, method) if to == "onnx" else lite_of(model, rows, S8S8, method)
    before, after = (np.mean((answer(file, held)[:, 0] > 0.5) == truth) for file in (model, made))
    assert before > 0.94
    assert after >= before - 0.01


def _digits() -> tuple[onnx.ModelProto, Array, Array, Array]:
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    rows, truth = load_digits(return_X_y=True)
    rows = (rows / 16).astype(np.float32)
    order = np.random.default_rng(7).permutation(len(rows))
    learned, held = order[:1200], order[1200:]
    net = MLPClassifier((64,), tol=1e9, n_iter_no_change=40, random_state=3).fit(rows[learned], truth[learned])
    graph = Graph()
    value = "x"
    for place, (weights, bias) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        value = graph.op("Relu", value) if place else value
        value = graph.op("Gemm", value, graph.const(weights), graph.const(bias))
    return graph.model({"x": ["batch", 64]}, value), rows[learned], rows[held], truth[held]


def test_no_method_of_calibration_costs_an_ordinary_net_its_accuracy() -> None:
    """One method of the usual tools leaves 10 % of ten classes, without a word."""
    model, rows, held, truth = _digits()
    before = np.mean(answer(model, held).argmax(1) == truth)
    assert before > 0.93
    for method in METHODS:
        assert np.mean(answer(static_of(model, rows, U8S8, method), held).argmax(1) == truth) >= before - 0.01, method


@pytest.mark.parametrize("recipe", [S8S8, replace(S8S8, stored=False)])
def test_boxes_and_scores_share_no_scale_in_tflite(recipe: Recipe) -> None:
    """Its CONCATENATION of codes has one scale for all that it joins: 640 pixels of a box leave a score one code."""
    graph = Graph()
    x = graph.op("Relu", graph.conv("x", 3, 16))
    boxes = graph.op("Mul", graph.conv(x, 16, 4, side=1), graph.const(200.0))
    joined = graph.op("Concat", boxes, graph.op("Sigmoid", graph.conv(x, 16, 2, side=1)), axis=1)
    model = graph.model({"x": ["batch", 3, 8, 8]}, joined)
    rows = np.random.default_rng(0).normal(size=(40, 3, 8, 8)).astype(np.float32)
    made = lite_of(model, rows, recipe)
    assert noise_of_slices(answer(made, rows), answer(model, rows)).max() < 0.01
    joins = [types for kind, _, types, _ in operators(made) if kind == "CONCATENATION"]
    assert joins == [("float32", "float32")]


def _certain() -> tuple[onnx.ModelProto, Array]:
    """Ten classes, of which one is always all but certain: codes that saturate leave its place the largest."""
    graph = Graph()
    named = graph.op("Softmax", graph.op("Gemm", "x", graph.const(np.eye(10)), graph.const(np.zeros(10))))
    draw = np.random.default_rng(0)
    rows = draw.uniform(-6, -4, (400, 10))
    rows[np.arange(400), draw.integers(0, 10, 400)] *= -1
    return graph.model({"x": ["batch", 10]}, named), rows.astype(np.float32)


def test_scores_that_are_far_off_break_the_budget_though_every_label_is_right() -> None:
    """Ranges as a moving average leaves them: all labels as before, and scores off by .8. Labels alone would pass it."""
    model, rows = _certain()
    prepared, signature = prepare(built(model)), derived_signature(model)
    ranges = dict(calibrate(prepared.model, tensors_of(prepared, U8S8), [{"x": rows}], ("minmax",)).ranges("minmax"))
    short = {name: Range(found.low / 20, found.high / 20) for name, found in ranges.items()}
    points: list[Tried] = []
    with Judge(OnnxRunner(model.SerializeToString(), signature), InMemory({"x": rows})) as judge:
        for label, given in (("true", ranges), ("short", short)):
            made = static_model(prepared, given, U8S8)
            found = judge.judge(OnnxRunner(made.SerializeToString(), signature))
            points.append(Tried(Point(label, U8S8, len(points) + 1, found)))
            off = np.abs(answer(made, rows) - answer(model, rows)).max()
            assert (off > 0.8) == (label == "short")
    assert [one.point.quality.flips for one in points] == [0.0, 0.0]
    assert points[0].point.quality.drop <= 0.01 < points[1].point.quality.drop
    # The smaller file is the one whose scores are wrong: it is not taken, alone it is refused.
    smaller = replace(points[1], point=replace(points[1].point, bytes=0))
    assert choose([points[0], smaller], Budget(0.01), 100).point == points[0].point
    assert choose([smaller], Budget(0.01), 100).point is None
