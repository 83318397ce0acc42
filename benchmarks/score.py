"""What `mlpack score` takes, beside the least a machine could take and what others take: JSON on standard output, a table
on standard error. Everything is made below one folder: data, models, the peers' environments.

    python benchmarks/score.py table    --folder DIR [--models lr,hgb] [--rows 10000000] [--peers all|none|a,b] [--rounds 3]
    python benchmarks/score.py memory   --folder DIR [--models lr] [--rows 2000000,20000000] [--peers none|a,b]
    python benchmarks/score.py contract --folder DIR [--models lr] [--rows 10000000] [--rounds 5]
    python benchmarks/score.py trees    --folder DIR [--rounds 7]
    python benchmarks/score.py kills    --folder DIR [--models lr] [--rows 2000000] [--times 50]
    python benchmarks/score.py rerun    --folder DIR [--models lr] [--rows 10000000]
    python benchmarks/score.py startup  --folder DIR [--models lr] [--rounds 5]

table: wall seconds of whole processes, all of them in each round, in an order drawn anew; medians. `bound` is
score_bound.py: ONNX Runtime on arrays in memory, reading and writing, perfectly overlapped. Peers run the graph that
mlpack cut (score_coded.py), texts as codes; scikit-learn its own pipeline. A peer's table is compared with
mlpack's: labels that differ, and the largest difference of a probability. memory: the largest sum of PSS over all
processes, looked at every 50 ms. The peers and their versions: score_environments.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.dataset
import score_data
import score_faults
import score_process
import score_trees
from score_bound import bound
from score_coded import write_coded
from score_environments import ENVIRONMENTS, PEERS, peer_line

Json = dict[str, Any]
#: Rows by model, as the project's first measurements had them.
ROWS = {"lr": 10_000_000, "hgb": 3_000_000}
WORKERS = len(os.sched_getaffinity(0))


def table(folder: Path, asked: argparse.Namespace) -> Json:
    return {name: _table(folder, name, _rows(asked, name)[0], asked) for name in asked.models.split(",")}


def _table(folder: Path, name: str, rows: int, asked: argparse.Namespace) -> Json:
    data, model, (coded, meaning) = _made(folder, name, rows)
    peers = _peers(asked)
    out = {road: folder / "out" / road for road in ["mlpack", *peers]}
    reference: list[tuple[np.ndarray, np.ndarray]] = []
    seconds: dict[str, list[float]] = {road: [] for road in ["mlpack", "bound", *peers]}
    bounds: list[Json] = []
    found: dict[str, Json] = {road: {} for road in ["mlpack", *peers]}
    order = random.Random(0)
    for _ in range(asked.rounds):
        for road in ["mlpack", *order.sample(["bound", *peers], len(peers) + 1)]:
            _say(f"{name}: {road}")
            if road == "bound":
                bounds.append(bound(model, data, folder / "out" / "bound"))
                seconds[road].append(bounds[-1]["bound"])
                continue
            shutil.rmtree(out[road], ignore_errors=True)
            if road == "mlpack":
                ran = score_process.run(score_line(model, data, out[road]))
                reference = reference or [scores(out[road], "source_row", rows)]
            else:
                job = _job(folder, road, data, out[road], coded, meaning)
                ran = score_process.run(peer_line(folder, road, job), threads=PEERS[road].threads)
                found[road].setdefault("inside_seconds", []).append(json.loads(ran.stdout.splitlines()[-1])["seconds"])
                if "differs" not in found[road]:
                    found[road]["differs"] = _difference(reference[0], scores(out[road], score_data.KEY, rows))
            seconds[road].append(ran.seconds)
            found[road].setdefault("cpu_seconds", []).append(round(ran.cpu_seconds, 2))
            shutil.rmtree(out[road])
    least, ours = (statistics.median(seconds[road]) for road in ("bound", "mlpack"))
    for road, times in seconds.items():
        line = found.setdefault(road, {})
        line["seconds"] = round(statistics.median(times), 3)
        line["all_seconds"] = [round(time, 3) for time in times]
        line["to_bound"], line["to_mlpack"] = round(line["seconds"] / least, 3), round(line["seconds"] / ours, 3)
        line["title"] = {"mlpack": "mlpack score", "bound": "bound"}.get(road) or PEERS[road].title
    found["bound"]["stages"] = bounds[-1]["stages"]
    _print(f"{name}, {rows:,} rows", found, ("seconds", "to_bound", "to_mlpack"))
    return {"rows": rows, "data": score_data.described(data), "roads": found}


def score_line(model: Path, data: Path, out: Path, *more: str) -> list[str]:
    return [*score_data.mlpack(), "score", str(model), "--input", str(data), "--output", str(out), "--json", *more]


def scores(out: Path, key: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """label int64 and the second probability float64, both `[rows]`, in the order of the keys, which are 0 to rows - 1."""
    files = sorted(str(path) for path in out.rglob("*.parquet"))
    label, late = np.full(rows, -1, np.int64), np.full(rows, np.nan)
    for batch in pyarrow.dataset.dataset(files).to_batches(columns=[key, "label", "probabilities"]):
        if batch.num_rows:
            places = batch.column(key).to_numpy()
            label[places] = batch.column("label").to_numpy()
            late[places] = pyarrow.compute.list_element(batch.column("probabilities"), 1).to_numpy(zero_copy_only=False)
    return label, late


def _difference(ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray]) -> Json:
    gap = np.abs(ours[1] - theirs[1]).max()
    return {"labels": int((ours[0] != theirs[0]).sum()), "probability": None if np.isnan(gap) else float(gap)}


def memory(folder: Path, asked: argparse.Namespace) -> Json:
    made: Json = {}
    for name in asked.models.split(","):
        for rows in _rows(asked, name, [2_000_000, 20_000_000]):
            data, model, (coded, meaning) = _made(folder, name, rows)
            lines: dict[str, Json] = {}
            for road in ["mlpack", *_peers(asked)]:
                _say(f"{name}, {rows:,} rows: {road}")
                out = folder / "out" / road
                shutil.rmtree(out, ignore_errors=True)
                if road == "mlpack":
                    ran = score_process.run(score_line(model, data, out), memory=True)
                else:
                    job = _job(folder, road, data, out, coded, meaning)
                    ran = score_process.run(peer_line(folder, road, job), PEERS[road].threads, memory=True)
                shutil.rmtree(out)
                title = PEERS[road].title if road in PEERS else "mlpack score"
                lines[road] = {
                    "title": title, "peak_mb": round(ran.peak_bytes / 1e6, 1),
                    "seconds": round(ran.seconds, 2),
                }  # fmt: skip
            _print(f"{name}, {rows:,} rows", lines, ("peak_mb", "seconds"))
            made.setdefault(name, {})[str(rows)] = lines
        peaks = [lines["mlpack"]["peak_mb"] for lines in made[name].values()]
        made[name]["largest_to_smallest"] = round(max(peaks) / min(peaks), 3)
    return made


def contract(folder: Path, asked: argparse.Namespace) -> Json:
    """The same job with and without `--contract`, in turn."""
    made: Json = {}
    for name in asked.models.split(","):
        data, model, _ = _made(folder, name, _rows(asked, name)[0])
        drafted = folder / f"{name}-contract.toml"
        if not drafted.exists():
            line = [
                *score_data.mlpack(),
                "score",
                str(model),
                "--draft-contract",
                "-o",
                str(drafted),
                "--input",
                str(data),
            ]
            score_process.run(line)
        roads: dict[str, list[str]] = {"without": [], "with": ["--contract", str(drafted)]}
        seconds: dict[str, list[float]] = {road: [] for road in roads}
        for number in range(asked.rounds):
            for road in sorted(roads, reverse=bool(number % 2)):
                out = folder / "out" / road
                for old in (out, out.parent / f".{out.name}.mlpack"):  # it remembers how many rows the last run had
                    shutil.rmtree(old, ignore_errors=True)
                seconds[road].append(score_process.run(score_line(model, data, out, *roads[road])).seconds)
                shutil.rmtree(out)
        middle = {road: statistics.median(times) for road, times in seconds.items()}
        pairs = [one / other for one, other in zip(seconds["with"], seconds["without"], strict=True)]
        made[name] = {
            "seconds": {road: round(time, 3) for road, time in middle.items()},
            "ratio": round(statistics.median(pairs), 3),
            "all_seconds": {road: [round(time, 3) for time in times] for road, times in seconds.items()},
        }
        _say(f"{name}: {middle['without']:.2f} s, with a contract {middle['with']:.2f} s, ratio {made[name]['ratio']}")
    return made


def kills(folder: Path, asked: argparse.Namespace) -> Json:
    made = {}
    for name in asked.models.split(","):
        data, model, _ = _made(folder, name, _rows(asked, name, [2_000_000])[0])
        out = folder / "out" / "kills"
        made[name] = score_faults.kills(score_line(model, data, out), out, asked.times, _say)
    return made


def rerun(folder: Path, asked: argparse.Namespace) -> Json:
    made = {}
    for name in asked.models.split(","):
        data, model, _ = _made(folder, name, _rows(asked, name)[0])
        out = folder / "out" / "rerun"
        made[name] = score_faults.rerun(score_line(model, data, out), out)
        _say(f"{name}: {made[name]}")
    return made


def startup(folder: Path, asked: argparse.Namespace) -> Json:
    made = {}
    for name in asked.models.split(","):
        data, model, _ = _made(folder, name, 1)
        out = folder / "out" / "startup"
        made[name] = score_faults.startup(score_line(model, data, out), out, asked.rounds)
        _say(f"{name}: {made[name]}")
    return made


def trees(folder: Path, asked: argparse.Namespace) -> Json:
    return score_trees.trees(folder, asked.rounds, _say)


def _made(folder: Path, name: str, rows: int) -> tuple[Path, Path, tuple[Path, Path]]:
    """Data, model, and the peers' form of it."""
    model = score_data.model(folder, name)
    return score_data.flights(folder, rows), model, write_coded(model)


