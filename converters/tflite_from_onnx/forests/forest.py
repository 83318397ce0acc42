"""Tree ensembles as any ONNX operator has them, in flat arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: How a node compares, as TreeEnsemble of ai.onnx.ml 5 numbers it: x <= t, <, >=, >, ==, != and membership of a set.
LEQ, LT, GTE, GT, EQ, NEQ, MEMBER = range(7)
#: Aggregate functions by the same numbering.
AVERAGE, SUM, MIN, MAX = range(4)


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees and what their leaves say.

    roots: int64 [trees]. feature: int64 [nodes], -1 at a leaf. mode: uint8 [nodes]. threshold: float64 [nodes].
    true_child, false_child: int64 [nodes]. missing_true: bool [nodes], whether NaN takes the true side.
    leaf: int64 [nodes], at leaves the row of `values`.
    values: float64 [leaves, width]. A tree of which `target` is -1 adds a row to all `n_targets` outputs (the width is
    theirs), another adds its one value to output `target`.
    dtype: in which the operator adds, "float32" or "float64".
    base: float64 [n_targets], where the sums start. members: of MEMBER nodes, the numbers that take the true side.
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int64]
    mode: NDArray[np.uint8]
    threshold: NDArray[np.float64]
    true_child: NDArray[np.int64]
    false_child: NDArray[np.int64]
    missing_true: NDArray[np.bool_]
    leaf: NDArray[np.int64]
    values: NDArray[np.float64]
    target: NDArray[np.int64]
    n_targets: int
    dtype: str
    base: NDArray[np.float64]
    aggregate: int = SUM
    members: dict[int, tuple[float, ...]] = field(default_factory=dict)

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        return self.feature < 0


def joined(forests: list[Forest], side_by_side: bool) -> Forest:
    """Several forests on the same input as one: their sums added, or their outputs one beside the other.

    All must aggregate by SUM and have leaves of one kind (vectors, or one value a tree).
    """
    nodes = np.cumsum([0, *(len(part.feature) for part in forests)])
    leaves = np.cumsum([0, *(len(part.values) for part in forests)])
    outputs = np.cumsum([0, *(part.n_targets for part in forests)]) if side_by_side else np.zeros(len(forests) + 1, int)
    total = int(outputs[-1]) if side_by_side else forests[0].n_targets
    base = (
        np.concatenate([part.base for part in forests]) if side_by_side else np.sum([p.base for p in forests], axis=0)
    )
    return Forest(
        roots=np.concatenate([part.roots + at for part, at in zip(forests, nodes, strict=False)]),
        feature=np.concatenate([part.feature for part in forests]),
        mode=np.concatenate([part.mode for part in forests]),
        threshold=np.concatenate([part.threshold for part in forests]),
        true_child=np.concatenate([part.true_child + at for part, at in zip(forests, nodes, strict=False)]),
        false_child=np.concatenate([part.false_child + at for part, at in zip(forests, nodes, strict=False)]),
        missing_true=np.concatenate([part.missing_true for part in forests]),
        leaf=np.concatenate([part.leaf + at for part, at in zip(forests, leaves, strict=False)]),
        values=np.concatenate([part.values for part in forests]),
        target=np.concatenate([
            np.where(part.target < 0, -1, part.target + at) for part, at in zip(forests, outputs, strict=False)
        ]),
        n_targets=total,
        dtype="float64" if any(part.dtype == "float64" for part in forests) else "float32",
        base=base,
        members={
            node + int(at): found
            for part, at in zip(forests, nodes, strict=False)
            for node, found in part.members.items()
        },
    )  # fmt: skip
