"""Which rows calibrate and which judge: rows of files, apart from each other, or rows made from the signature."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.values import Json
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.row_streams.cutting import by_row
from mlpack_edge.runtimes.row_streams.cutting import count as count_rows
from mlpack_edge.runtimes.row_streams.head import head_of
from mlpack_edge.runtimes.row_streams.stream import Batch, RowStream, open_rows
from mlpack_edge.runtimes.rows import Hints, make_groups

Array = NDArray[Any]
#: One row of so many of DATA judges, where there are no rows of their own for that.
HELD_OUT = 5
#: With fewer rows than this a note says how much one of them decides.
FEW = 200
#: Rows made from the signature where there are no others, and the rows that time a call.
MADE_ROWS, SAMPLED = 1000, 16
#: Bytes that the rows which time a call may have.
_SAMPLE_BYTES = 32_000_000


class MadeRows:
    """Ordinary rows that a signature makes, the same each time; neither missing values nor extremes, for those have no share in
    what rows are usually like."""

    def __init__(self, signature: Signature, hints: Hints, count: int = MADE_ROWS) -> None:
        self._groups: Sequence[dict[str, Array]] = [
            group.feeds
            for group in make_groups(signature, hints, count)
            if group.rows and (group.name == "ordinary" or group.name.startswith("batch "))
        ]
        self._cut, _ = by_row(signature)

    @property
    def rows(self) -> int:
        return sum(count_rows(feeds, self._cut) for feeds in self._groups)

    def batches(self, rows: int | None = None) -> Iterator[Batch]:
        """At most `rows` at a time; sizes that a net leaves open vary between batches."""
        start = 0
        for feeds in self._groups:
            count = count_rows(feeds, self._cut)
            size = rows or count
            for first in range(0, count, size):
                yield Batch(_part(feeds, self._cut, first, min(first + size, count)), None, start + first)
            start += count


def _part(feeds: Mapping[str, Array], cut: frozenset[str], start: int, stop: int) -> dict[str, Array]:
    """Some of the rows; what has no part for each (a rate, a state of [layers, batch, units]) goes whole with them."""
    return {name: array[start:stop] if name in cut else array for name, array in feeds.items()}


@dataclass(frozen=True, slots=True)
class Rows:
    """calibration: None where there is no DATA. judged: with labels where they were named. warnings: of both files."""

    calibration: RowStream | None
    judged: RowStream | MadeRows
    warnings: tuple[str, ...]

    def sample(self, path: Path, signature: Signature) -> Json:
        """Write a few judged rows to `path` (.npz): {path, shapes}, with the sizes of inputs that leave any open beside the rows.

        signature: that of the rows.
        """
        batch = next(iter(self.judged.batches(SAMPLED)))
        cut, _ = by_row(signature)
        count = count_rows(batch.feeds, cut)
        each = max(1, sum(array.nbytes for array in batch.feeds.values()) // count)
        feeds = _part(batch.feeds, cut, 0, min(count, max(1, _SAMPLE_BYTES // each)))
        arrays: dict[str, Array] = {
            name: array.astype(np.str_) if array.dtype == object else array for name, array in feeds.items()
        }
        with zipfile.ZipFile(path, "w") as archive:  # numpy.savez takes no array called "file"
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        return {"path": str(path), "shapes": _sizes(signature, arrays)}


def rows_for(payload: Json, calibrated: Signature, judged: Signature, hints: Hints) -> Rows:
    """The rows that the command line names. calibrated: the signature of the ONNX model, judged: that of its reference.

    Without rows of their own to judge on (`evaluation`), every fifth row of `data` is kept out of the calibration and judges;
    without either, rows are made. Raises what opening the files raises.
    """
    data, evaluation, label = payload["data"], payload["evaluation"], payload["label"]
    if evaluation is not None:
        rows = open_rows(Path(evaluation), judged, label)
        calibration = _calibration(Path(data), calibrated, label) if data is not None else None
    elif data is not None:
        rows = open_rows(Path(data), judged, label).take(HELD_OUT, held=True)
        calibration = open_rows(Path(data), calibrated, label).take(HELD_OUT, held=False)
    else:
        return Rows(None, MadeRows(judged, hints), ())
    warnings = [*rows.warnings, *(calibration.warnings if calibration is not None else ())]
    return Rows(calibration, rows, tuple(dict.fromkeys([*warnings, *_few(rows.rows, evaluation is not None)])))


def refuse_unfit(payload: Json, signature: Signature) -> None:
    """Raise BadInput and IoFault, as `rows_for` would, for files that cannot be read, that lack what the model takes, or the label;
    of the rows themselves nothing is read. signature: of the source before it is converted."""
    if payload["data"] is not None or payload["evaluation"] is not None:
        rows_for(payload, signature, signature, Hints())


def _few(rows: int | None, own: bool) -> list[str]:
    """own: whether they came with --eval."""
    if rows is None or not 0 < rows < FEW:
        return []
    more = "more rows in --eval make" if own else "--eval FILE with more makes"
    one = f"{rows} rows judge" if rows > 1 else "1 row judges"
    return [f"{one}: a row is {100 / rows:.3g} % of them; {more} the judgement finer"]


def _calibration(path: Path, signature: Signature, label: str | None) -> RowStream:
    """All rows of DATA; a column of the truth that it holds as well is no input."""
    head = head_of(path, 1)
    return open_rows(path, signature, label if label in {*head.columns, *head.arrays} else None)


def _sizes(signature: Signature, arrays: Mapping[str, Array]) -> Json:
    """Input -> sizes, where another one than the batch is open."""
    batch = {spec.shape[0] for spec in signature.inputs if spec.shape}
    found = {
        spec.name: [
            own if isinstance(own, int) or own in batch else int(size)
            for own, size in zip(spec.shape, arrays[spec.name].shape, strict=True)
        ]
        for spec in signature.inputs
    }
    return {
        name: sizes
        for name, sizes in found.items()
        if any(isinstance(size, str) for size in signature.input(name).shape[1:])
    }
