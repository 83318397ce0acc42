"""Forests in which every node asks `column <= threshold` in float32, so that a walk needs one comparison.

The walk goes to the second child where the comparison holds; NaN never holds, so missing values take the first. Other
comparisons become this one: on the negated column, in two steps (equality), or on a column that says whether a number
is one of a set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.forests.forest import EQ, GT, GTE, LEQ, LT, MEMBER, NEQ, Forest

_INFINITY = np.float32(np.inf)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are compared: the `width` of the input, then `negated` ones, a column a set, and one of NaN.

    sets: (input column, the numbers in the set, whether NaN counts as one of them); 0 where x is in the set, else 1.
    """

    width: int
    negated: tuple[int, ...]
    sets: tuple[tuple[int, tuple[float, ...], bool], ...]

    @property
    def nothing(self) -> int:
        """The column of NaN, which leaves read."""
        return self.width + len(self.negated) + len(self.sets)


@dataclass(frozen=True, slots=True)
class Questions:
    """column: int64 [nodes], -1 at a leaf. threshold: float32 [nodes]. first, second: int64 [nodes], the child where the
    comparison does not hold, and where it does. leaf: int64 [nodes], the row of the values at leaves."""

    columns: Columns
    roots: NDArray[np.int64]
    column: NDArray[np.int64]
    threshold: NDArray[np.float32]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    leaf: NDArray[np.int64]


def below(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 <= each threshold: for a float32 x, `x <= t` is `x <= below(t)`."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
        return np.where(near > threshold, np.nextafter(near, -_INFINITY), near).astype(np.float32)


def above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The smallest float32 >= each threshold."""
    return -below(-threshold)


def before(threshold: NDArray[np.float32]) -> NDArray[np.float32]:
    """The number before each: `x < t` is `x <= before(t)`. Nothing is before -infinity: NaN, which no x is <=."""
    made = np.nextafter(threshold, -_INFINITY)
    return np.where(threshold == -_INFINITY, np.float32(np.nan), made).astype(np.float32)


def questions_of(forest: Forest, width: int) -> Questions:
    """The same forest in one kind of question, for an input of `width` columns that holds float32 numbers."""
    forest = _without_equality(forest)
    inner, mode = ~forest.is_leaf, forest.mode
    # `x > t` and `x >= t` are `x <= t` and `x < t` with the children changed round; NaN goes where it went
    flipped = inner & ((mode == GT) | (mode == GTE))
    strict = (mode == LT) | (mode == GTE)
    true = np.where(flipped, forest.false_child, forest.true_child)
    false = np.where(flipped, forest.true_child, forest.false_child)
    missing_true = forest.missing_true ^ flipped
    threshold = np.where(strict, before(above(forest.threshold)), below(forest.threshold)).astype(np.float32)
    member = inner & (mode == MEMBER)
    turned = inner & ~member & missing_true
    # NaN to the true side: `x > t` on -x, with the children changed round
    against = np.where(np.isnan(threshold), _INFINITY, before(-threshold))
    threshold = np.where(turned, against, threshold).astype(np.float32)
    negated = np.unique(forest.feature[turned])
    column = forest.feature.copy()
    column[turned] = width + np.searchsorted(negated, forest.feature[turned])
    first, second = np.where(turned, true, false), np.where(turned, false, true)
    sets: dict[tuple[int, tuple[float, ...], bool], int] = {}
    for node in np.flatnonzero(member).tolist():
        key = (int(forest.feature[node]), forest.members[node], bool(missing_true[node]))
        column[node] = width + len(negated) + sets.setdefault(key, len(sets))
        threshold[node] = 0
    columns = Columns(width, tuple(negated.tolist()), tuple(sets))
    return Questions(columns, forest.roots, column, threshold, first, second, forest.leaf)


def _without_equality(forest: Forest) -> Forest:
    """x == t as x <= t and then x >= t; x != t the same with the children changed round."""
    equal = np.flatnonzero(~forest.is_leaf & ((forest.mode == EQ) | (forest.mode == NEQ)))
    if not equal.size:
        return forest
    differs = forest.mode[equal] == NEQ
    true = np.where(differs, forest.false_child[equal], forest.true_child[equal])
    false = np.where(differs, forest.true_child[equal], forest.false_child[equal])
    missing = forest.missing_true[equal] ^ differs
    mode, one, other = forest.mode.copy(), forest.true_child.copy(), forest.false_child.copy()
    new = len(mode) + np.arange(len(equal))
    mode[equal], one[equal], other[equal] = LEQ, new, false
    # NaN has to come to the second question where it is to go to the true side
    both = forest.missing_true.copy()
    both[equal] = missing
    return replace(
        forest,
        feature=np.concatenate([forest.feature, forest.feature[equal]]),
        mode=np.concatenate([mode, np.full(len(equal), GTE, np.uint8)]),
        threshold=np.concatenate([forest.threshold, forest.threshold[equal]]),
        true_child=np.concatenate([one, true]),
        false_child=np.concatenate([other, false]),
        missing_true=np.concatenate([both, missing]),
        leaf=np.concatenate([forest.leaf, np.full(len(equal), -1)]),
    )