def _rows(asked: argparse.Namespace, name: str, default: list[int] | None = None) -> list[int]:
    if asked.rows:
        return [int(rows) for rows in asked.rows.split(",")]
    return default or [ROWS[name]]


def _peers(asked: argparse.Namespace) -> list[str]:
    if asked.peers in ("all", "none"):
        return list(PEERS) if asked.peers == "all" else []
    return [str(name) for name in asked.peers.split(",")]


def _job(folder: Path, peer: str, data: Path, out: Path, coded: Path, meaning: Path) -> Path:
    said = {
        "input": str(data), "output": str(out), "model": str(coded), "meaning": str(meaning), "key": score_data.KEY,
        "workers": WORKERS,
    }  # fmt: skip
    path = folder / f"{peer}.json"
    path.write_text(json.dumps(said))
    return path


def _print(title: str, lines: dict[str, Json], columns: tuple[str, ...]) -> None:
    _say(f"\n{title:<40}" + "".join(f"{column:>12}" for column in columns))
    for line in sorted(lines.values(), key=lambda line: float(line[columns[0]])):
        _say(f"{line['title']:<40}" + "".join(f"{line[column]:>12}" for column in columns))
    _say("")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


VERBS: dict[str, Callable[[Path, argparse.Namespace], Json]] = {
    "table": table, "memory": memory, "contract": contract, "trees": trees, "kills": kills, "rerun": rerun,
    "startup": startup,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--folder", type=Path, required=True, help="data, models and environments; kept between runs")
    parser.add_argument("--models", help="lr, hgb [default: both for table and startup, else lr]")
    parser.add_argument("--rows", default="", help="rows of the input; several for memory")
    parser.add_argument("--peers", help=f"all, none, or some of {','.join(PEERS)} [default: all for table, else none]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=50, help="kills")
    asked = parser.parse_args()
    asked.models = asked.models or ("lr,hgb" if asked.verb in ("table", "startup") else "lr")
    asked.peers = asked.peers or ("all" if asked.verb == "table" else "none")
    machine = {"machine": platform.machine(), "cores": WORKERS, "python": platform.python_version()}
    found = VERBS[asked.verb](asked.folder.resolve(), asked)
    print(json.dumps({"machine": machine, "peers": ENVIRONMENTS, asked.verb: found}, indent=1))


if __name__ == "__main__":
    main()
