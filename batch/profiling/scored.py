"""The rows of data with a model's outputs for them, in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.batch.profiling.data import Data
from mlpack_edge.batch.row_faults import score_rows
from mlpack_edge.batch.scoring.columns import IN_THE_FILE
from mlpack_edge.batch.scoring.scorer import Scorer

#: Rows on which a model may stop with an error; each is searched for.
_MOST_STOPS = 1000


@dataclass(frozen=True, slots=True)
class Scored:
    """first: the number of the batch's first row. outputs: by output name, null where a row is not `accepted`; failed: rows that were put to
    the model and have no score. All None where no model was asked."""

    batch: pa.RecordBatch
    first: int
    outputs: dict[str, pa.Array] | None
    accepted: NDArray[np.bool_] | None
    failed: NDArray[np.bool_] | None


def unscored(
    data: Data, columns: Collection[str], stage: Callable[[str], None], block_rows: int = 1
) -> Iterator[Scored]:
    """The rows alone; with a scorer's `block_rows` and columns, in the batches that `scored` gives."""
    first = 0
    for batch in data.batches(columns, _texts(data, columns), block_rows, stage):
        yield Scored(batch, first, None, None, None)
        first += batch.num_rows


def scored(
    data: Data, model: ModelFile, aside: Collection[str], columns: Collection[str], stage: Callable[[str], None]
) -> Iterator[Scored]:
    """The rows as `mlpack score` takes and scores them, with these columns beside the model's. Raises as `Scorer`."""
    scorer = Scorer(model, data.schema, aside, mending=IN_THE_FILE)
    wanted = {*columns, *scorer.reads}
    first = 0
    for batch in data.batches(wanted, (*scorer.dictionary, *_texts(data, columns)), scorer.block_rows, stage):
        accepted = scorer.check(batch).accepted
        outputs, faults = score_rows(scorer, batch, accepted, _MOST_STOPS)
        yield Scored(batch, first, outputs, accepted & faults.accepted, faults.failed)
        first += batch.num_rows


def _texts(data: Data, columns: Collection[str]) -> list[str]:
    return [name for name in columns if data.schema.field(name).type == pa.string()]


class Kept:
    """Outputs written to a file on the way of a first pass, and read again in a second: a model is asked once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, rows: Iterator[Scored]) -> Iterator[Scored]:
        """The same rows; what comes with them is kept when the last was taken."""
        writer = None
        try:
            for item in rows:
                assert item.outputs is not None and item.accepted is not None and item.failed is not None
                # By their places: a model may call its outputs what it likes.
                arrays = [pa.array(item.accepted), pa.array(item.failed), *item.outputs.values()]
                batch = pa.RecordBatch.from_arrays(arrays, names=[str(place) for place in range(len(arrays))])
                writer = writer or pa.ipc.new_stream(str(self._path), batch.schema)
                writer.write_batch(batch)
                yield item
        finally:
            if writer is not None:
                writer.close()

    def again(self, rows: Iterator[Scored], names: Collection[str]) -> Iterator[Scored]:
        """Rows without outputs, cut as before, with the outputs that were kept. names: of the outputs in their order."""
        with pa.OSFile(str(self._path)) as stream, pa.ipc.open_stream(stream) as reader:
            for item, kept in zip(rows, reader, strict=True):
                accepted, failed = (np.asarray(each.to_numpy(zero_copy_only=False)) for each in kept.columns[:2])
                outputs: dict[str, Any] = dict(zip(names, kept.columns[2:], strict=True))
                yield Scored(item.batch, item.first, outputs, accepted, failed)
