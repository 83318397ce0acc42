"""Tree ensembles of any library in one form: flat arrays, a node a place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: How a node compares: x <= threshold, x < threshold, or x is one of a set of categories.
LEQ, LT, MEMBER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Trees whose leaf values are added, in the order of `roots`, starting from `base`.

    dtype: "float32" or "float64", the type in which the library compares x with a threshold and to which the input is
        cast first.
    roots: int64 [trees], the node each tree starts at.
    feature: int64 [nodes], the column a node reads; -1 marks a leaf.
    mode: uint8 [nodes], LEQ, LT or MEMBER.
    threshold: float64 [nodes], not rounded.
    true_child, false_child: int64 [nodes]; the row goes to `true_child` where the comparison holds.
    missing_true: bool [nodes], whether NaN goes to `true_child`.
    members: for MEMBER nodes, the categories (non-negative integers) that go to `true_child`.
    values: float64 [nodes, outputs_per_tree], read at leaves.
    targets: int64 [trees]; where `values` has one column but the ensemble has several outputs, the output a tree adds
        to. All zero where a tree adds to every output (then outputs_per_tree == n_targets).
    n_targets: the number of outputs.
    base: float64 [n_targets].
    """

    dtype: str
    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    mode: NDArray[np.uint8]
    threshold: NDArray[np.float64]
    true_child: NDArray[np.int64]
    false_child: NDArray[np.int64]
    missing_true: NDArray[np.bool_]
    values: NDArray[np.float64]
    targets: NDArray[np.int64]
    n_targets: int
    base: NDArray[np.float64]
    members: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        return self.feature < 0


def walk(ensemble: Ensemble, rows: NDArray[Any]) -> NDArray[np.float64]:
    """The sums `[batch, n_targets]` for rows `[batch, features]`, in float64 and in tree order: the specification.

    Slow and plain on purpose; tests hold both the libraries and the ONNX graphs against it.
    """
    x = rows.astype(np.dtype(ensemble.dtype)).astype(np.float64)
    sums = np.tile(ensemble.base, (len(x), 1))
    for tree, root in enumerate(ensemble.roots):
        at = np.full(len(x), root, np.int64)
        while True:
            inner = np.flatnonzero(~ensemble.is_leaf[at])
            if inner.size == 0:
                break
            nodes = at[inner]
            value = x[inner, ensemble.feature[nodes]]
            with np.errstate(invalid="ignore"):
                goes = np.where(
                    ensemble.mode[nodes] == LEQ, value <= ensemble.threshold[nodes], value < ensemble.threshold[nodes]
                )
            for place in np.flatnonzero(ensemble.mode[nodes] == MEMBER):
                goes[place] = value[place] in ensemble.members[int(nodes[place])]
            goes = np.where(np.isnan(value), ensemble.missing_true[nodes], goes)
            at[inner] = np.where(goes, ensemble.true_child[nodes], ensemble.false_child[nodes])
        if ensemble.values.shape[1] == ensemble.n_targets:
            sums += ensemble.values[at]
        else:
            sums[:, ensemble.targets[tree]] += ensemble.values[at, 0]
    return sums
