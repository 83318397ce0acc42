"""Two models on the same labelled rows: how far apart, and whether that is chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack_edge.batch.evaluation.answers import CLASSES, Answers
from mlpack_edge.batch.evaluation.classification import MOST_CELLS, bootstrap_interval, macro_f1_statistic
from mlpack_edge.batch.evaluation.database import fetch
from mlpack_edge.batch.evaluation.figures import LABELLED, is_class, truth_value
from mlpack_edge.batch.evaluation.intervals import mcnemar, paired_shares_interval
from mlpack_edge.batch.evaluation.joining import Ranking
from mlpack_edge.batch.evaluation.ranking import area_difference
from mlpack_edge.batch.evaluation.regression import error_differences
from mlpack_edge.batch.evaluation.request import Metric

Json = dict[str, Any]
Cells = dict[tuple[Any, Any, Any], int]


def differences(connection: Any, answers: tuple[Answers, Answers], ranking: Ranking, rows: int) -> Json:
    """{"differences": challenger less champion by metric, "mcnemar": counts and p value, or None for numbers}."""
    if answers[0].task != CLASSES:
        metrics = error_differences(connection, ("v0", "v1"), LABELLED)
        return {"differences": [metric.to_json() for metric in metrics], "mcnemar": None}
    cells: Cells = {
        (label, first, second): count
        for label, first, second, count in fetch(
            connection, f"SELECT truth, p0, p1, count(*) FROM rows WHERE {LABELLED} GROUP BY ALL ORDER BY ALL"
        )
    }
    only_first = sum(n for (label, first, second), n in cells.items() if first == label != second)
    only_second = sum(n for (label, first, second), n in cells.items() if second == label != first)
    positive = None if ranking.positive is None else truth_value(answers[0], ranking.positive)
    metrics = [
        Metric("accuracy", (only_second - only_first) / rows, paired_shares_interval(only_first, only_second, rows), rows),
        _f1_difference(cells, positive, rows),
    ]  # fmt: skip
    if ranking.positive is not None and all(one.ranks for one in answers):
        metrics.append(
            area_difference(connection, ("s0", "s1"), is_class(answers[0], ranking.positive), LABELLED, rows)
        )
    return {
        "differences": [metric.to_json() for metric in metrics],
        "mcnemar": {
            "only_champion_right": only_first,
            "only_challenger_right": only_second,
            "p_value": mcnemar(only_first, only_second),
        },
    }


def _f1_difference(cells: Cells, positive: Any, rows: int) -> Metric:
    """By a bootstrap over the counts of (label, first, second): the rows stay paired."""
    counts = np.array(list(cells.values()), np.int64)
    average = "macro" if positive is None else ""
    statistics = []
    for which in (1, 2):
        seen = [(cell[0], cell[which]) for cell in cells]
        if positive is None:
            statistics.append(macro_f1_statistic(seen, list(cells.values()))[2])
        else:
            statistics.append(_f1_statistic(np.array([[a == positive, b == positive] for a, b in seen])))
    value = float((statistics[1](counts[None, :]) - statistics[0](counts[None, :]))[0])
    if not np.isfinite(value):
        return Metric("f1", None, None, rows, average, "no row is positive, by label or prediction")
    if len(cells) > MOST_CELLS:
        return Metric("f1", value, None, rows, average, "no interval: too many different pairs of label and prediction")
    low, high = bootstrap_interval(counts, lambda drawn: np.nan_to_num(statistics[1](drawn) - statistics[0](drawn)))
    return Metric("f1", value, (low, high), rows, average)


def _f1_statistic(sides: Any) -> Any:
    """F1 of the positive class as a function of counts `[replicates, cells]`. sides: bool `[cells, 2]` (label, prediction)."""
    both, either = sides.all(axis=1).astype(np.float64), sides.sum(axis=1).astype(np.float64)

    def statistic(drawn: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return 2 * (drawn @ both) / (drawn @ either)

    return statistic
