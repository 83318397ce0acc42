"""A LightGBM model text as an ensemble.

Mirrors `include/LightGBM/tree.h` of LightGBM 4.6/4.7 (NumericalDecision, CategoricalDecision, Predict with linear
leaves) and `src/c_api.cpp` (a value |x| <= 1e-35 arrives as 0): float64 x <= float64 threshold, leaves added in
float64, tree after tree.
"""

from __future__ import annotations

import math

from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.ensemble import LEQ
from mlpack_edge.converters.trees.nodes import Nodes
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.runtimes.boosters.lightgbm import categories_of
from mlpack_edge.runtimes.boosters.lightgbm_text import LightgbmText, read_lightgbm_text

#: LightGBM's kZeroThreshold: the float32 nearest to 1e-35, as a double.
ZERO = 1.0000000180025095e-35
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_NO_MISSING, _ZERO_MISSING, _NAN_MISSING = 0, 1, 2


def boosted_from_lightgbm(text: str, sigmoid: float | None = None) -> Boosted:
    """Parse what `Booster.model_to_string(num_iteration=...)` gives for the iterations that are to be kept.

    sigmoid: the exact parameter where it is known; the text holds six digits of it.
    Raises Unsupported for what has no converter, BadInput for a damaged text.
    """
    document = read_lightgbm_text(text)
    try:
        return _boosted(document, sigmoid)
    except (KeyError, ValueError, IndexError) as fault:
        raise BadInput(
            "the model text of LightGBM is damaged",
            "save it again with booster.save_model('model.txt')",
            why=f"{type(fault).__name__}: {fault}",
        ) from fault


