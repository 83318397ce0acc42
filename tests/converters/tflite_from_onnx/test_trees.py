"""Tree ensembles: every row takes the branch that ONNX Runtime takes, on, beside and far from thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.tflite_from_onnx.lowered import kinds, lower, run_tflite

Array = NDArray[Any]
LEQ, LT, GTE, GT, EQ, NEQ, MEMBER = range(7)


class Trees:
    """A random ensemble as the attributes of TreeEnsemble (ai.onnx.ml 5)."""

    def __init__(
        self, seed: int, *, modes: tuple[int, ...], targets: int, dtype: str, depth: int, missing: bool
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.modes, self.targets, self.dtype, self.missing = modes, targets, dtype, missing
        self.nodes: list[list[float]] = []
        self.sets: list[float] = []
        self.leaves: list[tuple[int, float]] = []
        self.columns = 4
        self.members: dict[int, list[float]] = {}
        self.roots = [self.grow(depth, root=True)[0] for _ in range(4)]

    def grow(self, depth: int, root: bool = False) -> tuple[int, bool]:
        """(node or leaf, whether it is a leaf); a root is never a leaf."""
        if depth == 0 or (not root and self.random.random() < (0.15 if depth < 10 else 0.4)):
            self.leaves.append((int(self.random.integers(self.targets)), float(np.float32(self.random.normal()))))
            return len(self.leaves) - 1, True
        place = len(self.nodes)
        self.nodes.append([])
        mode = int(self.random.choice(self.modes))
        threshold = float(self.random.integers(-3, 4)) * (0.1 if self.random.random() < 0.5 else 1.0)
        if mode == MEMBER:
            self.members[place] = sorted(set(self.random.integers(0, 6, 3).astype(float).tolist()))
        tracks = int(self.missing and self.random.random() < 0.5)
        feature = int(self.random.integers(self.columns))
        true, false = self.grow(depth - 1), self.grow(depth - 1)
        self.nodes[place] = [feature, threshold, mode, true[0], true[1], false[0], false[1], tracks]
        return place, False

    def model(self, aggregate: int = 1, transform: int = 0) -> onnx.ModelProto:
        real = np.float64 if self.dtype == "float64" else np.float32
        table = np.array(self.nodes)
        sets = [number for place in sorted(self.members) for number in (*self.members[place], np.nan)]
        more = {"membership_values": numpy_helper.from_array(np.array(sets, real))} if sets else {}
        node = helper.make_node(
            "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=self.targets, aggregate_function=aggregate,
            post_transform=transform, tree_roots=self.roots, nodes_featureids=table[:, 0].astype(int).tolist(),
            nodes_splits=numpy_helper.from_array(table[:, 1].astype(real)),
            nodes_modes=numpy_helper.from_array(table[:, 2].astype(np.uint8)),
            nodes_truenodeids=table[:, 3].astype(int).tolist(), nodes_trueleafs=table[:, 4].astype(int).tolist(),
            nodes_falsenodeids=table[:, 5].astype(int).tolist(), nodes_falseleafs=table[:, 6].astype(int).tolist(),
            nodes_missing_value_tracks_true=table[:, 7].astype(int).tolist(),
            leaf_targetids=[target for target, _ in self.leaves],
            leaf_weights=numpy_helper.from_array(np.array([weight for _, weight in self.leaves], real)), **more,
        )  # fmt: skip
        return ml_model([node], self.dtype, self.columns, {"y": (self.dtype, ("batch", self.targets))})

    def walk(self, x: Array) -> Array:
        """What the operator's specification says: float64 sums [batch, targets]."""
        real = np.float64 if self.dtype == "float64" else np.float32
        sums = np.zeros((len(x), self.targets))
        for row, values in enumerate(x):
            for place in self.roots:
                leaf = False
                while not leaf:
                    feature, split, mode, true, true_leaf, false, false_leaf, tracks = self.nodes[place]
                    value, limit = values[int(feature)], real(split)
                    holds = (
                        value <= limit,
                        value < limit,
                        value >= limit,
                        value > limit,
                        value == limit,
                        value != limit,
                    )
                    yes = bool(tracks) if np.isnan(value) else bool(holds[int(mode)])
                    place, leaf = (int(true), bool(true_leaf)) if yes else (int(false), bool(false_leaf))
                sums[row, self.leaves[place][0]] += self.leaves[place][1]
        return sums

    def rows(self, count: int, missing: bool) -> Array:
        """Float32 rows, half of them on a threshold or one unit beside it."""
        plain = self.random.normal(0, 2, (count, self.columns)).astype(np.float32)
        splits = np.array([node[1] for node in self.nodes], np.float32)
        near = self.random.choice(splits, plain.shape)
        beside = np.nextafter(near, self.random.choice(np.array([-np.inf, np.inf], np.float32), plain.shape))
        whole = self.random.integers(-1, 7, plain.shape).astype(np.float32)
        pick = self.random.integers(0, 5, plain.shape)
        x: Array = np.select([pick == 0, pick == 1, pick == 2], [near, beside, whole], plain).astype(np.float32)
        x[0], x[1] = np.inf, -np.inf
        if missing:
            x[self.random.random(x.shape) < 0.2] = np.nan
        return x


