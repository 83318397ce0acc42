"""What it costs to take in reports of devices, and to sum them up for a day: CPU seconds per million, bytes per report, memory.

    OMP_NUM_THREADS=1 python benchmarks/fleet_ingest.py [--reports 200000] [--files 2000] [--keep DIR]

Reports of 50 numeric and 20 categorical features (2,951 counters), 1,000 rows each, one a device, in files as uploaded. The
counters are drawn from the reference; 300 different profiles are written under ever new devices. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import tempfile
import time
from pathlib import Path
from zlib import crc32

import numpy as np

from mlpack_edge.fleet.intake import Intake, Policy
from mlpack_edge.fleet.store import open_store, writing
from mlpack_edge.profiles.arrays.counting import Coded, Column
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.reference.blocks import BlockTallies, Cutting, unfilled
from mlpack_edge.profiles.reference.cells_of import numeric_feature, text_feature
from mlpack_edge.profiles.reference.samples import NumberSample, TextCounts, row_hashes
from mlpack_edge.profiles.reference.slots import Slot
from mlpack_edge.profiles.spec import Feature, Source, Spec
from mlpack_edge.profiles.spec_file import digest
from mlpack_edge.profiles.wire.report import ReportFormat

ROWS, DIFFERENT, DAY = 1000, 300, 86_400
#: A day after the beginning of 2026, so that no clock is taken for wrong.
START = 1_790_000_000 // DAY * DAY


def columns(rows: int, seed: int) -> dict[str, Column]:
    random = np.random.default_rng(seed)
    made: dict[str, Column] = {}
    for place in range(50):
        values = (
            random.normal(place, 1 + place, rows), random.lognormal(2, 1, rows), np.round(random.gamma(2, 40, rows)),
            np.where(random.random(rows) < 0.6, 0.0, random.exponential(10, rows)),
        )[place % 4]  # fmt: skip
        made[f"number_{place}"] = np.where(random.random(rows) < 0.01, np.nan, values)
    for place in range(20):
        codes = np.minimum(random.zipf(1.6, rows), 12 + place) - 1
        made[f"category_{place}"] = Coded(codes, tuple(f"value {number}" for number in range(12 + place)))
    return made


def make_spec(rows: int = 50_000) -> Spec:
    given, features = columns(rows, 7), list[Feature]()
    for name, column in given.items():
        slot = Slot(Source(name, "input"), isinstance(column, Coded))
        if isinstance(column, Coded):
            seen = TextCounts()
            seen.update(column)
            features.append(text_feature(slot, seen))
        else:
            sample = NumberSample()
            sample.update(np.asarray(column), row_hashes(0, rows))
            features.append(numeric_feature(slot, sample))
    tallies = BlockTallies(unfilled("ab" * 32, tuple(features), False), Cutting("rows", ""))
    tallies.tally(0, "row 0").add(given, rows=rows)
    return tallies.filled({}, 0, (), {})


def make_reports(spec: Spec, count: int, seed: int = 0) -> list[bytes]:
    """Reports in which device and sequence differ."""
    random = np.random.default_rng(seed)
    form = ReportFormat(spec, digest(spec))
    cells = []
    for group in groups(spec):
        known = np.array(spec.reference.counts[group.start : group.stop], float)
        if group.name == "outcome":
            known = np.array([1.0, 0.0, 0.0, 0.0])
        elif not known.any():
            known = random.random(group.size)
        cells.append(random.multinomial(ROWS, known / known.sum(), size=DIFFERENT))
    counts, made = np.hstack(cells), []
    for row in range(DIFFERENT):
        sums = tuple(random.integers(-300_000, 300_000, len(spec.numeric)).tolist())
        window = Window(1 << 16, START, START + DAY)
        profile = Profile(
            form.digest, form.model, bytes(16), "blue", window, ROWS, ROWS, ROWS, tuple(counts[row].tolist()), sums
        )
        made.append(form.encode(profile))
    # The device lies behind 36 bytes and its head, the sequence (five bytes from 2**16 on) behind the cohort.
    head, cohort = 37, 5
    found = []
    for number in range(count):
        report = made[number % DIFFERENT]
        sequence = b"\x1a" + ((1 << 16) + number).to_bytes(4, "big")
        body = (
            report[:head]
            + random.bytes(16)
            + report[head + 16 : head + 16 + cohort]
            + sequence
            + report[head + 26 : -4]
        )
        found.append(body + crc32(body).to_bytes(4, "big"))
    return found


def measure(reports: int, files: int, root: Path) -> dict[str, object]:
    spec, uploads, made_bytes = make_spec(), root / "uploads", 0
    uploads.mkdir(parents=True)
    each = -(-reports // files)
    for number in range(files):
        content = b"".join(make_some(spec, number, min(each, reports - number * each)))
        (uploads / f"{number:06}.cbor").write_bytes(content)
        made_bytes += len(content)
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    with writing(root / "store", (spec,)) as store:
        taken = Intake(store, Policy(settled=0), START + DAY + 3600.0).run([uploads])
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert taken.reports == reports, taken
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    stored = sum(path.stat().st_size for path in (root / "store").rglob("*.parquet"))
    again = time.process_time()
    with writing(root / "store", ()) as store:
        repeated = Intake(store, Policy(settled=0), START + DAY + 3600.0).run([uploads]).repeated
    assert repeated == reports
    again = time.process_time() - again
    return {
        "reports": reports,
        "counters": groups(spec)[-1].stop,
        "files": files,
        "cpu_seconds_per_million": round(cpu / reports * 1e6, 1),
        "wall_seconds_per_million": round((time.monotonic() - began - again) / reports * 1e6, 1),
        "cpu_seconds_per_million_redelivered": round(again / reports * 1e6, 1),
        "cpu_seconds_per_million_summed": round(summed(root / "store") / reports * 1e6, 1),
        "bytes_per_report_sent": round(made_bytes / reports),
        "bytes_per_report_stored": round(stored / reports),
        "parts": len(taken.parts),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "machine": platform.processor() or platform.machine(),
    }


def summed(root: Path) -> float:
    """CPU seconds of a pass over the store that sums all counters by day and shard."""
    from mlpack_edge.fleet.reading import Selection, days

    store = open_store(root)
    began = time.process_time()
    assert sum(day.rows for day in days(store, store.specs[0], Selection()))
    return time.process_time() - began


_MADE: list[bytes] = []


def make_some(spec: Spec, number: int, count: int) -> list[bytes]:
    """The reports of a file: those of the first, under new devices."""
    if not _MADE:
        _MADE.extend(make_reports(spec, DIFFERENT))
    random, found = np.random.default_rng(number + 1), []
    for place in range(count):
        report = _MADE[(number + place) % DIFFERENT]
        body = report[:37] + random.bytes(16) + report[53:-4]
        found.append(body + crc32(body).to_bytes(4, "big"))
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--reports", type=int, default=200_000)
    options.add_argument("--files", type=int, default=2_000)
    options.add_argument("--keep", type=Path, help="Leave uploads and store there.")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(given.reports, given.files, given.keep or Path(scratch)), indent=1))


if __name__ == "__main__":
    main()
