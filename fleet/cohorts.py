"""Which cohorts are judged together where none is named: one DuckDB query over the columns beside the counters."""

from __future__ import annotations

from dataclasses import dataclass

from mlpack_edge.fleet.query import exactly, query
from mlpack_edge.fleet.reading import Selection, chosen_days, files_of_day
from mlpack_edge.fleet.shown import Least, enough
from mlpack_edge.fleet.store import KnownSpec, Store


@dataclass(frozen=True, slots=True)
class Cohorts:
    """shown: names with their devices, those with most first; "" names the reports without a cohort; devices is None where they name none.
    fewer: how many cohorts have too few rows or devices to be shown."""

    shown: tuple[tuple[str, int | None], ...]
    fewer: int

    @property
    def total(self) -> int:
        return len(self.shown) + self.fewer


_QUERY = """
select coalesce(cohort, ''), count(distinct device), sum(rows)
from read_parquet(?, hive_partitioning = false) where epsilon = ? group by all
"""


def cohorts(store: Store, known: KnownSpec, selection: Selection, epsilon: int, least: Least) -> Cohorts:
    """Of the reports of the selected days with this epsilon (in millionths, 0 without noise). Raises BadInput for a damaged table."""
    files = [path for day in chosen_days(store, known, selection) for path in files_of_day(store, known, day)]
    if not files:
        return Cohorts((), 0)
    rows = query(store.root, _QUERY, [exactly(files), epsilon])
    found = [(str(name), int(devices) or None, int(count)) for name, devices, count in rows]
    # With noise the rows are not known: then devices alone decide.
    kept = [(name, devices) for name, devices, count in found if enough(0 if epsilon else count, devices, least)]
    kept.sort(key=lambda one: (-(one[1] or 0), one[0]))
    return Cohorts(tuple(kept), len(found) - len(kept))
