"""Collect the nodes of an ensemble one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mlpack_edge.converters.trees.ensemble import LEQ, MEMBER, Ensemble


class Nodes:
    """Nodes in the order they are added. `width` is the number of values a leaf holds."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._roots: list[int] = []
        self._targets: list[int] = []
        self._feature: list[int] = []
        self._mode: list[int] = []
        self._threshold: list[float] = []
        self._true: list[int] = []
        self._false: list[int] = []
        self._missing_true: list[bool] = []
        self._values: list[Sequence[float]] = []
        self._members: dict[int, tuple[int, ...]] = {}
        self._nothing = (0.0,) * width

    def root(self, node: int, target: int = 0) -> None:
        """Start a tree at `node`, whose leaves add to output `target` (where leaves hold one value)."""
        self._roots.append(node)
        self._targets.append(target)

    def leaf(self, *values: float) -> int:
        """Add a leaf; the number of values is `width`."""
        return self._add(-1, LEQ, 0.0, False, values)

    def split(self, feature: int, mode: int, threshold: float, missing_true: bool) -> int:
        """Add a comparison; `join` gives it its children."""
        return self._add(feature, mode, threshold, missing_true, self._nothing)

    def member(self, feature: int, categories: Iterable[int], missing_true: bool) -> int:
        """Add a test whether the value is one of `categories`; `join` gives it its children."""
        node = self.split(feature, MEMBER, 0.0, missing_true)
        self._members[node] = tuple(sorted(categories))
        return node

    def join(self, node: int, true_child: int, false_child: int) -> None:
        """Say where `node` sends a row when its comparison holds, and when not."""
        self._true[node] = true_child
        self._false[node] = false_child

    def ensemble(self, dtype: str, base: Sequence[float]) -> Ensemble:
        """Everything added so far; one output for each value of `base`."""
        return Ensemble(
            dtype=dtype,
            roots=np.array(self._roots, np.int64),
            feature=np.array(self._feature, np.int64),
            mode=np.array(self._mode, np.uint8),
            threshold=np.array(self._threshold, np.float64),
            true_child=np.array(self._true, np.int64),
            false_child=np.array(self._false, np.int64),
            missing_true=np.array(self._missing_true, np.bool_),
            values=np.array(self._values, np.float64).reshape(len(self._feature), self.width),
            targets=np.array(self._targets, np.int64),
            n_targets=len(base),
            base=np.array(base, np.float64),
            members=self._members,
        )

    def _add(self, feature: int, mode: int, threshold: float, missing_true: bool, values: Sequence[float]) -> int:
        node = len(self._feature)
        self._feature.append(feature)
        self._mode.append(mode)
        self._threshold.append(threshold)
        self._true.append(node)
        self._false.append(node)
        self._missing_true.append(missing_true)
        self._values.append(values)
        return node
