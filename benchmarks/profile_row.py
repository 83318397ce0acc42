"""What counting a row costs a device: 50 numbers and 20 categories, with the standard library alone. Prints JSON.

    python benchmarks/profile_row.py [--rows N] [--repeats N]

A process of its own (`python -I -S`) does nothing but make the tally, count the rows and write the report. us_a_row is of the
fastest repeat, in time of the processor. rss_kb is the most memory that it held (VmHWM of /proc/self/status), beside that of a
process that starts and ends: bare_rss_kb; modules_rss_kb is after the imports. The rows that are counted are in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NUMBERS, TEXTS = 50, 20

_CHILD = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


bare = peak()
import sys

sys.path.insert(0, sys.argv[1])
import time

from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.profile import Window
from mlpack_edge.profiles.spec import Blocks, Categorical, Numeric, Reference, Source, Spec
from mlpack_edge.profiles.wire.report import ReportFormat

modules = peak()
rows, repeats, numbers, texts = map(int, sys.argv[2:6])
state = 1


def draw(below):  # `random` is a large module
    global state
    state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
    return (state >> 33) * below >> 31


def gauss():
    return sum(draw(10000) for _ in range(12)) / 10000 - 6


edges = tuple(sorted({round(gauss(), 4) for _ in range(56)}))
features = [Numeric(Source(f"x{at}", "input"), edges, edges[4], edges[-5], 0.0, 0.0078125) for at in range(numbers)]
features += [Categorical(Source(f"t{at}", "input"), tuple(f"c{cell}" for cell in range(12)), ("rare",)) for at in range(texts)]
features.append(Categorical(Source("label", "output"), ("no", "yes"), ()))
size = sum(feature.size for feature in features) + 20 + 56 + 4
blocks = Blocks("rows", "", "0", "0", (1,))
spec = Spec("ab" * 32, tuple(features), True, Reference(1, 1, 1, (1,) * size, (0,) * numbers, blocks, {}), {})
given = [
    [gauss() for _ in range(numbers)] + [f"c{draw(12)}" for _ in range(texts)] for _ in range(rows)
]
probabilities = [0.25, 0.75]
best = 1e9
for _ in range(repeats):
    tally = Tally(spec)
    before = time.process_time_ns()
    for row in given:
        tally.add(row, ("yes",), probabilities=probabilities, latency=5000000)
    best = min(best, (time.process_time_ns() - before) / rows / 1000)
before = time.process_time_ns()
report = ReportFormat(spec, bytes(32)).encode(tally.profile(bytes(32), Window(0, 0, 1)))
encoded = (time.process_time_ns() - before) / 1e6
print('{"bare_rss_kb": %d, "modules_rss_kb": %d, "rss_kb": %d, "us_a_row": %.2f, "encode_ms": %.2f, "report_bytes": %d}'
      % (bare, modules, peak(), best, encoded, len(report)))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=20)
    chosen = parser.parse_args()
    arguments = [str(ROOT / ".dev"), str(chosen.rows), str(chosen.repeats), str(NUMBERS), str(TEXTS)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _CHILD, *arguments], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    above = (found["rss_kb"] - found["bare_rss_kb"]) / 1024
    print(json.dumps({"features": NUMBERS + TEXTS, "rows": chosen.rows, **found, "above_bare_mb": round(above, 2)}))


if __name__ == "__main__":
    main()
