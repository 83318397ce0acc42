"""Metrics of answers against labels, batch by batch. Definitions are scikit-learn's. Pure.

accuracy, f1 and logloss take codes of classes, int64 `[rows]`: places in a list of classes that may grow. auc keeps the
scores, since an area is of their order; the sums of all others are of constant size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput

Array = NDArray[Any]
Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Numbers of the scores of all rows that are ordered at once.
BLOCK = 1 << 23


class Metric(Protocol):
    def add(self, truth: Array, answer: Array) -> None: ...

    def value(self) -> float:
        """Raises BadInput where the labels leave it undefined."""
        ...


class Accuracy:
    """Of codes: the share of rows that are right."""

    def __init__(self) -> None:
        self._right = self._rows = 0

    def add(self, truth: Array, answer: Array) -> None:
        self._right += int(np.count_nonzero(truth == answer))
        self._rows += len(truth)

    def value(self) -> float:
        return self._right / self._rows


class MacroF1:
    """Of codes: the mean of F1 over every class that occurs, as a label or an answer."""

    def __init__(self) -> None:
        self._hits = self._places = np.zeros(0, np.int64)

    def add(self, truth: Array, answer: Array) -> None:
        size = max(len(self._hits), int(max(truth.max(initial=-1), answer.max(initial=-1))) + 1)
        self._hits = _counts(truth[truth == answer], size) + np.pad(self._hits, (0, size - len(self._hits)))
        both = _counts(truth, size) + _counts(answer, size)
        self._places = both + np.pad(self._places, (0, size - len(self._places)))

    def value(self) -> float:
        occurs = self._places > 0  # 2 * hits + misses + false alarms
        return float(np.mean(2 * self._hits[occurs] / self._places[occurs]))


def _counts(codes: Array, size: int) -> Codes:
    return np.bincount(codes, minlength=size).astype(np.int64)


class LogLoss:
    """Of codes and probabilities `[rows, classes]`: the mean of -log of what the true class was given, in nats.

    Rows are made to add up to 1, and no probability is below the resolution of the answer's own type.
    """

    def __init__(self) -> None:
        self._sum, self._rows = 0.0, 0

    def add(self, truth: Array, answer: Array) -> None:
        least = float(np.finfo(answer.dtype if answer.dtype.kind == "f" else np.float64).eps)
        numbers = np.clip(answer.astype(np.float64), least, 1.0)
        numbers /= numbers.sum(axis=1, keepdims=True)
        self._sum -= float(np.log(numbers[np.arange(len(truth)), truth]).sum())
        self._rows += len(truth)

    def value(self) -> float:
        return self._sum / self._rows


class Area:
    """Of codes and scores `[rows, classes]`: the area under the ROC curve, exact, ties counting one half.

    Two classes: of the second's scores. More: the plain mean over classes, each against the rest.
    """

    def __init__(self) -> None:
        self._truth: list[Codes] = []
        self._scores: list[Array] = []

    def add(self, truth: Array, answer: Array) -> None:
        self._truth.append(truth)
        self._scores.append(answer[:, 1:2] if answer.shape[1] == 2 else answer)

    def value(self) -> float:
        truth = np.concatenate(self._truth)
        columns = self._scores[0].shape[1]
        first = 1 if columns == 1 else 0
        step = max(1, BLOCK // max(1, len(truth)))
        areas = []
        for start in range(0, columns, step):
            block = np.concatenate([scores[:, start : start + step] for scores in self._scores])
            areas += [area(block[:, at], truth == start + at + first) for at in range(block.shape[1])]
        missing = [at + first for at, one in enumerate(areas) if math.isnan(one)]
        if missing:
            raise BadInput(
                "the area under the ROC curve (auc) needs rows of every class, and rows that are not of it",
                "judge on more rows, or with --metric accuracy",
                why=f"the labels leave {len(missing)} of {max(columns, 2)} classes without one of the two, the first "
                f"being class number {missing[0]}",
            )
        return float(np.mean(areas))


def area(scores: Array, positive: NDArray[np.bool_]) -> float:
    """From ranks (Mann and Whitney, 1947). scores `[rows]`, NaN lowest; NaN where all rows are of one side."""
    numbers = np.where(np.isnan(scores), -np.inf, scores) if scores.dtype.kind == "f" else scores
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # of ties: the mean of theirs
    hits = int(positive.sum())
    pairs = hits * (len(positive) - hits)
    if not pairs:
        return math.nan
    return float((ranks[place][positive].sum() - hits * (hits + 1) / 2) / pairs)


class Errors:
    """Of numbers `[rows, targets]`, float64: sums from which mae, rmse and r2 follow, a mean over targets each."""

    def __init__(self, finish: Callable[[Errors], Floats]) -> None:
        self._finish = finish
        self.rows = 0
        self.absolute = self.square = self.mean = self.spread = np.zeros(0)

    def add(self, truth: Array, answer: Array) -> None:
        error = answer.astype(np.float64) - truth
        if not self.rows:
            self.absolute = self.square = self.mean = self.spread = np.zeros(truth.shape[1])
        count, total = len(truth), self.rows + len(truth)
        mean = truth.mean(axis=0)
        apart = mean - self.mean
        self.absolute = self.absolute + np.abs(error).sum(axis=0)
        self.square = self.square + (error**2).sum(axis=0)
        self.spread = self.spread + ((truth - mean) ** 2).sum(axis=0) + apart**2 * self.rows * count / total
        self.mean = self.mean + apart * count / total
        self.rows = total

    def value(self) -> float:
        return float(np.mean(self._finish(self)))


def _r2(sums: Errors) -> Floats:
    if not (sums.spread > 0).all():
        raise BadInput(
            "r2 needs labels that vary: they are the same in every row", "judge on other rows, or with --metric mae"
        )
    return 1 - sums.square / sums.spread


#: What a metric is of. "classes": codes; "ranks", "probabilities": codes and scores; "values": numbers.
OF = {
    "accuracy": "classes", "f1": "classes", "auc": "ranks", "logloss": "probabilities", "mae": "values", "rmse": "values", "r2": "values",
}  # fmt: skip
METRICS: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "f1": MacroF1,
    "auc": Area,
    "logloss": LogLoss,
    "mae": lambda: Errors(lambda sums: sums.absolute / sums.rows),
    "rmse": lambda: Errors(lambda sums: np.sqrt(sums.square / sums.rows)),
    "r2": lambda: Errors(_r2),
}
#: Whose loss is a share of what it was, since its unit is that of the labels.
RELATIVE = ("mae", "rmse")
#: Of which less is better.
LOSSES = (*RELATIVE, "logloss")


def drop(metric: str, before: float, after: float) -> float:
    """What was lost, positive where the model became worse; infinite where `after` is no number.

    accuracy, f1, auc, r2, logloss: the difference. mae and rmse: the difference over `before`; a model that was never
    wrong loses everything with its first error.
    """
    if not math.isfinite(after):
        return math.inf
    if metric not in LOSSES:
        return before - after
    if metric not in RELATIVE:
        return after - before
    if before == 0:
        return math.inf if after > 0 else 0.0
    return (after - before) / before
