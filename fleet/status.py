"""What a store holds, by spec, cohort and day: one DuckDB query over the columns beside the counters."""

from __future__ import annotations

from dataclasses import dataclass

from mlpack_edge.core.files import io_fault
from mlpack_edge.fleet import quarantine
from mlpack_edge.fleet.layout import CORRECTIONS, REPORTS, STRAY, day_name
from mlpack_edge.fleet.query import exactly, query
from mlpack_edge.fleet.shown import USUAL, Least, enough
from mlpack_edge.fleet.store import KnownSpec, Store


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a cohort, a day, or all; devices is None where no report names one. What may not be shown is None, and `shown` False."""

    name: str
    shown: bool
    reports: int | None
    rows: int | None
    devices: int | None
    late: int | None
    strays: int | None


@dataclass(frozen=True, slots=True)
class SpecStatus:
    """days: in order; those of clocks that cannot be right count on the day of their receipt."""

    digest: str
    model_sha256: str
    everything: Figures
    cohorts: tuple[Figures, ...]
    days: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """bytes, files: of the table; quarantine: pieces by reason."""

    specs: tuple[SpecStatus, ...]
    bytes: int
    files: int
    quarantine: dict[str, int]


_QUERY = """
select coalesce(cohort, ''), coalesce(day, ''), count(*), sum(rows), count(distinct device), count(*) filter (late), count(*) filter (stray),
       grouping(cohort) = 0, grouping(day) = 0
from (select cohort, place[3] as day, rows, device, place[1] = ? as late, place[4] = ? as stray
      from (select cohort, rows, device, string_split(filename, '/')[-4:] as named,
                   [named[1], named[2], replace(named[3], 'day=', ''), string_split(named[4], '-')[1]] as place
            from read_parquet(?, hive_partitioning = false, filename = true))
      where day >= ?)
group by grouping sets ((), (cohort), (day))
order by grouping(cohort), grouping(day), 1, 2
"""


def status(store: Store, first: int | None = None, least: Least = USUAL) -> Status:
    """first: the day (since 1970) from which on reports count, None for all. Raises BadInput for a damaged table, IoFault."""
    try:
        files = [path for tree in (REPORTS, CORRECTIONS) for path in (store.root / tree).rglob("*.parquet")]
        return Status(
            tuple(_of_spec(store, known, first, least) for known in store.specs),
            sum(path.stat().st_size for path in files),
            len(files),
            quarantine.counts(store.root),
        )
    except OSError as fault:
        raise io_fault(fault, f"the store {store.root} could not be read") from fault


def _of_spec(store: Store, known: KnownSpec, first: int | None, least: Least) -> SpecStatus:
    name = f"spec={known.digest.hex()}"
    files = [path for tree in (REPORTS, CORRECTIONS) for path in sorted((store.root / tree / name).glob("day=*/*.parquet"))]  # fmt: skip
    # Where a store lies may look like a folder of a day.
    given = [CORRECTIONS, STRAY, exactly(files), "" if first is None else day_name(first)]
    found = query(store.root, _QUERY, given) if files else []
    cohorts = tuple(_figures(row[0], row, least) for row in found if row[7])
    days = tuple(_figures(row[1], row, least) for row in found if row[8])
    everything = next((row for row in found if not row[7] and not row[8]), ("", "", 0, 0, 0, 0, 0, False, False))
    return SpecStatus(known.digest.hex(), known.spec.model_sha256, _figures("", everything, least), cohorts, days)


def _figures(name: str, row: tuple, least: Least) -> Figures:  # type: ignore[type-arg]
    reports, rows, devices, late, strays = (int(number or 0) for number in row[2:7])
    named = devices or None
    if reports and not enough(rows, named, least):
        return Figures(name, False, None, None, None, None, None)
    return Figures(name, True, reports, rows, named, late, strays)
