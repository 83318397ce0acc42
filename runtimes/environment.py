"""What is installed here, what is missing, and what does not go together. Reads metadata, imports no library."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

Json = dict[str, Any]

DISTRIBUTION = "mlpack-edge"
#: Distributions that are shown though no extra of ours names them: they are what the known-bad pairs speak of.
_OTHERS = ("tflite-runtime", "xgboost", "hummingbird-ml", "tensorflow", "onnxmltools")


@dataclass(frozen=True, slots=True)
class Problem:
    """Two packages that do not go together: what, why, and the one line that mends it."""

    what: str
    why: str
    mend: str


def installed(names: tuple[str, ...] | list[str]) -> dict[str, str | None]:
    """The version of each distribution, None where it is absent."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def required_by_extra() -> dict[str, list[str]]:
    """The distributions each extra of ours names; "" is the core install."""
    found: dict[str, list[str]] = {"": []}
    for line in requires(DISTRIBUTION) or []:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", line)
        if name and name[0] != DISTRIBUTION:
            found.setdefault(extra[1] if extra else "", []).append(name[0])
    return found


def _release(text: str | None) -> tuple[int, ...]:
    """`2.14.0` as (2, 14, 0); () where absent."""
    return tuple(int(part) for part in re.findall(r"\d+", (text or "").split("+")[0])[:3])


Versions = Mapping[str, "str | None"]


def _newer(versions: Versions, name: str, *floor: int) -> bool:
    return bool(versions.get(name)) and _release(versions.get(name)) >= floor


def _older(versions: Versions, name: str, *ceiling: int) -> bool:
    return bool(versions.get(name)) and _release(versions.get(name)) < ceiling


#: (does it hold, the problem). Each pair was met and tried.
_PAIRS: tuple[tuple[Callable[[Versions], bool], Problem], ...] = (
    (
        lambda v: _newer(v, "protobuf", 7) and _older(v, "skl2onnx", 1, 21),
        Problem(
            "protobuf 7 with skl2onnx 1.20",
            "skl2onnx writes a boolean where protobuf 7 takes an integer: HistGradientBoosting and others fail",
            "pip install 'protobuf>=6.31.1,<7'",
        ),
    ),
    (
        lambda v: _older(v, "protobuf", 6) and _newer(v, "onnx", 1, 19),
        Problem(
            "protobuf older than 6 with this onnx",
            "onnx's generated code needs the protobuf 6 runtime and fails at import",
            "pip install 'protobuf>=6.31.1,<7'",
        ),
    ),
    (
        lambda v: _newer(v, "numpy", 2) and _older(v, "tflite-runtime", 2, 15),
        Problem(
            "numpy 2 with tflite-runtime 2.14",
            "it imports, and then Interpreter() raises SystemError",
            "pip install 'numpy<2'",
        ),
    ),
    (
        lambda v: bool(v.get("hummingbird-ml")) and bool(v.get("torch")),
        Problem(
            "hummingbird-ml with torch",
            "it holds onnx at 1.16 or older, with which torch.onnx.export fails without saying so",
            "pip uninstall hummingbird-ml",
        ),
    ),
    (
        lambda v: bool(v.get("xgboost")) and bool(v.get("xgboost-cpu")),
        Problem(
            "xgboost and xgboost-cpu",
            "both own the import xgboost: whichever was installed last wins, in parts",
            "pip uninstall -y xgboost xgboost-cpu && pip install xgboost-cpu",
        ),
    ),
    (
        lambda v: bool(v.get("torch")) and not v.get("onnxscript"),
        Problem(
            "torch without onnxscript",
            "torch.onnx.export(dynamo=True) is written with it",
            "pip install 'mlpack-edge[torch]'",
        ),
    ),
)


def problems(versions: Versions) -> list[Problem]:
    """The known-bad pairs among `versions` (distribution name to version, None where absent)."""
    return [problem for holds, problem in _PAIRS if holds(versions)]


def survey() -> Json:
    """Versions, extras and known-bad pairs of this environment."""
    extras = required_by_extra()
    names = sorted({name for group in extras.values() for name in group} | set(_OTHERS))
    versions = installed(names)
    # xgboost and xgboost-cpu are the same import: either will do.
    has = {name for name, number in versions.items() if number}
    if "xgboost" in has:
        has.add("xgboost-cpu")
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "mlpack": installed([DISTRIBUTION])[DISTRIBUTION],
        "packages": {name: number for name, number in versions.items() if number},
        "extras": {
            extra: {
                "installed": all(name in has for name in group),
                "missing": [name for name in group if name not in has],
                "install": f"pip install '{DISTRIBUTION}[{extra}]'",
            }
            for extra, group in sorted(extras.items())
            if extra and group
        },
        "core_missing": [name for name in extras[""] if name not in has],
        "problems": [
            {"what": problem.what, "why": problem.why, "mend": problem.mend} for problem in problems(versions)
        ],
        "executable": sys.executable,
    }


def probe_onnxruntime(payload: Json, stage: Any) -> Json:
    """Run a 100-byte model: an import that works proves nothing. {"version", "ok", "reason"}"""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    from mlpack_edge.runtimes.onnxruntime import open_session, run

    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])], "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    made = run(open_session(model.SerializeToString()), {"x": np.array([1.0, 2.5], np.float32)})["y"]
    good = made.tolist() == [2.0, 5.0]
    return {"version": onnxruntime.__version__, "ok": good, "reason": "" if good else f"1 + 1 gave {made[0]}"}


def probe_litert(payload: Json, stage: Any) -> Json:
    """Run a 304-byte model in ai-edge-litert. {"version", "ok", "reason"}"""
    return _probe_tflite("ai-edge-litert")


def probe_tflite_runtime(payload: Json, stage: Any) -> Json:
    """Run a 304-byte model in tflite-runtime: it imports with numpy 2 and fails only then. {"version", "ok", "reason"}"""
    return _probe_tflite("tflite-runtime")


def _probe_tflite(distribution: str) -> Json:
    from mlpack_edge.core.errors import MissingExtra
    from mlpack_edge.runtimes.litert.library import library

    number = installed([distribution])[distribution]
    try:
        library(distribution)
    except MissingExtra as fault:
        return {"version": number, "ok": False, "reason": fault.why}
    return {"version": number, "ok": True, "reason": ""}
