"""A model of the quantization benchmark with its rows, as a folder that every road reads.

`FOLDER/models/NAME/` holds `model.onnx` (float), `calib.npz` (rows to calibrate on), `eval.npz` (rows that searches may
judge themselves on), `test.npz` (rows that nobody sees but the judge), each with one array per input, rows first;
where there is a truth, `labels.npy` and `test_labels.npy` for the last two, and `eval_labelled.npz`: `eval.npz` and
the truth as one more array, `label`. `about.json` is `Case.about`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Rows = dict[str, Array]
Json = dict[str, Any]
#: The array of `eval_labelled.npz` that holds the truth.
LABEL = "label"


@dataclass(frozen=True, slots=True)
class Case:
    """One model. `about`: see `write`."""

    name: str
    home: Path
    about: Json

    @property
    def model(self) -> Path:
        return self.home / "model.onnx"

    def rows(self, part: str) -> Rows:
        """`part` is calib, eval or test."""
        with np.load(self.home / f"{part}.npz") as arrays:
            return dict(arrays)

    def truth(self, part: str) -> Array | None:
        """The labels of eval or test, or none."""
        path = self.home / {"eval": "labels.npy", "test": "test_labels.npy"}[part]
        return np.load(path) if path.exists() else None


def write(home: Path, model: bytes, parts: dict[str, Rows], truth: dict[str, Array], about: Json) -> None:
    """Write a case; `about.json` comes last and makes it complete.

    about: `kind` (trained or package), `source` (a line), `outputs` (by output what it means, quantize_judge.py), and
    where there is a truth `metric`.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "model.onnx").write_bytes(model)
    for part, rows in parts.items():
        np.savez(home / f"{part}.npz", **rows)  # type: ignore[arg-type]
    if truth:
        np.save(home / "labels.npy", truth["eval"])
        np.save(home / "test_labels.npy", truth["test"])
        np.savez(home / "eval_labelled.npz", **parts["eval"], **{LABEL: truth["eval"]})  # type: ignore[arg-type]
    counts = {part: len(next(iter(rows.values()))) for part, rows in parts.items()}
    (home / "about.json").write_text(json.dumps(about | {"rows": counts, "bytes": len(model)}, indent=1))


def case(folder: Path, name: str) -> Case:
    home = folder / "models" / name
    return Case(name, home, json.loads((home / "about.json").read_text()))


def is_made(folder: Path, name: str) -> bool:
    return (folder / "models" / name / "about.json").exists()


def single_rows(rows: Rows) -> Iterator[Rows]:
    """Each row with a batch of one."""
    for number in range(len(next(iter(rows.values())))):
        yield {name: array[number : number + 1] for name, array in rows.items()}
