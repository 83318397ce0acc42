"""Areas under the ROC curve with DeLong's interval, from sorted counts in DuckDB; no row enters this process.

DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic
curves", Biometrics 44 (1988), computed from ranks as in Sun and Xu, "Fast implementation of DeLong's algorithm", IEEE
Signal Processing Letters 21 (2014). A positive's placement is the share of negatives below it, ties counting one half;
here twice that count, a whole number, so all sums are exact (128 bits) and depend on no order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.batch.evaluation.database import fetch
from mlpack_edge.batch.evaluation.intervals import area_interval, difference_interval
from mlpack_edge.batch.evaluation.request import Metric

ONE_SIDED = "all labels are of one side, so there is nothing to rank"
FLAT = "no interval: every positive ranks on the same side of every negative"


@dataclass(frozen=True, slots=True)
class Area:
    """positives, negatives: rows. twice: the doubled placements of the positives, summed, and squares, of both sides:
    `(sum, sum of squares)` over positives and over negatives."""

    positives: int
    negatives: int
    of_positives: tuple[int, int]
    of_negatives: tuple[int, int]

    @property
    def value(self) -> float | None:
        pairs = 2 * self.positives * self.negatives
        return self.of_positives[0] / pairs if pairs else None

    @property
    def variance(self) -> float | None:
        """Of the estimated area; None with fewer than two rows on a side."""
        if min(self.positives, self.negatives) < 2:
            return None
        return _spread(self.positives, self.negatives, *self.of_positives) + _spread(
            self.negatives, self.positives, *self.of_negatives
        )


def _spread(rows: int, others: int, total: int, squares: int) -> float:
    """The sample variance of a side's placements (as shares of the other side) over its number of rows, exact until the end."""
    return (rows * squares - total * total) / (rows * (rows - 1) * rows * (2 * others) ** 2)


def ranked_areas(connection: Any, group: str, rank: str, positive: str, where: str) -> dict[int, Area]:
    """The area of every group of `rows`. SQL: group (a code), rank (higher is more positive), positive (a truth value),
    where (which rows count)."""
    _placements(connection, "placed", group, rank, positive, where)
    rows = fetch(
        connection,
        "SELECT grp, sum(p), sum(n), sum(p * up), sum(p * up * up), sum(n * down), sum(n * down * down) "
        "FROM placed GROUP BY grp ORDER BY grp",
    )
    connection.execute("DROP TABLE placed")
    return {
        row[0]: Area(int(row[1]), int(row[2]), (int(row[3]), int(row[4])), (int(row[5]), int(row[6]))) for row in rows
    }


def _placements(connection: Any, table: str, group: str, rank: str, positive: str, where: str) -> None:
    """Make a table of each (grp, rank): positives `p` and negatives `n` there, `up` (twice the negatives below, ties one half)
    and `down` (twice the positives below). Groups, sorts and sums go to disk where memory ends."""
    connection.execute(
        f"CREATE TABLE {table} AS WITH counted AS (SELECT {group} AS grp, {rank} AS rank, "
        f"count(*) FILTER ({positive}) AS p, count(*) FILTER (NOT ({positive})) AS n FROM rows WHERE {where} GROUP BY ALL), "
        "running AS (SELECT *, sum(p) OVER w AS ps, sum(n) OVER w AS ns FROM counted "
        "WINDOW w AS (PARTITION BY grp ORDER BY rank ROWS UNBOUNDED PRECEDING)) "
        "SELECT grp, rank, p::HUGEINT AS p, n::HUGEINT AS n, (2 * ns - n)::HUGEINT AS up, (2 * ps - p)::HUGEINT AS down "
        "FROM running"
    )


def area_metric(area: Area | None, rows: int) -> Metric:
    """The figure of one class against the rest."""
    value = area.value if area else None
    if area is None or value is None:
        return Metric("auc", None, None, rows, reason=ONE_SIDED)
    variance = area.variance
    if variance is None:
        return Metric("auc", value, None, rows, reason="no interval: fewer than two rows on one side")
    if not variance or not 0 < value < 1:
        return Metric("auc", value, None, rows, reason=FLAT)
    return Metric("auc", value, area_interval(value, variance), rows)


def macro_area_metric(areas: Mapping[Any, Area | None], rows: int) -> Metric:
    """The plain mean over classes of the area of each against the rest; None where a class has no row, as in scikit-learn.

    Interval: the areas of the classes share rows; without their covariance the standard error of the mean is at most the
    mean of the standard errors, which is what is taken. It is never too narrow for that reason.
    """
    values = [area.value if area else None for area in areas.values()]
    missing = [str(one) for one, value in zip(areas, values, strict=True) if value is None]
    if missing:
        return Metric("auc", None, None, rows, "macro", f"no label of class {', '.join(missing[:5])}")
    mean = sum(value for value in values if value is not None) / len(values)
    variances = [area.variance if area else None for area in areas.values()]
    if any(variance is None for variance in variances) or not 0 < mean < 1:
        return Metric(
            "auc", mean, None, rows, "macro", "no interval: fewer than two rows of a class, or nothing out of order"
        )
    error = sum((variance or 0.0) ** 0.5 for variance in variances) / len(variances)
    if not error:
        return Metric("auc", mean, None, rows, "macro", FLAT)
    return Metric("auc", mean, area_interval(mean, error * error), rows, "macro")


def area_difference(connection: Any, ranks: Sequence[str], positive: str, where: str, rows: int) -> Metric:
    """The second model's area less the first's on the same rows, with DeLong's covariance."""
    for number, rank in enumerate(ranks):
        _placements(connection, f"placed_{number}", "0", rank, positive, where)
    row = fetch(
        connection,
        f"WITH r AS (SELECT {positive} AS yes, a.up AS ua, b.up AS ub, a.down AS da, b.down AS db FROM rows "
        f"JOIN placed_0 a ON {ranks[0]} = a.rank JOIN placed_1 b ON {ranks[1]} = b.rank WHERE {where}) SELECT "
        "count(*) FILTER (yes), count(*) FILTER (NOT yes), "
        "sum(ua) FILTER (yes), sum(ub) FILTER (yes), sum(ua * ua) FILTER (yes), sum(ub * ub) FILTER (yes), sum(ua * ub) FILTER (yes), "
        "sum(da) FILTER (NOT yes), sum(db) FILTER (NOT yes), sum(da * da) FILTER (NOT yes), sum(db * db) FILTER (NOT yes), sum(da * db) FILTER (NOT yes) "
        "FROM r",
    )[0]
    connection.execute("DROP TABLE placed_0; DROP TABLE placed_1")
    positives, negatives, *sums = (int(item or 0) for item in row)
    if not positives or not negatives:
        return Metric("auc", None, None, rows, reason=ONE_SIDED)
    a, b, aa, bb, ab, da, db, daa, dbb, dab = sums
    value = (b - a) / (2 * positives * negatives)
    if min(positives, negatives) < 2:
        return Metric("auc", value, None, rows, reason="no interval: fewer than two rows on one side")
    # sums of (second - first), so that nothing is lost to cancelling where the models agree
    variance = _spread(positives, negatives, b - a, aa + bb - 2 * ab)
    variance += _spread(negatives, positives, db - da, daa + dbb - 2 * dab)
    if not variance:
        return Metric("auc", value, None, rows, reason="no interval: both models rank every row alike")
    return Metric("auc", value, difference_interval(value, variance), rows)
