"""What runs in the child process of `mlpack check --target`: make the rows that a file is run with on several machines, and
compare what came of them.

Rows and answers lie in files of one folder, chunk by chunk, so that no more than a chunk is in memory:
`rows-0.npz` (in the signature's terms), `feeds-0.npz` (what targets are fed), `NAME-0.npz` (what the target NAME gave).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.converters.comparing import bring_together
from mlpack_edge.converters.machine_files import MachineFile, in_batches, joined, machine_file
from mlpack_edge.converters.opened import allowed_of, family_of_models, hints_of, open_models
from mlpack_edge.converters.opening import Stage, options_of
from mlpack_edge.converters.prove import rows_to_compare
from mlpack_edge.converters.quantized_parity import NUDGE, judge_typical
from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.array_sets import load_sets, save_sets
from mlpack_edge.runtimes.compare import judge
from mlpack_edge.runtimes.machine_parity import Answers, Recorded, compare_machines, refuse_other_tensors
from mlpack_edge.runtimes.parity import RowGroup, parts_taken, rows_between

Array = NDArray[Any]
Json = dict[str, Any]
#: Bytes of one chunk's rows; a group of more is cut.
MOST_BYTES = 64_000_000


def make_rows(payload: Json, stage: Stage) -> Json:
    """Write rows of `payload["names"][payload["file"]]`, which the file takes on this machine, to `payload["folder"]`.

    The rows are those of the ordinary comparison: DATA whole, and `payload["rows"]` made ones, on thresholds where the
    other of the names, if there is one, knows any. Answers {chunks: [{rows, feeds, groups}], family, is_quantized,
    beside, batch, rows, left_out}. Raises BadInput where the file takes none of them, and what opening the models raises.
    """
    options, names = options_of(payload), payload["names"]
    models, _ = open_models(names, options, stage)
    if len(models) > 1:
        bring_together(names, models)
    file = machine_file(Path(names[payload["file"]]), models[payload["file"]])
    family = family_of_models(models)
    lowered = family in ("lowered", "quantized")
    if lowered and file.is_quantized:
        family = "quantized"
    stage(f"making rows for {names[payload['file']]}")
    allowed, refused = allowed_of(payload, family), dict[str, str]()
    groups = rows_to_compare(file.signature, hints_of(models), options.data, payload["rows"], allowed, lowered)
    writer, total = _Writer(Path(payload["folder"]), file), 0
    for whole in groups:
        for group, _ in parts_taken(file, whole, refused) if whole.rows else ():
            writer.add(group)
            total += group.rows
    if not total:
        name, why = next(iter(refused.items()), ("made", "no rows"))
        raise BadInput("the model takes none of the rows", "pass rows it takes with --data", why=f"{name}: {why}")
    return {
        "chunks": writer.finished(), "family": family, "is_quantized": file.is_quantized, "beside": file.beside,
        "batch": file.batch, "rows": total, "left_out": refused,
    }  # fmt: skip


def compare(payload: Json, stage: Stage) -> Json:
    """Hold what the target `payload["there"]` gave against what `payload["here"]` gave: the keys of `MachineReport.to_json`,
    passed and reasons.

    Raises CheckFailed where the outputs are of another shape or dtype.
    """
    path, folder = payload["path"], Path(payload["folder"])
    models, _ = open_models([path], options_of({"shapes": payload["shapes"]}), stage)
    file = machine_file(Path(path), models[0])
    stage(f"comparing {payload['there']} with {payload['here']}")
    allowed = allowed_of(payload, payload["family"])
    report = compare_machines(
        file, _recorded(file, folder, payload), allowed.tolerance, NUDGE if allowed.is_quantized else 0.0
    )
    verdict = judge(report.parity.outputs)
    if allowed.is_quantized and allowed.atol is None:
        verdict = judge_typical(report.parity.outputs, verdict)
    return {**report.to_json(), "passed": verdict.passed, "reasons": list(verdict.reasons)}


class _Writer:
    """Groups into chunks."""

    def __init__(self, folder: Path, file: MachineFile) -> None:
        self._folder, self._file = folder, file
        self._chunks: list[Json] = []
        self._begin()

    def _begin(self) -> None:
        self._rows: list[Mapping[str, Array]] = []
        self._feeds: list[Mapping[str, Array]] = []
        self._groups: list[Json] = []
        self._bytes = 0

    def add(self, group: RowGroup) -> None:
        """Raises RowsRefused where the rows are no whole number of the file's batches."""
        for part in _parts(group, self._file.batch or 1):
            sets = [self._file.tensors_from_feeds(piece) for piece in in_batches(part.feeds, self._file.batch)]
            self._feeds += sets
            self._rows.append(part.feeds)
            self._groups.append(
                {"name": part.name, "start": part.start, "excusable": part.excusable, "sets": len(sets)}
            )
            self._bytes += sum(array.nbytes for array in part.feeds.values())
            if self._bytes >= MOST_BYTES:
                self._write()

    def _write(self) -> None:
        number = len(self._chunks)
        self._chunks.append({
            "rows": save_sets(self._folder / f"rows-{number}.npz", self._rows),
            "feeds": save_sets(self._folder / f"feeds-{number}.npz", self._feeds),
            "groups": self._groups,
        })  # fmt: skip
        self._begin()

    def finished(self) -> list[Json]:
        if self._groups:
            self._write()
        return self._chunks


def _parts(group: RowGroup, batch: int) -> Iterator[RowGroup]:
    """The group in parts of at most MOST_BYTES, whole batches each."""
    size = sum(array.nbytes for array in group.feeds.values() if array.ndim) / max(group.rows, 1)
    most = max(1, int(MOST_BYTES / max(size, 1)) // batch) * batch
    if group.rows <= most:
        yield group
        return
    for start in range(0, math.ceil(group.rows / most) * most, most):
        yield replace(group, feeds=rows_between(group.feeds, start, start + most, group.cut), start=group.start + start)


def _recorded(file: MachineFile, folder: Path, payload: Mapping[str, Any]) -> Iterator[Recorded]:
    """payload: chunks as `make_rows` gave them, each with `answers` {target: names of its arrays}."""
    for number, chunk in enumerate(payload["chunks"]):
        groups = load_sets(folder / f"rows-{number}.npz", chunk["rows"])
        here, there = (
            load_sets(folder / f"{target}-{number}.npz", chunk["answers"][target])
            for target in (payload["here"], payload["there"])
        )
        at = 0
        for feeds, about in zip(groups, chunk["groups"], strict=True):
            group = RowGroup(about["name"], feeds, excusable=about["excusable"], start=about["start"])
            span = slice(at, at := at + about["sets"])
            refuse_other_tensors(here[span], there[span], group.name)
            yield Recorded(group, _whole(file, here[span]), _whole(file, there[span]))


def _whole(file: MachineFile, sets: list[dict[str, Array]]) -> Answers:
    made = [file.answers_from_outputs(one) for one in sets]
    return Answers(joined([one.tensors for one in made]), joined([one.answers for one in made]))
