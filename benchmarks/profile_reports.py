"""What reports of 50 numbers and 20 categories weigh, and what reading them costs a core. Prints JSON.

    OMP_NUM_THREADS=1 python benchmarks/profile_reports.py [--reports N]

bytes: of one report by rows counted, drawn from the reference ("stationary") and with every number half a standard deviation
off and a quarter of every category mixed otherwise ("off"). us_a_report: parse, checksum, decode, check and id of N different
reports of 1,000 rows at once, in time of the processor, of the fastest of five; us_alone: of one report on its own with the standard
library.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlpack_edge.profiles.arrays.decoding import ReportDecoder
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.large import NUMBERS, TEXTS, counters, large_profile, large_spec
from tests.profiles.strategies import DIGEST

ROWS = (200, 1_000, 5_000, 20_000)
OFF = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=256)
    count = parser.parse_args().reports
    spec, generator = large_spec(), np.random.default_rng(0)
    form = ReportFormat(spec, DIGEST)
    sizes = {
        name: {rows: len(form.encode(large_profile(spec, rows, shift, generator))) for rows in ROWS}
        for name, shift in (("stationary", 0.0), ("off", OFF))
    }
    decoder = ReportDecoder(form)
    costs = {}
    for name, shift in (("stationary", 0.0), ("off", OFF)):
        reports = [form.encode(large_profile(spec, 1_000, shift, generator, sequence)) for sequence in range(count)]
        costs[name] = min(_us(lambda: decoder.decode(reports), count) for _ in range(5))  # noqa: B023
    alone = min(_us(lambda: form.decode(reports[0]), 1) for _ in range(5))
    record = {"features": NUMBERS + TEXTS, "counters": counters(spec), "bytes": sizes}
    print(json.dumps({**record, "us_a_report": costs, "us_alone": alone}))


def _us(call: object, reports: int) -> float:
    before = time.process_time_ns()
    call()  # type: ignore[operator]
    return round((time.process_time_ns() - before) / reports / 1000, 1)


if __name__ == "__main__":
    main()
