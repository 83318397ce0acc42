"""What every peer of `quantize.py` is given: a JSON file with `model`, `calib`, `eval` (.npz, one array per input, rows first),
`labels` (.npy or null), `about` (see quantize_case.py), `max_drop` and `out`. It writes `out` and prints JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

Rows = dict[str, np.ndarray]


class Job:
    """The job file, read."""

    def __init__(self, path: str) -> None:
        said = json.loads(Path(path).read_text())
        self.model, self.out = Path(said["model"]), Path(said["out"])
        self.calib, self.eval = (_rows(said[part]) for part in ("calib", "eval"))
        self.labels = np.load(said["labels"]) if said["labels"] else None
        self.about: dict[str, Any] = said["about"]
        self.max_drop: float = said["max_drop"]
        self.notes: list[str] = []


def _rows(path: str) -> Rows:
    with np.load(path) as arrays:
        return dict(arrays)


def single_rows(rows: Rows) -> Iterator[Rows]:
    for at in range(len(next(iter(rows.values())))):
        yield {name: array[at : at + 1] for name, array in rows.items()}


def peer(run: Callable[[Job, str], None]) -> None:
    """Run a peer as the command line says; print its seconds and what it had to do beside its defaults."""
    job, begin = Job(sys.argv[1]), time.perf_counter()
    run(job, sys.argv[2])
    print(json.dumps({"seconds": round(time.perf_counter() - begin, 1), "notes": job.notes}))