def ml_model(
    nodes: list[onnx.NodeProto],
    dtype: str,
    columns: int,
    outputs: dict[str, tuple[str, tuple[int | str, ...]]],
    ml: int = 5,
    constants: dict[str, Array] | None = None,
) -> onnx.ModelProto:
    """A model of one input `x` [batch, columns]."""

    def kind(name: str) -> int:
        return onnx.TensorProto.STRING if name == "string" else helper.np_dtype_to_tensor_dtype(np.dtype(name))

    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind(dtype), ["batch", columns])],
        [helper.make_tensor_value_info(name, kind(of), shape) for name, (of, shape) in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", ml)], ir_version=10
    )


def assert_same(model: onnx.ModelProto, x: Array, atol: float = 1e-6) -> bytes:
    """Both files on the same float32 rows, with XNNPACK and without, also for one row and for seven."""
    data = lower(model).data
    session = open_session(model.SerializeToString())
    wide = np.float64 if session.get_inputs()[0].type == "tensor(double)" else np.float32
    for rows in (x, x[:1], x[:7]):
        expected = run(session, {"x": rows.astype(wide)})
        for delegate in (True, False):
            made = run_tflite(data, {"x": rows}, delegate)
            for name, wanted in expected.items():
                assert made[name].shape == wanted.shape
                if wanted.dtype.kind == "f":
                    np.testing.assert_allclose(made[name], wanted, rtol=1e-6, atol=atol, err_msg=name)
                else:
                    np.testing.assert_array_equal(made[name], wanted, err_msg=name)
    return data


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    modes=st.sampled_from([(LEQ,), (LT,), (LEQ, LT, GTE, GT), (EQ, NEQ, LEQ), (LEQ, GT, EQ, NEQ, GTE, LT)]),
    dtype=st.sampled_from(["float32", "float64"]),
    targets=st.integers(1, 3),
    depth=st.integers(1, 6),
    missing=st.booleans(),
)
def test_every_mode_takes_the_branch_of_onnx_runtime(
    seed: int, modes: tuple[int, ...], dtype: str, targets: int, depth: int, missing: bool
) -> None:
    """Against a walk by the specification; against ONNX Runtime but where its chains of EQ forget where NaN goes."""
    trees = Trees(seed, modes=modes, targets=targets, dtype=dtype, depth=depth, missing=missing)
    x = trees.rows(64, missing)
    made = run_tflite(lower(trees.model()).data, {"x": x})["y"]
    np.testing.assert_allclose(made, trees.walk(x), rtol=1e-6, atol=1e-6)
    if not (missing and {EQ, NEQ}.intersection(modes)):
        assert_same(trees.model(), x)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), dtype=st.sampled_from(["float32", "float64"]))
def test_sets_of_categories_are_exact(seed: int, dtype: str) -> None:
    """Fractions and numbers outside are in no set (sets of up to 30 small numbers, which ONNX Runtime tests exactly)."""
    trees = Trees(seed, modes=(MEMBER, LEQ), targets=2, dtype=dtype, depth=3, missing=False)
    # a set that follows a set on its column is merged by ONNX Runtime; one set a column keeps its answer plain
    for place, node in enumerate(trees.nodes):
        if node[2] == MEMBER:
            node[0] = place % trees.columns
    assert_same(trees.model(), np.trunc(trees.rows(64, False)))


def test_a_deep_ensemble_is_a_loop() -> None:
    trees = Trees(3, modes=(LEQ, LT), targets=1, dtype="float32", depth=40, missing=True)
    data = assert_same(trees.model(), trees.rows(64, True))
    assert "WHILE" in kinds(data)


