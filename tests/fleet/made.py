"""A small spec, reports of devices by day, and what a store holds of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars

from mlpack_edge.fleet.intake import Intake, Policy, Taken
from mlpack_edge.fleet.store import open_store, writing
from mlpack_edge.profiles.device import device_digest
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import INPUT, Blocks, Categorical, Learned, Numeric, Reference, Source, Spec, Threshold
from mlpack_edge.profiles.spec_file import digest
from mlpack_edge.profiles.wire.report import ReportFormat

DAY = 86_400
#: 2026-09-01, and noon of the tenth day after it.
FIRST = 20_697
NOW = (FIRST + 10) * DAY + 43_200.0


def make_spec(name: str = "x", devices: int = 500) -> Spec:
    """A number with ten cells, a category; the reference is 120 days of 1,000 rows, of so many devices."""
    number = Numeric(Source(name, INPUT), tuple(float(edge) for edge in range(-4, 5)), -3.0, 3.0, 0.0, 2.0**-8)
    text = Categorical(Source("colour", INPUT), ("red", "green", "blue"), ("violet",))
    bare = Spec("ab" * 32, (number, text), False, _reference(name, devices, (), (0,)), {})
    counts = _drawn(bare, 120_000, 0.0, 0.0, np.random.default_rng(1))
    return replace(bare, reference=_reference(name, devices, counts, (64 * 120_000,)))


def _reference(name: str, devices: int, counts: tuple[int, ...], sums: tuple[int, ...]) -> Reference:
    blocks = Blocks("day", "date", "2026-01-01", "2026-04-30", (1000,) * 120)
    thresholds = {days: Threshold(120 // days, 0.05, 0.001, 0.001) for days in (1, 7, 28)}
    learned = {name: Learned(thresholds, spread, 1.4, bytes(120)) for name, spread in ((name, 0.02), ("colour", 0.004))}
    return Reference(120_000, 120_000, 120_000, counts, sums, blocks, learned, devices=devices)


def _drawn(spec: Spec, rows: int, shift: float, missing: float, random: np.random.Generator) -> tuple[int, ...]:
    found: list[int] = []
    for group in groups(spec):
        if isinstance(group.feature, Numeric):
            values = random.normal(shift, 1.2, rows)
            lost = random.random(rows) < missing
            cells = np.searchsorted(group.feature.edges, values[~lost], side="right")
            found += [*np.bincount(cells, minlength=group.size - 2).tolist(), int(lost.sum()), 0]
        elif isinstance(group.feature, Categorical):
            found += random.multinomial(rows, [0.5, 0.3, 0.15, 0.05, 0, 0]).tolist()
        elif group.name == "latency":
            found += random.multinomial(rows, np.full(group.size, 1 / group.size)).tolist()
        else:
            found += [rows, *[0] * (group.size - 1)]
    return tuple(found)


SPEC = make_spec()
FORM = ReportFormat(SPEC, digest(SPEC))


def profile(
    device: int | None, day: int, rows: int = 40, *, spec: Spec = SPEC, shift: float = 0.0, missing: float = 0.0,
    cohort: str = "", sequence: int = 0, days: int = 1, seed: int = 0,
) -> Profile:  # fmt: skip
    """day: counted from FIRST. device None: of a batch."""
    generator = np.random.default_rng([seed, sequence, day + 100_000, 0 if device is None else device + 1])
    start = (FIRST + day) * DAY
    name = b"" if device is None else device_digest(f"device {device}")
    return Profile(
        digest(spec)[:16], bytes.fromhex(spec.model_sha256)[:16], name, cohort, Window(sequence, start, start + days * DAY),
        rows, rows, rows, _drawn(spec, rows, shift, missing, generator), (rows * 64 + int(shift * rows * 256),),
    )  # fmt: skip


def report(device: int | None, day: int, rows: int = 40, *, spec: Spec = SPEC, **options: Any) -> bytes:
    form = FORM if spec is SPEC else ReportFormat(spec, digest(spec))
    return form.encode(profile(device, day, rows, spec=spec, **options))


def noised(device: int, day: int = 10, epsilon: int = 100_000, rows: int = 40, **options: Any) -> Profile:
    """With differential privacy: of one feature. epsilon: in millionths; the default is strong noise."""
    from mlpack_edge.profiles.noise import with_noise

    chance = random.Random(f"{device} {day} {options}")
    return with_noise(SPEC, profile(device, day, rows, **options), epsilon, chance.randrange)


def put(folder: Path, name: str, *reports: bytes) -> Path:
    """A file of reports as it is uploaded."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(reports))
    return path


def take(store: Path, *given: Path, specs: Sequence[Spec] = (SPEC,), now: float = NOW, **policy: Any) -> Taken:
    with writing(store, tuple(specs)) as opened:
        return Intake(opened, Policy(**{"settled": 0.0, **policy}), now).run(given)


def table(store: Path) -> polars.DataFrame:
    """Everything in the table with its path; every id once."""
    frames = [
        polars.read_parquet(path, hive_partitioning=False).with_columns(path=polars.lit(str(path.relative_to(store))))
        for path in sorted(store.rglob("*.parquet"))
    ]
    found = polars.concat(frames) if frames else polars.DataFrame({"report_id": [], "path": []})
    assert found["report_id"].n_unique() == found.height, "a report is there twice"
    return found


def ids(store: Path) -> set[bytes]:
    return set(table(store)["report_id"].to_list())


def ids_of(reports: Sequence[bytes]) -> set[bytes]:
    from mlpack_edge.profiles.wire.frame import read_frame

    return {read_frame(one).id for one in reports}


def known(store: Path) -> Any:
    return open_store(store).specs[0]
