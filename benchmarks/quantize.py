"""What `mlpack quantize` makes of real models, beside what peers make: JSON on standard output, a table with --table.

    python benchmarks/quantize.py all     --folder DIR [--only NAME,...] [--roads ROAD,...] [--table]
    python benchmarks/quantize.py prepare --folder DIR      train the nets, fetch the models and make their rows
    python benchmarks/quantize.py peers   --folder DIR      every peer on every model; what is there is not made again
    python benchmarks/quantize.py ours    --folder DIR      `mlpack quantize` on every model, always anew
    python benchmarks/quantize.py judge   --folder DIR      one judge for every file that is there
    python benchmarks/quantize.py page    --folder DIR      what the judge found last, as the tables of the docs
    python benchmarks/quantize.py memory  --folder DIR      1,000 images of 3x640x640: peak of all processes, under 2 GB

Models: twelve nets trained here (quantize_nets.py) and eleven out of packages (quantize_packages.py), each with rows to
calibrate on, rows that a search may judge itself on (`eval`) and rows that only the judge sees (`test`). Peers, in
environments of their own: quantize_environments.py. What is judged, and when a budget of one point is kept:
quantize_judge.py. The verdict stands on `eval`, which is what a budget is given for; `test` is beside it.

`time` is the call at batch 1 and one thread over the float model's in the same runtime, all files of a model in turn in the
same processes. Exit code 1 where ours lies below the budget or is more than 1.02 times the smallest peer's that keeps it, or
where our static int8 TFLite file is noisier than ai-edge-quantizer's with true minima and maxima.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

import quantize_memory
import quantize_packages
import quantize_page
import quantize_roads
from quantize_case import Case, Json, case, is_made
from quantize_environments import ENVIRONMENTS, PEERS
from quantize_measure import judged, printed, summary

TRAINED = (
    "digits_mlp", "digits_cnn", "digits_residual", "digits_depthwise", "digits_transformer", "digits_lstm", "digits_gru",
    "cancer_raw_batchnorm", "cancer_scaled", "wine_scaler_inside", "flights_raw_batchnorm", "diabetes_raw",
)  # fmt: skip


def prepare(folder: Path, names: list[str]) -> None:
    for name in names:
        if is_made(folder, name):
            continue
        _say(f"prepare {name}")
        if name in quantize_packages.MODELS:
            quantize_packages.make(name, folder)
        else:
            import quantize_nets

            quantize_nets.make(name, folder)


def peers(folder: Path, cases: list[Case], roads: list[str]) -> None:
    for one in cases:
        for road in roads:
            if road in PEERS and quantize_roads.said(folder, one, road) is None:
                found = quantize_roads.run_peer(folder, one, road)
                _say(f"{one.name}, {road}: {found.get('failed', 'made')}, {found['seconds']} s")


def ours(folder: Path, cases: list[Case], roads: list[str]) -> None:
    for one in cases:
        for road in roads:
            if road in quantize_roads.OURS:
                found = quantize_roads.run_ours(folder, one, road)
                _say(f"{one.name}, {road}: {found.get('failed', 'made')}, {found['seconds']} s")


def judge(folder: Path, cases: list[Case], processes: int, table: bool) -> Json:
    found: dict[str, Json] = {}
    for one in cases:
        found[one.name] = judged(folder, one, processes)
        home = folder / "judged" / f"{one.name}.json"
        home.parent.mkdir(parents=True, exist_ok=True)
        home.write_text(json.dumps(found[one.name], indent=1))
        if table:
            _say(printed(one.name, found[one.name]) + "\n")
    promises = summary(found)
    if table:
        for name, forms in promises.items():
            for form, line in forms.items():
                _say(f"{name:<24}{form:<8}{json.dumps(line)}")
    broken = [
        f"{name} {form}" for name, forms in promises.items() for form, line in forms.items()
        if line["ours_below_budget"] or not line.get("size_ok", True) or not line.get("static_noise_ok", True)
    ]  # fmt: skip
    return {"models": found, "promises": promises, "broken": broken}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("prepare", "peers", "ours", "judge", "page", "all", "memory"))
    parser.add_argument("--folder", type=Path, required=True, help="models, environments and files; kept between runs")
    parser.add_argument("--only", help="some of the models, by name")
    parser.add_argument("--roads", help=f"some of {', '.join((*quantize_roads.OURS, *PEERS))}")
    parser.add_argument("--processes", type=int, default=3, help="that time a model's files")
    parser.add_argument("--table", action="store_true", help="a table on standard error as well")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    names = asked.only.split(",") if asked.only else [*TRAINED, *quantize_packages.MODELS]
    roads = asked.roads.split(",") if asked.roads else [*quantize_roads.OURS, *PEERS]
    result: Json = {"machine": f"{platform.machine()}, Python {platform.python_version()}", "peers": ENVIRONMENTS}
    if asked.verb == "page":
        homes = {name: folder / "judged" / f"{name}.json" for name in names}
        print(quantize_page.page({name: json.loads(home.read_text()) for name, home in homes.items() if home.exists()}))
        return
    if asked.verb == "memory":
        result["memory"] = quantize_memory.memory(folder)
    else:
        prepare(folder, names)
        cases = [case(folder, name) for name in names]
        if asked.verb in ("peers", "all"):
            peers(folder, cases, roads)
        if asked.verb in ("ours", "all"):
            ours(folder, cases, roads)
        if asked.verb in ("judge", "all"):
            result |= judge(folder, cases, asked.processes, asked.table)
    print(json.dumps(result, indent=1))
    sys.exit(1 if result.get("broken") or not result.get("memory", {}).get("ok", True) else 0)


if __name__ == "__main__":
    main()
