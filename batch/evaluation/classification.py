"""Accuracy, precision, recall and F1 from counts of (label, prediction). Pure but for numpy's generator of fixed seed.

Definitions are scikit-learn's: macro F1 is the mean over every class that occurs as a label or a prediction, and an F1
of a class that never does is undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.batch.evaluation.intervals import Interval, f1_interval, wilson
from mlpack_edge.batch.evaluation.request import Metric

#: Replicates of a bootstrap, and the seed of each: the same counts give the same interval.
REPLICATES = 2000
SEED = 5
#: Different (label, prediction) pairs beyond which no bootstrap is taken.
MOST_CELLS = 20_000

Confusion = Mapping[tuple[Any, Any], int]


def classification_metrics(confusion: Confusion, positive: Hashable | None) -> list[Metric]:
    """confusion: rows by (label, prediction), at least one row. positive: None for the mean over classes.

    Intervals: Wilson's for shares, Wilson's carried over for the F1 of one class (`f1_interval`), a multinomial bootstrap
    of the counts for macro F1.
    """
    rows = sum(confusion.values())
    right = sum(count for (label, made), count in confusion.items() if label == made)
    metrics = [Metric("accuracy", right / rows, wilson(right, rows), rows)]
    if positive is None:
        return [*metrics, _macro_f1(confusion, rows)]
    hits = confusion.get((positive, positive), 0)
    labelled = sum(count for (label, _), count in confusion.items() if label == positive)
    predicted = sum(count for (_, made), count in confusion.items() if made == positive)
    return [
        *metrics,
        _share("precision", hits, predicted, "no row was predicted positive"),
        _share("recall", hits, labelled, "no row has a positive label"),
        _f1(hits, labelled + predicted - 2 * hits, rows),
    ]


def _share(name: str, hits: int, rows: int, none: str) -> Metric:
    if not rows:
        return Metric(name, None, None, 0, reason=none)
    return Metric(name, hits / rows, wilson(hits, rows), rows)


def _f1(hits: int, wrong: int, rows: int) -> Metric:
    if not hits + wrong:
        return Metric("f1", None, None, rows, reason="no row is positive, by label or prediction")
    return Metric("f1", 2 * hits / (2 * hits + wrong), f1_interval(hits, wrong), rows)


def _macro_f1(confusion: Confusion, rows: int) -> Metric:
    cells, counts, statistic = macro_f1_statistic(list(confusion), list(confusion.values()))
    value = float(statistic(counts[None, :])[0])
    if len(cells) > MOST_CELLS:
        return Metric("f1", value, None, rows, "macro", "no interval: too many different pairs of label and prediction")
    if all(label == made for label, made in cells):
        return Metric("f1", value, None, rows, "macro", "no interval: no row is wrong, so resampling tells nothing")
    return Metric("f1", value, bootstrap_interval(counts, statistic), rows, "macro")


def macro_f1_statistic(
    cells: Sequence[tuple[Hashable, Hashable]], counts: Sequence[int]
) -> tuple[Sequence[tuple[Hashable, Hashable]], NDArray[np.int64], Callable[[NDArray[np.int64]], NDArray[np.float64]]]:
    """The cells, their counts, and macro F1 as a function of counts `[replicates, cells]`."""
    classes = {value: index for index, value in enumerate(dict.fromkeys(value for cell in cells for value in cell))}
    labels = np.array([classes[label] for label, _ in cells])
    made = np.array([classes[one] for _, one in cells])
    spread = np.zeros((len(cells), len(classes)), np.float64)  # how often a cell stands in the denominator of a class
    np.add.at(spread, (np.arange(len(cells)), labels), 1.0)
    np.add.at(spread, (np.arange(len(cells)), made), 1.0)
    hits = np.zeros_like(spread)
    same = labels == made
    hits[np.flatnonzero(same), labels[same]] = 2.0

    def statistic(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        numerators, denominators = drawn @ hits, drawn @ spread
        seen = denominators > 0  # as scikit-learn: classes that do not occur are not averaged over
        shares = np.divide(numerators, denominators, out=np.zeros_like(numerators), where=seen)
        return np.asarray(shares.sum(axis=1) / seen.sum(axis=1), np.float64)

    return cells, np.asarray(counts, np.int64), statistic


def bootstrap_interval(
    counts: NDArray[np.int64], statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]]
) -> Interval:
    """The percentile interval of `statistic` when rows are drawn again with replacement.

    Drawing rows is drawing multinomial counts, so the cost does not depend on the number of rows. Efron and Tibshirani,
    "An introduction to the bootstrap" (1993), chapter 13. counts: int64 `[cells]`.
    """
    generator = np.random.default_rng(SEED)
    shares = counts / counts.sum()
    block = max(1, 2_000_000 // len(counts))
    drawn = [
        statistic(generator.multinomial(int(counts.sum()), shares, size=min(block, REPLICATES - start)))
        for start in range(0, REPLICATES, block)
    ]
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)
