"""The facts of `mlpack inspect`. This process reads bytes; what parses or loads the file are child processes."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput, MlpackError, Unsupported, error_from_json
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.inspection.loads import runtimes_of
from mlpack_edge.runtimes.inspection.refusals import explained
from mlpack_edge.runtimes.recognise.sniff import Kind, sniff
from mlpack_edge.runtimes.worker import Limits, run_isolated

Json = dict[str, Any]

LIMITS = Limits(seconds=60.0)
_HERE = "mlpack_edge.runtimes.inspection"
_READERS = {Kind.ONNX: f"{_HERE}.onnx:onnx_facts", Kind.TFLITE: f"{_HERE}.tflite:tflite_facts"}
_LOADS = f"{_HERE}.loads:in_runtime"
#: A tensor stored elsewhere in ONNX has an entry of this name; a file without these bytes has none.
_EXTERNAL_MARK = b"location"
_BLOCK = 1 << 20
_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """facts: the JSON of the command, every key there. problem: why the file is damaged or dangerous, None if sound."""

    facts: Json
    problem: MlpackError | None


def inspect_file(path: Path, limits: Limits = LIMITS) -> Inspection:
    """What can be said about a file: also a damaged one has a format, a size and a digest, and a runtime's reason.

    Raises BadInput or IoFault only where the file is no model that mlpack knows, or cannot be read.
    """
    problem: MlpackError | None = None
    try:
        kind = sniff(path)
    except BadInput as fault:
        if "format" not in fault.data:
            raise
        problem, kind = fault, Kind(fault.data["format"])
    names = runtimes_of(kind) if kind in _READERS else []
    reading = _Call(_READERS[kind], path, limits) if problem is None and kind in _READERS else None
    # Tensors in other files are looked at before a runtime may open them; otherwise both children run at once.
    early = kind is Kind.ONNX and not _is_marked(path)
    loading = _loading(names, kind, path, limits) if early else {}
    size, digest = _digest(path)
    facts: Json = {
        "path": str(path), "format": str(kind), "bytes": size, "sha256": digest,
        "schema_version" if kind is Kind.TFLITE else "opset": None,
        "inputs": None, "outputs": None, "ops": None, "parameters": None, "quantization": None, "metadata": {},
        "signature": None, "loads": {}, "notes": [],
    }  # fmt: skip
    if kind not in _READERS:
        facts["notes"] = [f"{kind} models are converted before they are looked into: mlpack convert {path}"]
        return Inspection(facts, problem)
    if reading is not None:
        try:
            facts |= reading.result() or {}
        except MlpackError as fault:
            facts |= fault.data.pop("facts", {})
            problem = fault
    if facts.get("problem"):
        problem = error_from_json(facts.pop("problem"))
    if not loading and _may_load(kind, problem, facts):
        loading = _loading(names, kind, path, limits)
    answers = {name: _answer(loading.get(name), problem) for name in names}
    facts["loads"] = {name: explained(answer, facts) for name, answer in answers.items() if answer is not None}
    facts.pop("problem", None)
    if isinstance(problem, Unsupported):  # a sound file that is not for us (custom operators, a later IR)
        facts["notes"].append(problem.message)
        problem = None
    return Inspection(facts, problem)


def _may_load(kind: Kind, problem: MlpackError | None, facts: Json) -> bool:
    """Not where the file may name other files: ones that were not all passed, or that LiteRT would open unasked."""
    if kind is Kind.TFLITE:
        return not facts.get("external")
    return problem is None or facts.get("external") == 0


def _loading(names: list[str], kind: Kind, path: Path, limits: Limits) -> dict[str, _Call]:
    return {name: _Call(_LOADS, path, limits, runtime=name, format=str(kind)) for name in names}


def _answer(loading: _Call | None, problem: MlpackError | None) -> bool | str | None:
    """True, the reason, or None where the runtime is for other formats."""
    if loading is None:
        return f"not tried: {problem.message}" if problem else "not tried: its weights are in other files"
    try:
        # A file that is refused may keep a runtime busy for ever (functions that double): it gets a moment only.
        outcome = loading.result(None if problem is None else _PATIENCE)
    except MlpackError as fault:  # the runtime died or hung: that is the answer
        return ": ".join(text for text in (fault.message, fault.why) if text)
    if outcome is None:
        return f"no answer within {_PATIENCE:g} s"
    answer: bool | str | None = outcome["loads"]
    return answer


class _Call:
    """A function in a child process, while this one goes on."""

    def __init__(self, entry: str, path: Path, limits: Limits, **payload: str) -> None:
        self._outcome: Json | BaseException = {}
        self._thread = threading.Thread(target=self._run, args=(entry, path, limits, payload), daemon=True)
        self._thread.start()

    def _run(self, entry: str, path: Path, limits: Limits, payload: dict[str, str]) -> None:
        try:
            self._outcome = run_isolated(entry, {"path": str(path), **payload}, limits, str(path))
        except BaseException as fault:  # noqa: BLE001 - raised again by `result`, in the thread that asks
            self._outcome = fault

    def result(self, seconds: float | None = None) -> Json | None:
        """What the function gave or raised; None where there is nothing after `seconds`."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            return None
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


def _digest(path: Path) -> tuple[int, str]:
    """Size and SHA-256 (FIPS 180-4)."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return stream.tell(), digest
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault


def _is_marked(path: Path) -> bool:
    """Whether the mark of external tensors stands anywhere in the file."""
    try:
        with path.open("rb") as stream:
            tail = b""
            while block := stream.read(_BLOCK):
                if _EXTERNAL_MARK in tail + block[: len(_EXTERNAL_MARK)] or _EXTERNAL_MARK in block:
                    return True
                tail = block[-len(_EXTERNAL_MARK) :]
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    return False