def _boosted(document: LightgbmText, sigmoid: float | None) -> Boosted:
    header = document.header
    outputs = int(header["num_tree_per_iteration"])
    features = int(header["max_feature_idx"]) + 1
    trees = document.trees
    linear = tuple(
        sorted(
            {int(f) for tree in trees if tree.get("is_linear") == "1" for f in tree.get("leaf_features", "").split()}
        )
    )
    zero_missing, coded = _columns(trees)
    writer = _Writer(Nodes(outputs * (1 + len(linear)) if linear else 1), linear, outputs)
    for index, tree in enumerate(trees):
        writer.tree(tree, index % outputs)
    objective, found = _objective(header.get("objective", ""))
    base = [0.0] * (outputs * (1 + len(linear)))
    names = tuple(header.get("feature_names", "").split())
    return Boosted(
        model=writer.nodes.ensemble("float64", base),
        objective=objective,
        outputs=outputs,
        features=features,
        names=names if len(names) == features else (),
        parameter=found if sigmoid is None else sigmoid,
        truncated=coded,
        zero_missing=tuple(sorted(zero_missing)),
        linear=linear,
        divisor=max(len(trees) // outputs, 1) if "average_output" in header else 1,
        categories=tuple(categories_of(document).items()),
    )


def _objective(line: str) -> tuple[str, float]:
    """The name (with its " sqrt") and the sigmoid parameter of an objective line; "" for a custom objective."""
    words = line.split()
    parameter = 1.0
    for word in words[1:]:
        if word.startswith("sigmoid:"):
            parameter = float(word.removeprefix("sigmoid:"))
    name = words[0] if words else ""
    return (f"{name} sqrt" if "sqrt" in words else name), parameter


def _columns(trees: tuple[dict[str, str], ...]) -> tuple[frozenset[int], tuple[int, ...]]:
    """Columns whose nodes take zero as missing, and columns that hold category codes."""
    kinds: dict[int, set[int]] = {}
    coded: set[int] = set()
    for tree in trees:
        types = [int(word) for word in tree.get("decision_type", "").split()]
        for column, kind in zip(map(int, tree.get("split_feature", "").split()), types, strict=True):
            if kind & _CATEGORICAL:
                coded.add(column)
            else:
                kinds.setdefault(column, set()).add((kind >> 2) & 3)
    for feature, found in kinds.items():
        if (_ZERO_MISSING in found and len(found) > 1) or feature in coded:
            raise Unsupported(
                f"column {feature} is read in two ways (zero as missing, or as a category, and otherwise)",
                "train in one run, without init_model of other parameters",
            )
    return frozenset(f for f, found in kinds.items() if _ZERO_MISSING in found), tuple(sorted(coded))


class _Writer:
    """Adds trees to `nodes`."""

    def __init__(self, nodes: Nodes, linear: tuple[int, ...], outputs: int) -> None:
        self.nodes = nodes
        self._linear = {feature: place for place, feature in enumerate(linear)}
        self._outputs = outputs

    def tree(self, tree: dict[str, str], target: int) -> None:
        leaves = self._leaves(tree, target)
        lefts = [int(word) for word in tree.get("left_child", "").split()]
        if len(leaves) == 1 or not lefts:
            self.nodes.root(leaves[0], target)
            return
        rights = [int(word) for word in tree["right_child"].split()]
        if sorted(lefts + rights) != [*range(-len(leaves), 0), *range(1, len(lefts))]:
            raise ValueError("the children of a tree are no tree")
        splits = zip(*(tree[key].split() for key in ("split_feature", "decision_type", "threshold")), strict=True)
        made = [self._split(tree, int(f), int(kind), float(threshold)) for f, kind, threshold in splits]
        for at, (left, right) in enumerate(zip(lefts, rights, strict=True)):
            self.nodes.join(made[at], *(leaves[~child] if child < 0 else made[child] for child in (left, right)))
        self.nodes.root(made[0], target)

    def _split(self, tree: dict[str, str], feature: int, kind: int, threshold: float) -> int:
        if kind & _CATEGORICAL:
            return self.nodes.member(feature, _category_set(tree, int(threshold)), False)
        default_left = bool(kind & _DEFAULT_LEFT)
        # Every |x| <= ZERO is 0 to LightGBM: the whole zone falls on the side of 0.
        if abs(threshold) <= ZERO:
            threshold = ZERO if threshold >= 0 else math.nextafter(-ZERO, -math.inf)
        missing = (kind >> 2) & 3
        missing_true = threshold >= 0 if missing == _NO_MISSING else default_left
        return self.nodes.split(feature, LEQ, threshold, missing_true)

    def _leaves(self, tree: dict[str, str], target: int) -> list[int]:
        values = [float(word) for word in tree["leaf_value"].split()]
        if not self._linear:
            return [self.nodes.leaf(value) for value in values]
        if tree.get("is_linear") != "1":
            return [self._linear_leaf(value, (), (), target) for value in values]
        constants = [float(word) for word in tree["leaf_const"].split()]
        features = [int(word) for word in tree.get("leaf_features", "").split()]
        slopes = [float(word) for word in tree.get("leaf_coeff", "").split()]
        leaves, start = [], 0
        for value, constant, count in zip(values, constants, map(int, tree["num_features"].split()), strict=True):
            own = features[start : start + count]
            leaf = self._linear_leaf(constant, own, slopes[start : start + count], target)
            start += count
            # A row in which one of the leaf's columns is NaN gets the plain value of the leaf.
            for feature in reversed(own):
                test = self.nodes.split(feature, LEQ, math.inf, False)
                self.nodes.join(test, leaf, self._linear_leaf(value, (), (), target))
                leaf = test
            leaves.append(leaf)
        return leaves

    def _linear_leaf(
        self, constant: float, features: list[int] | tuple[()], slopes: list[float] | tuple[()], target: int
    ) -> int:
        row = [0.0] * self.nodes.width
        row[target] = constant
        for feature, slope in zip(features, slopes, strict=True):
            row[self._outputs + target * len(self._linear) + self._linear[feature]] = slope
        return self.nodes.leaf(*row)


def _category_set(tree: dict[str, str], index: int) -> list[int]:
    """The categories of a bit set: `cat_threshold` holds words of 32 bits, `cat_boundaries` where each set starts."""
    bounds = [int(word) for word in tree["cat_boundaries"].split()]
    words = [int(word) for word in tree["cat_threshold"].split()[bounds[index] : bounds[index + 1]]]
    return [place * 32 + bit for place, word in enumerate(words) for bit in range(32) if word >> bit & 1]
