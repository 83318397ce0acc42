"""The one judge of all roads: answers of a file on held-out rows, latency of all files of a model in turn, verdicts."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import quantize_judge
from quantize_case import Array, Case, Json
from quantize_roads import FLOAT, FORMATS, MAX_DROP, OURS, PEERS, TITLES, float_file, made, said

HERE = Path(__file__).parent
#: What our file may be over the smallest peer's that keeps the budget.
ALLOWED = 1.02
#: What the noise of our static int8 TFLite file may be over that of the peer's with true minima and maxima.
ALLOWED_NOISE = 1.05
#: Seconds that a file may take for the rows of one part.
LIMIT = 600


def answers(path: Path, rows: Path) -> dict[str, Array]:
    """By output `[rows, ...]`, from a child. Raises ValueError with the last line of its complaint."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "answers.npz")
        _child("quantize_run.py", str(path), str(rows), str(out))
        with np.load(out) as arrays:
            return dict(arrays)


def _child(script: str, *line: str) -> str:
    settings = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / script), *line]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=settings, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise ValueError(f"not done after {LIMIT} s") from None
    if done.returncode:
        raise ValueError(f"ends with {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1][:300]}")
    return done.stdout


def judged(folder: Path, case: Case, processes: int) -> Json:
    """Every road that was run for `case`: bytes, `eval` and `test` (quantize_judge.quality), `kept`, `latency`."""
    truth = {part: case.truth(part) for part in ("eval", "test")}
    rows = {part: case.home / f"{part}.npz" for part in truth}
    wanted = {part: answers(case.model, path) for part, path in rows.items()}
    lite = float_file(folder, case, "tflite")
    floats = {"onnx": case.model} | ({"tflite": lite} if lite else {})
    files = {FLOAT[form]: path for form, path in floats.items()}
    roads: dict[str, Json] = {}
    for road in (*OURS, *PEERS):
        told = said(folder, case, road)
        if told is None:
            continue
        path = made(folder, case, road)
        found: Json = {"title": TITLES[road], "format": FORMATS[road], "road_seconds": told["seconds"]}
        roads[road] = found
        if "failed" in told or not path.exists():
            found |= {"failed": told.get("failed", "no file"), "code": told.get("code")}
            continue
        size = path.stat().st_size
        found |= {"bytes": size, "to_float": round(size / case.model.stat().st_size, 4)}
        found["notes"] = (told["said"] or {}).get("notes", [])
        try:
            for part, home in rows.items():
                got = answers(path, home)
                found[part] = quantize_judge.quality(wanted[part], got, case.about, truth[part])
                found[part]["kept"] = quantize_judge.kept(case.about, found[part], MAX_DROP)
            files[road] = path
        except (ValueError, KeyError) as fault:
            found["failed"] = f"its file cannot be judged: {fault}"
    times = latencies(files, rows["eval"], processes)
    for road, found in roads.items():
        against = FLOAT[found["format"]]
        if road in times and against in times:
            ratios = [one / other for one, other in zip(times[road], times[against], strict=True)]
            found["milliseconds"] = round(statistics.median(times[road]) / 1e6, 4)
            found["latency_to_float"] = round(statistics.median(ratios), 3)
    whole = {
        "bytes": {form: path.stat().st_size for form, path in floats.items()}, "about": case.about, "roads": roads,
        "float_milliseconds": {name: round(statistics.median(times[name]) / 1e6, 4) for name in FLOAT.values() if name in times},
    }  # fmt: skip
    if lite:
        whole["float_tflite"] = quantize_judge.quality(
            wanted["eval"], answers(lite, rows["eval"]), case.about, truth["eval"]
        )
    return whole


def latencies(files: dict[str, Path], rows: Path, processes: int) -> dict[str, list[float]]:
    """Nanoseconds by name, a median a round of every process."""
    times: dict[str, list[float]] = {name: [] for name in files}
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "row.npz")
        with np.load(rows) as arrays:
            np.savez(first, **{name: arrays[name][:1] for name in arrays.files})  # type: ignore[arg-type]
        for seed in range(processes):
            found = json.loads(
                _child("quantize_latency.py", str(first), *map(str, files.values()), "--seed", str(seed))
            )
            for name, path in files.items():
                times[name] += found[str(path)]
    return times


def summary(cases: dict[str, Json]) -> Json:
    """What the project promises, case by case and format by format."""
    return {name: {form: _against_peers(one, form) for form in ("onnx", "tflite")} for name, one in cases.items()}


def _against_peers(one: Json, form: str) -> Json:
    """Our files against the smallest peer's that keeps the budget; `size_ratio` is of what is there of `*-small`, which
    may be slower than the float model as peers' files may, else of what comes without being asked."""
    judged = {road: found for road, found in one["roads"].items() if found["format"] == form and "eval" in found}
    kept = {road: found["bytes"] for road, found in judged.items() if found["eval"]["kept"]}
    peers = {road: size for road, size in kept.items() if road not in OURS}
    auto = [road for road, how in OURS.items() if how.format == form and how.scheme == "auto" and road in kept]
    made: Json = {
        "ours": {road: kept[road] for road in kept if road in OURS},
        "peer": min(peers, key=lambda road: peers[road]) if peers else None,
        "ours_below_budget": [road for road in judged if road in OURS and road not in kept],
    }
    if auto and made["peer"]:
        made["size_ratio"] = {road: round(kept[road] / peers[made["peer"]], 4) for road in auto}
        made["size_ok"] = min(made["size_ratio"].values()) <= ALLOWED
    if form == "tflite" and {"mlpack-lite-static", "aeq-minmax"} <= judged.keys():
        noises = {road: judged[road]["eval"]["noise"] for road in ("mlpack-lite-static", "aeq-minmax")}
        made["static_noise"] = {road: float(f"{noise:.3g}") for road, noise in noises.items()}
        made["static_noise_ok"] = bool(noises["mlpack-lite-static"] <= noises["aeq-minmax"] * ALLOWED_NOISE)
    return made


def printed(name: str, one: Json) -> str:
    """A table of one case."""
    labelled = one["about"].get("metric")
    title = f"{labelled} lost" if labelled else "flips"
    head = f"{name}: {one['bytes'].get('onnx', 0):,} bytes, {one['about']['source']}; TFLite {one['bytes'].get('tflite', '-')}"
    lines = [head, f"  {'road':<40}{'bytes':>11}{'size':>7}{title:>15}{'noise dB':>10}{'test':>9}{'time':>7}  kept"]
    for found in one["roads"].values():
        if "eval" not in found or "test" not in found:
            lines.append(f"  {found['title']:<40}  - {found['failed'][-110:]}")
            continue
        now, later = found["eval"], found["test"]
        main, test = (part["loss"] if labelled else part["flips"] for part in (now, later))
        lines.append(
            f"  {found['title']:<40}{found['bytes']:>11,}{found['to_float']:>7.3f}{_number(main):>15}"
            f"{_number(now['noise_db'], 1):>10}{_number(test):>9}{_number(found.get('latency_to_float'), 2):>7}"
            f"  {'yes' if now['kept'] else 'NO'}"
        )
    return "\n".join(lines)


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
