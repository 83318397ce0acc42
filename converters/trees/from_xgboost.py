"""The JSON document of an XGBoost model as an ensemble.

Mirrors XGBoost 3.2: `src/predictor/cpu_predictor.cc` (float32 x < float32 threshold; leaves added in float32, tree
after tree, onto the base margin), `src/common/categorical.h` (a category of the set goes right, everything else left)
and `src/gbm/gbtree.cc` (dart). The document is what `Booster.save_raw("json")` gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.trees.boosted import Boosted, Linear
from mlpack_edge.converters.trees.ensemble import LT, Ensemble
from mlpack_edge.converters.trees.nodes import Nodes
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.runtimes.boosters.xgboost import categories_of

#: A parsed JSON object.
Json = dict[str, Any]


def boosted_from_xgboost(
    document: Json,
    base_margin: NDArray[np.float32],
    rounds: int | None = None,
    in_place: bool = False,
    missing: float | None = None,
) -> Boosted:
    """Parse a model document.

    base_margin: float32 [outputs], what the booster predicts as margin without any tree (the stored `base_score` is
        a probability or a mean, and XGBoost's own float32 logarithm turns it into a margin).
    rounds: how many boosting rounds to keep; None for all.
    in_place: whether the library would predict with `inplace_predict`, as its scikit-learn wrappers do; it rounds
        dart's leaves otherwise than `predict`.
    missing: a value that stands for missing beside NaN.
    Raises Unsupported for boosters and trees it does not know, BadInput for a damaged document.
    """
    try:
        learner = document["learner"]
        booster = learner["gradient_booster"]
        features = int(learner["learner_model_param"]["num_feature"])
        objective = str(learner["objective"]["name"])
        names = tuple(str(name) for name in learner.get("feature_names", ()))
        kind = str(booster["name"])
        if kind == "gblinear":
            model: Ensemble | Linear = _linear(booster["model"], features, base_margin)
            return Boosted(model, objective, len(base_margin), features, names, sum_dtype="float32", missing=missing)
        if kind not in ("gbtree", "dart"):
            raise Unsupported(f"XGBoost's booster {kind!r} has no converter", "train with gbtree, dart or gblinear")
        trees = booster["gbtree"]["model"] if kind == "dart" else booster["model"]
        drops = booster["weight_drop"] if kind == "dart" else None
        model = _ensemble(trees, drops, base_margin, rounds, in_place)
        split_by_category = {int(f) for f in model.feature[list(model.members)]} if model.members else set()
        return Boosted(
            model, objective, len(base_margin), features, names,
            sum_dtype="float32", missing=missing,
            truncated=tuple(sorted(split_by_category)),
            categories=tuple(categories_of(document).items()),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as fault:
        raise BadInput(
            "this is not a model document of XGBoost 1.7 or later",
            "load it with XGBoost and save it again with Booster.save_model",
            why=f"{type(fault).__name__}: {fault}",
        ) from fault


def _ensemble(
    model: Json, drops: list[float] | None, base: NDArray[np.float32], rounds: int | None, in_place: bool
) -> Ensemble:
    trees, groups = model["trees"], model["tree_info"]
    kept = len(trees)
    if rounds is not None:
        kept = int(model["iteration_indptr"][rounds]) if "iteration_indptr" in model else _kept(model, base, rounds)
    vectors = any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees)
    nodes = Nodes(len(base) if vectors else 1)
    for index in range(kept):
        group = int(groups[index])
        weight = np.float32(1 if drops is None else drops[index])
        start = base[group] if in_place and drops is not None else None
        nodes.root(_tree(nodes, trees[index], weight, start, vectors), group)
    return nodes.ensemble("float32", [float(value) for value in base])


def _kept(model: Json, base: NDArray[np.float32], rounds: int) -> int:
    """Trees of the first rounds in documents of XGBoost 1 and 2, which hold no index of rounds."""
    return rounds * int(model["gbtree_model_param"]["num_parallel_tree"]) * len(base)


def _tree(nodes: Nodes, tree: Json, weight: np.float32, start: np.float32 | None, vectors: bool) -> int:
    left, right = tree["left_children"], tree["right_children"]
    conditions = np.array(tree["split_conditions"], np.float32)
    sets = _category_sets(tree)
    leaf_vectors = _leaf_vectors(tree) if vectors else None
    made: dict[int, int] = {}
    waiting = [0]
    inner: list[int] = []
    while waiting:
        at = waiting.pop()
        if at in made:
            raise ValueError(f"node {at} of a tree has two parents")
        if left[at] == -1:
            if leaf_vectors is not None:
                made[at] = nodes.leaf(*(float(v) for v in leaf_vectors[int(right[at])]))
            else:
                made[at] = nodes.leaf(float(_leaf(conditions[at], weight, start)))
            continue
        feature, default_left = int(tree["split_indices"][at]), bool(tree["default_left"][at])
        if at in sets:
            made[at] = nodes.member(feature, sets[at], not default_left)
        else:
            made[at] = nodes.split(feature, LT, float(conditions[at]), default_left)
        inner.append(at)
        waiting += [int(right[at]), int(left[at])]
    for at in inner:
        children = made[int(left[at])], made[int(right[at])]
        nodes.join(made[at], *(children[::-1] if at in sets else children))
    return made[0]


def _leaf(value: np.float32, weight: np.float32, start: np.float32 | None) -> np.float32:
    """A leaf as it is added: `predict` adds leaf * weight, `inplace_predict` ((base + leaf) - base) * weight."""
    if start is not None:
        value = np.float32(np.float32(start + value) - start)
    return np.float32(value * weight)


def _leaf_vectors(tree: Json) -> NDArray[np.float32]:
    width = int(tree["tree_param"]["size_leaf_vector"])
    if "leaf_weights" not in tree:
        raise Unsupported(
            "a multi-output tree of XGBoost before 3.1 keeps its leaves in another form",
            "load the model with XGBoost 3.1 or later and save it again",
        )
    return np.array(tree["leaf_weights"], np.float32).reshape(-1, width)


def _category_sets(tree: Json) -> dict[int, list[int]]:
    """Node -> the categories that go right."""
    sets = {}
    for node, start, size in zip(
        tree.get("categories_nodes", ()),
        tree.get("categories_segments", ()),
        tree.get("categories_sizes", ()),
        strict=True,
    ):
        sets[int(node)] = [int(code) for code in tree["categories"][int(start) : int(start) + int(size)]]
    return sets


def _linear(model: Json, features: int, base: NDArray[np.float32]) -> Linear:
    """Weights `[features + 1, outputs]`, the bias last. XGBoost adds the base of the first output to all of them."""
    weights = np.array(model["weights"], np.float32).reshape(features + 1, len(base))
    return Linear(weights[:-1], (weights[-1] + base[0]).astype(np.float32))
