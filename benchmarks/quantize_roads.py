"""Every way from a float model to a quantized file: mlpack's own command and the peers, each in a process with a time limit.

`FOLDER/made/NAME/ROAD.onnx` or `.tflite`, and beside it `ROAD.json`: seconds, notes, and what went wrong if there is no file.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import score_data
from quantize_case import LABEL, Case, Json
from quantize_environments import PEERS, peer_line

#: Seconds that a road may take for one model, ours included.
LIMIT = 900
#: What a result may lose: points of the metric as a share, or flips and noise where there is no truth.
MAX_DROP = 0.01


@dataclass(frozen=True, slots=True)
class Ours:
    """One way of calling `mlpack quantize`. slower: also what is slower than the float model, as peers give it."""

    title: str
    format: str
    scheme: str
    slower: bool


OURS = {
    "mlpack": Ours("mlpack, as it comes", "onnx", "auto", False),
    "mlpack-small": Ours("mlpack, also slower", "onnx", "auto", True),
    "mlpack-static": Ours("mlpack, static", "onnx", "static", True),
    "mlpack-lite": Ours("mlpack TFLite, as it comes", "tflite", "auto", False),
    "mlpack-lite-small": Ours("mlpack TFLite, also slower", "tflite", "auto", True),
    "mlpack-lite-static": Ours("mlpack TFLite, static", "tflite", "static", True),
}
FORMATS = {name: road.format for name, road in (OURS | PEERS).items()}  # type: ignore[operator]
TITLES = {name: road.title for name, road in (OURS | PEERS).items()}  # type: ignore[operator]
#: The float model in either format.
FLOAT = {"onnx": "float.onnx", "tflite": "float.tflite"}


def made(folder: Path, case: Case, road: str) -> Path:
    return folder / "made" / case.name / f"{road}.{FORMATS[road]}"


def said(folder: Path, case: Case, road: str) -> Json | None:
    """What the road's run left, or none if it was not run."""
    path = folder / "made" / case.name / f"{road}.json"
    found: Json | None = json.loads(path.read_text()) if path.exists() else None
    return found


def float_file(folder: Path, case: Case, form: str) -> Path | None:
    """The float model as ONNX or as TFLite (which `mlpack convert` makes once); none where it cannot be had."""
    if form == "onnx":
        return case.model
    path = folder / "made" / case.name / FLOAT[form]
    refused = path.with_suffix(".refused")
    if not path.exists() and not refused.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        few = path.with_suffix(".npz")  # proven on one row, and roughly: the judge says how far it is
        np.savez(few, **{name: array[:1] for name, array in case.rows("eval").items()})  # type: ignore[arg-type]
        line = [*score_data.mlpack(), "convert", str(case.model), "--to", "tflite", "-o", str(path), *shapes(case)]
        ended = _run([*line, "--data", str(few), "--rows", "1", "--rtol", "0.01", "--atol", "0.01"])
        if ended["code"]:
            refused.write_text(ended["error"])
    return path if path.exists() else None


def shapes(case: Case) -> list[str]:
    """`--shape` for each input that leaves more open than its batch, or a batch where another input has one of 1."""
    import onnx

    rows = case.rows("eval")
    graph = onnx.load(case.model, load_external_data=False).graph
    sizes = {
        one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim] for one in graph.input if one.name in rows
    }
    single = any(size[0] == 1 for size in sizes.values())
    line: list[str] = []
    for name, size in sizes.items():
        if any(extent <= 0 for extent in (size if single else size[1:])):
            first = "1" if single else "batch"
            line += ["--shape", f"{name}={'x'.join([first, *map(str, rows[name].shape[1:])])}"]
    return line


def run_ours(folder: Path, case: Case, road: str) -> Json:
    out, ours = made(folder, case, road), OURS[road]
    line = [
        *score_data.mlpack(), "quantize", str(case.model), "-o", str(out), "--to", ours.format, "--scheme", ours.scheme,
        "--data", str(case.home / "calib.npz"), "--max-drop", str(MAX_DROP), "--force", "--json", *shapes(case),
    ]  # fmt: skip
    if ours.slower:
        line += ["--max-size", f"{case.model.stat().st_size}B"]  # a budget of size lets a slower file be chosen
    if case.about.get("metric"):
        line += ["--eval", str(case.home / "eval_labelled.npz"), "--label", LABEL, "--metric", case.about["metric"]]
    else:
        line += ["--eval", str(case.home / "eval.npz")]
        asked = case.about["outputs"].items()  # the judge's and the peers' question, see quantize_judge.py
        line += [word for name, one in asked if one["meaning"] == "number" for word in ("--whole", name)]
    return _finish(folder, case, road, _run(line))


def run_peer(folder: Path, case: Case, road: str) -> Json:
    out, form = made(folder, case, road), FORMATS[road]
    model = float_file(folder, case, form)
    if model is None:
        return _finish(
            folder, case, road, {"code": 1, "error": "there is no float TFLite file", "out": "", "seconds": 0.0}
        )
    job = out.with_suffix(".job.json")
    labels = case.home / "labels.npy"
    job.parent.mkdir(parents=True, exist_ok=True)
    job.write_text(json.dumps({
        "model": str(model), "calib": str(case.home / "calib.npz"), "eval": str(case.home / "eval.npz"),
        "labels": str(labels) if labels.exists() else None, "about": case.about, "max_drop": MAX_DROP, "out": str(out),
    }))  # fmt: skip
    return _finish(folder, case, road, _run(peer_line(folder, road, job)))


def _finish(folder: Path, case: Case, road: str, ended: Json) -> Json:
    out = made(folder, case, road)
    found: Json = {"seconds": ended["seconds"]}
    try:
        found["said"] = json.loads(ended["out"][ended["out"].index("{") :])
    except ValueError:
        found["said"] = None
    if ended["code"]:
        out.unlink(missing_ok=True)
        error = (found["said"] or {}).get("error") or {}  # mlpack's own, with --json
        found |= {"failed": error.get("message") or ended["error"], "code": ended["code"]}
    out.parent.mkdir(parents=True, exist_ok=True)
    (out.parent / f"{road}.json").write_text(json.dumps(found, indent=1))
    return found


def _run(line: list[str]) -> Json:
    """code, out, error (the last lines of standard error) and seconds of a whole process group, ended at the limit."""
    begin = time.perf_counter()
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings, start_new_session=True
    ) as child:
        try:
            out, error = child.communicate(timeout=LIMIT + 60)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, error = child.communicate()
            error = f"not done after {LIMIT} s"
    last = [text for text in error.strip().splitlines() if text.strip()][-4:]
    return {
        "code": child.returncode, "out": out, "error": " | ".join(last)[-600:], "seconds": round(time.perf_counter() - begin, 1),
    }  # fmt: skip
