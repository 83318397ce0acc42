"""MAE, RMSE and bias from sums in DuckDB. Errors are prediction less label."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mlpack_edge.batch.evaluation.database import fetch
from mlpack_edge.batch.evaluation.intervals import difference_interval, mean_interval, root_mean_square_interval
from mlpack_edge.batch.evaluation.request import Metric

#: The three quantities of a row that are averaged, as SQL of an error.
_QUANTITIES = ("abs({0})", "{0} * {0}", "{0}")
WITHOUT_INTERVAL = "no interval: one row"


@dataclass(frozen=True, slots=True)
class Errors:
    """rows; mean and sample variance (n - 1; None of one row) of |error|, error squared, and error."""

    rows: int
    means: tuple[float, float, float]
    variances: tuple[float | None, float | None, float | None]


def errors(connection: Any, group: str, value: str, where: str) -> dict[int, Errors]:
    """By group of `rows`. SQL: group (a code), value (the prediction), where (which rows count)."""
    error = f"({value} - truth)"
    parts = [f"avg({one.format(error)})" for one in _QUANTITIES] + [
        f"var_samp({one.format(error)})" for one in _QUANTITIES
    ]
    rows = fetch(
        connection,
        f"SELECT {group} AS grp, count(*), {', '.join(parts)} FROM rows WHERE {where} GROUP BY grp ORDER BY grp",
    )
    return {row[0]: Errors(row[1], tuple(row[2:5]), tuple(row[5:8])) for row in rows}


def regression_metrics(found: Errors) -> list[Metric]:
    """Intervals: Student's t for MAE and bias, the delta method on the logarithm for RMSE."""
    n, (absolute, square, signed), spreads = found.rows, found.means, found.variances
    if spreads[0] is None or spreads[1] is None or spreads[2] is None:
        return [
            Metric(name, value, None, n, reason=WITHOUT_INTERVAL)
            for name, value in (("mae", absolute), ("rmse", math.sqrt(square)), ("bias", signed))
        ]
    low, high = mean_interval(absolute, spreads[0], n)
    exact = "" if square else "no interval: no row is wrong"
    return [
        Metric("mae", absolute, (max(0.0, low), high), n),
        Metric("rmse", math.sqrt(square), root_mean_square_interval(square, spreads[1], n) if square else None, n, reason=exact),
        Metric("bias", signed, mean_interval(signed, spreads[2], n), n),
    ]  # fmt: skip


def error_differences(connection: Any, values: tuple[str, str], where: str) -> list[Metric]:
    """The second model's MAE and RMSE less the first's, on the same rows.

    MAE: the mean of the rows' differences, Student's t. RMSE: the delta method; each row moves the difference by
    `b^2 / (2 RMSE_b) - a^2 / (2 RMSE_a)`, of which the variance is taken.
    """
    a, b = (f"({value} - truth)" for value in values)
    n, absolute, spread, square_a, square_b, var_a, var_b, joint = fetch(
        connection,
        f"SELECT count(*), avg(abs({b}) - abs({a})), var_samp(abs({b}) - abs({a})), avg({a} * {a}), avg({b} * {b}), "
        f"var_samp({a} * {a}), var_samp({b} * {b}), covar_samp({a} * {a}, {b} * {b}) FROM rows WHERE {where}",
    )[0]
    if n < 2:
        return [Metric(name, None, None, n, reason=WITHOUT_INTERVAL) for name in ("mae", "rmse")]
    first = Metric("mae", absolute, mean_interval(absolute, spread, n), n)
    root_a, root_b = math.sqrt(square_a), math.sqrt(square_b)
    if not root_a or not root_b:
        return [first, Metric("rmse", root_b - root_a, None, n, reason="no interval: a model without an error")]
    variance = var_b / (4 * square_b) + var_a / (4 * square_a) - joint / (2 * root_a * root_b)
    return [first, Metric("rmse", root_b - root_a, difference_interval(root_b - root_a, max(0.0, variance) / n), n)]
