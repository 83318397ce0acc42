"""How much of ONNX is lowered to TFLite right: the standard's own operator cases, one by one. Prints JSON.

    pip download --no-deps onnx==1.19.1 && unzip -q onnx-1.19.1-*.whl 'onnx/backend/test/data/node/*' -d DIR
    python benchmarks/onnx_node_tests.py --cases DIR [--only PREFIX ...] [--jobs N] [--out FILE]

Without --cases the wheel is fetched with pip into a folder of the system's temporary ones. `onnx_node_cases.json`
beside this file lists the 1,224 cases that count: default domain, tensors of FLOAT, INT64, INT32, BOOL, INT8 and UINT8
alone, passed by ONNX Runtime 1.31.1 itself. Inputs after the first that are integer and of rank 0 or 1 (shapes, axes,
sizes) are made constants before converting, as the user of a converter would.

`right`: written, run in LiteRT with its default kernels, and each output has the element type, shape and values of the
case (rtol 1e-3, atol 1e-4; whole numbers exactly; no permutation forgiven). `refused`: Unsupported, by name and reason.
`silent`: a file was written, and it does not load, aborts or gives something else. Each case runs in a child process, for
an interpreter that aborts takes its process along. Exit code 1 where fewer than 1,100 are right, or anything is silent.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter
from onnx import numpy_helper

from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx
from mlpack_edge.core.errors import MlpackError
from mlpack_edge.runtimes.onnx_files.signature import derived_signature

LISTED = Path(__file__).with_name("onnx_node_cases.json")
WANTED = 1100
_WHEEL = "onnx==1.19.1"
_INSIDE = "onnx/backend/test/data/node/"
_SECONDS = 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, help="folder with the wheel's onnx/backend/test/data/node")
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of the names of the cases to run")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    folder = case_folder(given.cases)
    if given.worker:
        return _work(folder)
    names = [n for n in json.loads(LISTED.read_text()) if not given.only or n.startswith(tuple(given.only))]
    found = score(names, folder, given.jobs)
    result = summary(found)
    text = json.dumps(result, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")
    return int(bool(result["silent"]) or (not given.only and result["right"] < WANTED))


def case_folder(given: Path | None) -> Path:
    """The folder that holds a folder per case; fetched where none is given."""
    if given is not None:
        inside = given / _INSIDE
        return inside if inside.is_dir() else given
    cache = Path(tempfile.gettempdir()) / "onnx-node-cases-1.19.1"
    if not (cache / _INSIDE).is_dir():
        with tempfile.TemporaryDirectory() as fetched:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", fetched, _WHEEL],
                check=True, stdout=sys.stderr,
            )  # fmt: skip
            with zipfile.ZipFile(next(Path(fetched).glob("onnx-*.whl"))) as wheel:
                wheel.extractall(cache, [name for name in wheel.namelist() if name.startswith(_INSIDE)])
    return cache / _INSIDE


def score(names: list[str], folder: Path, jobs: int) -> dict[str, tuple[str, str]]:
    """(verdict, reason) by case: "right", "refused", "silent" or "bug" (an exception that is no refusal)."""
    parts = [names[start::jobs] for start in range(jobs)]
    with ThreadPoolExecutor(jobs) as pool:
        found = {
            name: verdict
            for part in pool.map(lambda part: _score_part(part, folder), parts)
            for name, verdict in part.items()
        }
    return {name: found[name] for name in names}


def _score_part(names: list[str], folder: Path) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    waiting = list(names)
    while waiting:
        child = subprocess.Popen(
            [sys.executable, __file__, "--cases", str(folder), "--worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert child.stdin is not None and child.stdout is not None
        while waiting:
            name = waiting.pop(0)
            child.stdin.write(name + "\n")
            child.stdin.flush()
            line = _line_of(child)
            if line is None:
                child.kill()
                found[name] = ("silent", f"the process died or hung ({child.wait()})")
                break
            found[name] = tuple(json.loads(line))
        child.stdin.close()
        child.wait()
    return found


def _line_of(child: subprocess.Popen[str]) -> str | None:
    """The next answer, None where the child died or took too long."""
    assert child.stdout is not None
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(child.stdout.readline)
        while not future.done():
            if time.monotonic() - started > _SECONDS:
                child.kill()
            time.sleep(0.0005)
    return future.result() or None


def _work(folder: Path) -> int:
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        print(json.dumps(judge(folder / line.strip())), file=answers, flush=True)
    return 0


def judge(case: Path) -> tuple[str, str]:
    """Convert and run one case."""
    model = onnx.load(case / "model.onnx")
    feeds, expected = read_case(case, model)
    try:
        lowered = tflite_from_onnx(model, derived_signature(model))
    except MlpackError as refusal:
        return "refused", f"{refusal.message}: {refusal.why}"
    except Exception as fault:  # noqa: BLE001 - a defect of the lowering is a result here
        return "bug", f"{type(fault).__name__}: {fault}"[:300]
    try:
        made = run(lowered.data, feeds)
    except (RuntimeError, ValueError) as fault:
        return "silent", f"LiteRT: {fault}"[:300]
    for name, wanted in expected.items():
        why = difference(made[name], wanted)
        if why:
            return "silent", f"{name}: {why}"
    return "right", ""


def read_case(case: Path, model: onnx.ModelProto) -> tuple[dict[str, Any], dict[str, Any]]:
    """The feeds and the outputs of a case; small integer inputs after the first become constants of `model`."""
    data = case / "test_data_set_0"
    inputs = list(model.graph.input)
    feeds, fixed = {}, set()
    for place, value in enumerate(inputs):
        array = _array(data / f"input_{place}.pb")
        if place and array.dtype.kind in "iu" and array.ndim <= 1:
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
            fixed.add(value.name)
        else:
            feeds[value.name] = array
    kept = [value for value in inputs if value.name not in fixed]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    outputs = {value.name: _array(data / f"output_{i}.pb") for i, value in enumerate(model.graph.output)}
    return feeds, outputs


def _array(path: Path) -> Any:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def run(data: bytes, feeds: dict[str, Any]) -> dict[str, Any]:
    """All outputs of a TFLite file by name."""
    interpreter = Interpreter(model_content=data)
    places = {detail["name"]: detail for detail in interpreter.get_input_details()}
    for name, array in feeds.items():
        if tuple(places[name]["shape"]) != array.shape:
            interpreter.resize_tensor_input(places[name]["index"], array.shape)
    interpreter.allocate_tensors()
    for name, array in feeds.items():
        interpreter.set_tensor(places[name]["index"], array)
    interpreter.invoke()
    return {detail["name"]: interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()}


def difference(made: Any, wanted: Any) -> str:
    """What is not as the case has it, "" where all is."""
    if made.shape != wanted.shape:
        return f"shape {list(made.shape)} for {list(wanted.shape)}"
    if made.dtype != wanted.dtype:
        return f"{made.dtype} for {wanted.dtype}"
    if wanted.dtype.kind != "f":
        wrong = int((made != wanted).sum())
        return f"{wrong} of {wanted.size} elements" if wrong else ""
    same = np.isclose(made, wanted, rtol=1e-3, atol=1e-4, equal_nan=True)
    return (
        ""
        if same.all()
        else f"{int((~same).sum())} of {wanted.size} elements, by up to {np.nanmax(np.abs(made - wanted)):.3g}"
    )


def summary(found: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Counts, and what is not right by reason."""
    counts = Counter(verdict for verdict, _ in found.values())
    reasons: dict[str, list[str]] = {}
    for name, (verdict, reason) in found.items():
        if verdict == "refused":
            reasons.setdefault(reason.split(" (node")[0] + ":" + reason.partition(":")[2], []).append(name)
    return {
        "cases": len(found),
        "right": counts["right"],
        "refused": counts["refused"],
        "silent": counts["silent"],
        "bugs": counts["bug"],
        "failures": {name: list(verdict) for name, verdict in found.items() if verdict[0] in ("silent", "bug")},
        "refusals": reasons,
    }


if __name__ == "__main__":
    raise SystemExit(main())
