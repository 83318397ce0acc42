"""Graphs of random ensembles give, bit for bit, what `walk` gives: the specification of every tree converter."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.converters.onnx_graph import ONNX_TYPE, Graph, Value
from mlpack_edge.converters.trees import emit_onnx, row_order
from mlpack_edge.converters.trees.emit_onnx import leaves_of_trees, sum_of_trees
from mlpack_edge.converters.trees.ensemble import LEQ, LT, MEMBER, Ensemble, walk
from mlpack_edge.converters.trees.node_table import rounded
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.onnxruntime import open_session

WIDTH = 3
THRESHOLDS = [0.1, 0.5, -1.7, 3.0, 1e9 + 0.1, 0.0, 1e-40, 1e300]
#: Numbers on the thresholds and beside them in both widths, categories, what is no category, and what is no number.
NUMBERS = [
    *(float(np.nextafter(kind(t), kind(to))) for t in THRESHOLDS[:6] for kind in (np.float32, np.float64)
      for to in (-np.inf, t, np.inf)),
    *range(9), 29, 30, 31, 32, 63, 64, 65, 99, -1, -0.5, 0.5, 1.5, 2**31, -(2**31), 2**32 + 1, 3e9, 1e19,
    np.nan, np.inf, -np.inf,
]  # fmt: skip
VALUES = [0.1, 0.3, 1 / 3, 1.0, 0.0, 2e-9, -0.7]


def ensemble_of(
    seed: int, dtype: str, trees: int, depth: int, outputs: int, kind: str, modes: tuple[int, ...]
) -> Ensemble:
    """A random ensemble. kind: "one" (a number a leaf), "vote" (1 for one output) or "vector" (a number an output)."""
    rng = np.random.default_rng(seed)
    nodes: list[dict[str, Any]] = []
    members: dict[int, tuple[int, ...]] = {}

    def grow(left: int) -> int:
        place = len(nodes)
        value = rng.choice(VALUES, 1 if kind == "one" else outputs)
        if kind == "vote":
            value = np.eye(outputs)[rng.integers(outputs)]
        node = {"feature": -1, "mode": LEQ, "threshold": 0.0, "true": 0, "false": 0, "missing": False, "value": value}
        nodes.append(node)
        if left and rng.random() < 0.85:
            node["feature"] = int(rng.integers(WIDTH))
            node["mode"], node["missing"] = int(rng.choice(modes)), bool(rng.random() < 0.5)
            node["threshold"] = float(rng.choice(THRESHOLDS))
            if node["mode"] == MEMBER:
                pool = int(rng.choice([5, 33, 100]))
                members[place] = tuple(np.unique(rng.integers(0, pool, int(rng.integers(0, pool)))).tolist())
            node["true"], node["false"] = grow(left - 1), grow(left - 1)
        return place

    roots = [grow(depth) for _ in range(trees)]

    def column(name: str, dtype: Any) -> Any:
        return np.array([node[name] for node in nodes], dtype)

    return Ensemble(
        dtype, np.array(roots), column("feature", np.int64), column("mode", np.uint8), column("threshold", np.float64),
        column("true", np.int64), column("false", np.int64), column("missing", np.bool_), column("value", np.float64),
        rng.integers(0, outputs, trees) if kind == "one" else np.zeros(trees, np.int64), outputs,
        np.zeros(outputs) if kind == "vote" else rng.choice([0.0, 0.1, 0.7], outputs), members,
    )  # fmt: skip


def run(made: Any, ensemble: Ensemble, rows: NDArray[Any]) -> list[NDArray[Any]]:
    """What the graph gives for all rows, for one and for none."""
    graph = Graph()
    value = made(graph, ensemble, Value("X", str(rows.dtype), rows.shape[1]))
    assert value.dtype == "float64"
    model = graph.model(
        [helper.make_tensor_value_info("X", ONNX_TYPE[str(rows.dtype)], ["batch", rows.shape[1]])],
        [helper.make_tensor_value_info(value.name, ONNX_TYPE["float64"], ["batch", value.width])],
    )
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString())
    return [session.run(None, {"X": rows[:count]})[0] for count in (len(rows), 1, 0)]


def rows_of(seed: int, dtype: str) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return np.random.default_rng(seed).choice(NUMBERS, (150, WIDTH)).astype(dtype)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from(["float32", "float64"]),
    given_as=st.sampled_from(["float32", "float64"]),
    trees=st.sampled_from([1, 2, 7, 40]),
    depth=st.integers(0, 5),
    outputs=st.integers(1, 6),
    kind=st.sampled_from(["one", "vote", "vector"]),
    modes=st.sampled_from([(LEQ,), (LT,), (MEMBER,), (LEQ, LT, MEMBER), (LEQ, LEQ, MEMBER)]),
    small=st.booleans(),
)
def test_the_graph_gives_what_the_walk_gives(
    seed: int,
    dtype: str,
    given_as: str,
    trees: int,
    depth: int,
    outputs: int,
    kind: str,
    modes: tuple[int, ...],
    small: bool,
) -> None:
    """`small` makes the layouts for big ensembles (sorted rows, groups of trees) happen on small ones."""
    ensemble = ensemble_of(seed, dtype, trees, depth, outputs, kind, modes)
    rows = rows_of(seed, given_as)
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        if small:
            patch.setattr(emit_onnx, "NODES_IN_CACHE", 30)
            patch.setattr(emit_onnx, "WORTH_TELLING_APART", 20)
            patch.setattr(emit_onnx, "BIG_TREE", 0)
            patch.setattr(row_order, "WORTH_SORTING", 1)
        for made in run(sum_of_trees, ensemble, rows):
            np.testing.assert_array_equal(made, walk(ensemble, rows[: len(made)]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), dtype=st.sampled_from(["float32", "float64"]), trees=st.sampled_from([1, 30]))
def test_each_tree_can_be_told_apart(seed: int, dtype: str, trees: int) -> None:
    ensemble = ensemble_of(seed, dtype, trees, 4, 1, "one", (LEQ, MEMBER))
    rows = rows_of(seed, dtype)
    made = run(leaves_of_trees, ensemble, rows)[0]
    total = np.full(len(rows), ensemble.base[0])
    for tree in range(trees):
        total = total + made[:, tree]
    np.testing.assert_array_equal(total, walk(ensemble, rows)[:, 0])


@settings(max_examples=300, deadline=None)
@given(x=st.floats(width=32, allow_nan=False), threshold=st.floats(allow_nan=False), steps=st.integers(-2, 2))
def test_a_rounded_threshold_sends_every_float32_the_same_way(x: float, threshold: float, steps: int) -> None:
    """Also numbers a step or two in float32 beside the threshold itself."""
    with np.errstate(over="ignore"):
        numbers = [np.float32(x), np.float32(threshold)]
        for _ in range(abs(steps)):
            numbers[1] = np.nextafter(numbers[1], np.float32(np.copysign(np.inf, steps)))
    exact = np.array([threshold])
    at_most, below = (float(rounded(exact, np.array([mode], np.uint8))[0]) for mode in (LEQ, LT))
    for number in map(float, numbers):
        assert (number <= at_most) == (number <= threshold)
        assert (number < below) == (number < threshold)


def test_what_cannot_be_exact_is_refused() -> None:
    ensemble = ensemble_of(0, "float32", 2, 2, 1, "one", (LEQ,))
    with pytest.raises(Unsupported, match=r"ai\.onnx\.ml 5"):
        sum_of_trees(Graph(ml_opset=3), ensemble, Value("X", "float32", WIDTH))
    with pytest.raises(Unsupported, match="column"):
        sum_of_trees(Graph(), ensemble, Value("X", "float32", 0))


def test_equal_sets_one_after_the_other_keep_their_directions_for_missing_values() -> None:
    """ONNX Runtime would merge the two nodes, which look alike on their true sides, and forget the second direction."""
    ensemble = Ensemble(
        "float64", np.array([0]), np.array([0, 0, -1, -1, -1]), np.array([MEMBER, MEMBER, LEQ, LEQ, LEQ], np.uint8),
        np.zeros(5), np.array([2, 3, 0, 0, 0]), np.array([1, 4, 0, 0, 0]), np.array([False, True, False, False, False]),
        np.array([[0.0], [0.0], [7.0], [7.0], [9.0]]), np.array([0]), 1, np.zeros(1), {0: (1, 2), 1: (3,)},
    )  # fmt: skip
    rows = np.array([[np.nan], [1.0], [3.0], [4.0]])
    np.testing.assert_array_equal(walk(ensemble, rows)[:, 0], [7, 7, 7, 9])
    np.testing.assert_array_equal(run(sum_of_trees, ensemble, rows)[0][:, 0], [7, 7, 7, 9])
