"""From instructions to a range of time: only by what was measured on a board of that kind, and with its date.

On the board (`mlpack bench --calibrate`) models made for it are timed. Where instructions of another model are counted, those
of the same models are counted too: each gives nanoseconds an instruction, and the range is from the smallest of them to the
largest. How far these lie apart is how little instructions say of time on that board (`spread`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.runtimes.measuring.fields import Fields
from mlpack_edge.runtimes.measuring.result import BenchResult

Json = dict[str, Any]
KIND, SCHEMA = "mlpack.calibration", 1
_AGAIN = "calibrate again on the board: mlpack bench --calibrate FILE.json"


@dataclass(frozen=True, slots=True)
class Timed:
    """A model made for calibrating, on the board: its isolated `p50_ns`."""

    name: str
    format: str
    sha256: str
    p50_ns: float
    runtime: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """date: ISO 8601, UTC. board: its `environment`. models: what was timed there, at one thread."""

    date: str
    board: Json
    models: tuple[Timed, ...]

    def to_json(self) -> Json:
        return {
            "kind": KIND, "schema": SCHEMA, "date": self.date, "board": self.board,
            "models": [
                {"name": one.name, "format": one.format, "sha256": one.sha256, "p50_ns": one.p50_ns, "runtime": one.runtime}
                for one in self.models
            ],
        }  # fmt: skip


def runtime_of(result: BenchResult) -> str:
    """Name and version: another version of a runtime has other instructions."""
    runtime = result.environment.get("runtime") or {}
    return f"{runtime.get('name')} {runtime.get('version')}"


def calibration_from_results(results: Sequence[BenchResult], date: str) -> Calibration:
    """What a board's measurements say. Raises BadInput where one of them is not stable, or was emulated."""
    timed = []
    for result in results:
        figure = (result.to_json()["isolated_ns"] or {}).get("p50")
        if result.verdict != "stable" or not figure:
            raise BadInput(
                f"{result.model} could not be measured well enough to calibrate with",
                "let nothing else run on the board, or give it more --seconds",
                why=f"clean samples: {100 * (result.clean_share or 0):.0f} %, of {len(result.launches)} processes",
            )
        timed.append(Timed(result.model, result.format, result.model_sha256, float(figure), runtime_of(result)))
    return Calibration(date, dict(results[0].environment), tuple(timed))


def read_calibration(path: Path) -> Calibration:
    """What `--calibrate` wrote. Raises BadInput (damaged, of another kind, a later schema), IoFault."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    except (ValueError, RecursionError) as fault:
        raise BadInput(f"{path} is no JSON document", _AGAIN, why=str(fault)) from fault
    fields = Fields(document, str(path))
    if document.get("kind") != KIND:
        raise BadInput(f"{path} is no calibration of a board", _AGAIN)
    if fields.whole("schema") > SCHEMA:
        raise BadInput(f"{path} has a later schema than this mlpack reads ({SCHEMA})", "update mlpack-edge")
    models = []
    for number, record in enumerate(fields.required("models", list)):
        one = Fields(record, f"{path}, model {number}")
        figure = one.number_or_none("p50_ns")
        if not figure:
            raise BadInput(f"{path}, model {number}: no time", _AGAIN)
        models.append(Timed(one.text("name"), one.text("format"), one.text("sha256"), figure, one.text("runtime")))
    return Calibration(fields.text("date"), fields.required("board", dict), tuple(models))


def refuse_other_board(calibration: Calibration, profile: Profile) -> None:
    """Raise BadInput where the calibration is not of a board with the processor that is emulated."""
    cpu = str(calibration.board.get("cpu"))
    part = profile.board.part if profile.board else None
    if part is None or f"part {part}" not in cpu or calibration.board.get("emulated"):
        raise BadInput(
            f"the calibration was made on {cpu}, which is not what emulated:{profile.name} emulates",
            f"calibrate on a board of that kind ({profile.describes})",
            why=f"it shows no CPU part {part} in /proc/cpuinfo" if part else "no board has this processor",
        )


def time_range(total: float, runtime: str, format: str, calibration: Calibration, counted: Mapping[str, float]) -> Json:
    """{low, high (ns), spread, board, date, ns_per_instruction {model: ns}} of `total` instructions.

    counted: instructions of the calibration's models by their SHA-256, under the same emulation. Raises BadInput where
    fewer than two of them fit the format and runtime: one gives no spread.
    """
    same = [one for one in calibration.models if one.format == format and one.sha256 in counted]
    others = sorted({one.runtime for one in same if one.runtime != runtime})
    if others:
        raise BadInput(
            f"the calibration was made with {', '.join(others)}, the instructions are those of {runtime}",
            f"use the same version in both places, or {_AGAIN}",
        )
    if len(same) < 2:
        raise BadInput(
            f"the calibration has no models for {format} that this version of mlpack makes",
            f"it was made by another version: {_AGAIN}",
        )
    each = {one.name: one.p50_ns / counted[one.sha256] for one in same}
    low, high = min(each.values()), max(each.values())
    return {
        "low": low * total, "high": high * total, "spread": high / low, "board": calibration.board.get("cpu"),
        "date": calibration.date, "ns_per_instruction": each,
    }  # fmt: skip
