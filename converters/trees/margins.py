"""The margins of a booster as graph nodes: what the library adds up before its objective turns it into predictions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.converters.tensor import Tensor, beside, const, tensor
from mlpack_edge.converters.trees.boosted import Boosted, Linear
from mlpack_edge.converters.trees.emit_float32 import float32_sum_of_trees
from mlpack_edge.converters.trees.emit_onnx import sum_of_trees
from mlpack_edge.converters.trees.from_lightgbm import ZERO


def margins(graph: Graph, boosted: Boosted, x: Value) -> Tensor:
    """Margins `[batch, outputs]` in `boosted.sum_dtype` for a number matrix `[batch, features]`."""
    if isinstance(boosted.model, Linear):
        return _linear(_with_missing(tensor(graph, x, "float32"), boosted), boosted.model)
    rows = _with_missing(tensor(graph, x, boosted.model.dtype), boosted)
    rows = _truncated(rows, boosted)
    if boosted.zero_missing:
        zero = (rows.abs() <= ZERO) & _mask(graph, boosted.zero_missing, boosted.features)
        rows = zero.where(float("nan"), rows)
    if len(boosted.model.roots) == 0:
        return _no_tree(rows, boosted)
    add_up = float32_sum_of_trees if boosted.sum_dtype == "float32" else sum_of_trees
    sums = tensor(graph, add_up(graph, boosted.model, rows.value(boosted.features)))
    if boosted.linear:
        sums = _linear_leaves(sums, tensor(graph, x, "float64"), boosted)
    if boosted.divisor != 1:
        sums = sums / float(boosted.divisor)
    if boosted.scale != 1.0:
        sums = sums * boosted.scale
    return sums + np.array([boosted.bias]) if any(boosted.bias) else sums


def _no_tree(rows: Tensor, boosted: Boosted) -> Tensor:
    """A model without trees (nothing to learn, or stopped at once): the same margins for every row."""
    assert not isinstance(boosted.model, Linear)
    graph = rows.graph
    outputs = boosted.model.base[: boosted.outputs] + (np.array(boosted.bias) if boosted.bias else 0.0)
    batch = graph.op("Shape", rows.name, start=0, end=1)
    shape = graph.op("Concat", batch, graph.const(np.array([boosted.outputs], np.int64)), axis=0)
    made = graph.op("Expand", graph.const(outputs[None, :], boosted.sum_dtype), shape)
    return Tensor(graph, made, boosted.sum_dtype)


def _mask(graph: Graph, columns: Iterable[int], features: int) -> Tensor:
    mask = np.zeros((1, features), np.bool_)
    mask[0, list(columns)] = True
    return const(graph, mask)


def _with_missing(rows: Tensor, boosted: Boosted) -> Tensor:
    """The number that stands for missing (XGBoost's `missing`, compared in float32) as NaN."""
    if boosted.missing is None:
        return rows
    return rows.equals(boosted.missing).where(float("nan"), rows)


def _truncated(rows: Tensor, boosted: Boosted) -> Tensor:
    """Category codes without their fraction, as a C cast to int gives them.

    XGBoost takes every negative code as none of the set before it casts; LightGBM casts first, so that -0.5 is 0.
    """
    if not boosted.truncated:
        return rows
    graph = rows.graph
    floor = Tensor(graph, graph.op("Floor", rows.name), rows.dtype)
    whole = floor
    if boosted.sum_dtype == "float64":
        ceiling = Tensor(graph, graph.op("Ceil", rows.name), rows.dtype)
        whole = (rows < 0.0).where(ceiling + 0.0, floor)
    if len(boosted.truncated) == boosted.features:
        return whole
    return _mask(graph, boosted.truncated, boosted.features).where(whole, rows)


def _linear(rows: Tensor, model: Linear) -> Tensor:
    """gblinear: products added one after another in float32, missing values as 0 (`src/gbm/gblinear.cc`, Pred)."""
    graph = rows.graph
    known = rows.is_nan().where(0.0, rows)
    first = known.columns(0, 1) * 0.0
    last = graph.const(np.array([model.weights.shape[0]], np.int64))
    outputs = []
    for output, start in enumerate(model.start):
        terms = beside([first * 0.0 + float(start), known * model.weights[None, :, output]])
        running = graph.op("CumSum", terms.name, graph.const(np.array(1, np.int64)))
        outputs.append(Tensor(graph, graph.op("Gather", running, last, axis=1), "float32"))
    return beside(outputs)


def _linear_leaves(sums: Tensor, rows: Tensor, boosted: Boosted) -> Tensor:
    """LightGBM's linear trees: constants plus coefficients times values.

    A leaf with a NaN among its columns gave its plain value and no coefficient, so NaN may count as 0 here; a column
    without a coefficient adds nothing even where it is infinite.
    """
    picked = rows.take(boosted.linear)
    picked = picked.is_nan().where(0.0, picked)
    width = len(boosted.linear)
    outputs = []
    for output in range(boosted.outputs):
        start = boosted.outputs + output * width
        slopes = sums.columns(start, start + width)
        terms = slopes.equals(0.0).where(0.0, slopes * picked)
        outputs.append(sums.columns(output, output + 1) + terms.sum())
    return beside(outputs)