@pytest.mark.parametrize("aggregate", [0, 1, 2, 3])
def test_aggregates_of_one_target(aggregate: int) -> None:
    trees = Trees(1, modes=(LEQ,), targets=1, dtype="float32", depth=3, missing=False)
    assert_same(trees.model(aggregate), trees.rows(32, False))


def test_float32_sums_keep_the_order_of_the_trees() -> None:
    """Bit for bit what ONNX Runtime adds on one thread."""
    trees = Trees(5, modes=(LEQ,), targets=1, dtype="float32", depth=4, missing=False)
    trees.leaves = [(target, weight * 10.0 ** (place % 9)) for place, (target, weight) in enumerate(trees.leaves)]
    rows = trees.rows(200, False)
    model = trees.model()
    wanted = run(open_session(model.SerializeToString()), {"x": rows})["y"]
    np.testing.assert_array_equal(run_tflite(lower(model).data, {"x": rows})["y"], wanted)


def test_a_node_below_itself_is_refused() -> None:
    trees = Trees(2, modes=(LEQ,), targets=1, dtype="float32", depth=2, missing=False)
    trees.nodes[0][3:5] = [0, 0]
    with pytest.raises(Unsupported, match="TreeEnsemble") as caught:
        lower(trees.model())
    assert "below itself" in caught.value.why


def test_thresholds_are_asked_of_the_input_behind_a_scaler() -> None:
    """(x - 1e6) / 3 in float64, then trees: rows at the turning point of each threshold and beside it do not move."""
    trees = Trees(7, modes=(LEQ, GT), targets=1, dtype="float64", depth=4, missing=True)
    tree = trees.model().graph.node[0]
    tree.input[0] = "scaled"
    mean, scale = np.array([[1e6, 3.0, -7e5, 0.1]]), np.array([[3.0, -2.0, 1e-3, 7.0]])
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=onnx.TensorProto.DOUBLE),
        helper.make_node("Sub", ["wide", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        tree,
    ]
    model = ml_model(nodes, "float32", 4, {"y": ("float64", ("batch", 1))}, constants={"mean": mean, "scale": scale})
    split = np.array([node[1] for node in trees.nodes])
    column = np.array([int(node[0]) for node in trees.nodes])
    turning = (split * scale[0, column] + mean[0, column]).astype(np.float32)
    x = np.tile(mean, (3 * len(split), 1)).astype(np.float32)
    for place, (number, at) in enumerate(zip(turning, column, strict=True)):
        x[3 * place : 3 * place + 3, at] = [
            number, np.nextafter(number, np.float32(np.inf)), np.nextafter(number, np.float32(-np.inf)),
        ]  # fmt: skip
    x[::11, 1] = np.nan
    data = assert_same(model, x)
    assert "DIV" not in kinds(data)


def test_sets_of_the_standards_own_example() -> None:
    """A set above 30 members or numbers, missing values; thresholds of set nodes are NaN (the case of onnx's own)."""
    node = helper.make_node(
        "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=4, aggregate_function=1, post_transform=0,
        tree_roots=[0], nodes_featureids=[0, 0, 0],
        nodes_splits=numpy_helper.from_array(np.array([11, 232344.0, np.nan], np.float32)),
        nodes_modes=numpy_helper.from_array(np.array([LEQ, MEMBER, MEMBER], np.uint8)),
        nodes_truenodeids=[1, 0, 1], nodes_trueleafs=[0, 1, 1], nodes_falsenodeids=[2, 2, 3], nodes_falseleafs=[0, 1, 1],
        leaf_targetids=[0, 1, 2, 3], leaf_weights=numpy_helper.from_array(np.array([1, 10, 1000, 100], np.float32)),
        membership_values=numpy_helper.from_array(np.array([1.2, 3.7, 8, 9, np.nan, 12, 7, np.nan], np.float32)),
    )  # fmt: skip
    model = ml_model([node], "float32", 1, {"y": ("float32", ("batch", 4))})
    x = np.array([[1.2], [3.4], [-0.12], [np.nan], [12], [7]], np.float32)
    made = run_tflite(lower(model).data, {"x": x})["y"]
    wanted = [[1, 0, 0, 0], [0, 0, 1000, 0], [0, 0, 1000, 0], [0, 0, 0, 100], [0, 10, 0, 0], [0, 0, 1000, 0]]
    np.testing.assert_array_equal(made, np.array(wanted, np.float32))
