"""One model in one process: which columns it reads, which rows it takes, and their scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.batch.scoring.blocks import blocks_of
from mlpack_edge.batch.scoring.coded import Coded, column_names
from mlpack_edge.batch.scoring.columns import BY_QUERY, Fed, Mending, match
from mlpack_edge.batch.scoring.feeds import Feeding, faults
from mlpack_edge.batch.scoring.findings import Findings, found
from mlpack_edge.batch.scoring.opened import open_model, signature_of
from mlpack_edge.batch.scoring.outputs import column, output_faults
from mlpack_edge.batch.scoring.runner import Feeds

Array = NDArray[Any]
Mask = NDArray[np.bool_]


def check_columns(model: ModelFile, schema: pa.Schema, aside: Collection[str] = ()) -> tuple[str, ...]:
    """The columns of the table that the model reads; nothing is run.

    aside: the key and kept columns, which are the model's only where it names them. Raises BadInput naming the column
    that is missing or does not fit.
    """
    signature = signature_of(model)
    blocks_of(signature)
    return _columns(match(signature, schema, aside))


class Scorer:
    """One model in one process.

    reads: the columns it needs. dictionary: those of them that are best read as dictionaries (either is taken).
    block_rows: what batches must be multiples of, but for the last of a shard. output_fields: the columns it gives.
    notes: what a user may want to know of how the model is run.
    null_texts: text columns in which somebody said that NULL is to be scored; in others it is found fault with.
    mending: what errors of columns advise.
    Raises BadInput naming the column that is missing or does not fit, or why the model does not score tables.
    """

    def __init__(
        self,
        model: ModelFile,
        schema: pa.Schema,
        aside: Collection[str] = (),
        null_texts: Collection[str] = (),
        mending: Mending = BY_QUERY,
    ) -> None:
        opened = open_model(model)
        self._blocks, self._runner, self._answers = opened.blocks, opened.runner, opened.answers
        self._fed = match(opened.signature, schema, aside, mending)
        self._null_texts = frozenset(null_texts)
        self._feeds = Feeding(self._fed, opened.cut)
        self.notes = opened.notes
        self.reads = _columns(self._fed)
        self.dictionary = _repeated(self._fed, opened.cut)
        self.block_rows = self._blocks.rows
        self.output_fields: tuple[pa.Field, ...] = tuple(item.field for item in self._answers)

    def check(self, batch: pa.RecordBatch) -> Findings:
        """The rows that no model may be given: missing values where it takes none, texts that are NULL without anybody
        having said so, infinity, numbers that its dtype does not hold, texts that are no UTF-8."""
        return found(batch.num_rows, faults(self._fed, batch, self._null_texts))

    def score(self, batch: pa.RecordBatch, accepted: Mask) -> dict[str, pa.Array]:
        """The outputs by the names of `output_fields`, a row for each of the batch; null where it is not accepted.

        The batch begins where a block does. A row that is not accepted is replaced by the first accepted one of its
        block, so that the others keep their places; a block without any is not run. Raises CheckFailed where the model
        stops on a block.
        """
        rows = batch.num_rows
        made = {item.output: np.empty((rows, *item.tail), item.raw) for item in self._answers}
        there = np.array(accepted, bool)
        step = self._blocks.fed
        for start in range(0, rows, step):
            part = batch.slice(start, step)
            mine = there[start : start + step]
            self._run(self._feeds(part), mine, {name: array[start : start + step] for name, array in made.items()})
        whole = None if there.all() else there
        return {item.name: column(item, made[item.output], whole) for item in self._answers}

    def check_outputs(self, outputs: Mapping[str, pa.Array], accepted: Mask) -> Findings:
        """Accepted rows with a score that is NaN or infinite."""
        return output_faults(self._answers, outputs, accepted)

    def _run(self, feeds: Feeds, mine: Mask, made: Mapping[str, Array]) -> None:
        """Fill `made` block by block."""
        for start in range(0, len(mine), self.block_rows):
            block = slice(start, start + self.block_rows)
            takes = mine[block]
            if takes.any():
                rows = Feeds({name: array[block] for name, array in feeds.rows.items()}, feeds.tables)
                given = self._runner.run(_filled(rows, takes, self._blocks.batch))
            for name, array in made.items():
                nothing = None if array.dtype.kind == "O" else 0
                array[block] = given[name][: len(takes)] if takes.any() else nothing


def _filled(feeds: Feeds, takes: Mask, batch: int | None) -> dict[str, Array]:
    """The first row that is taken in place of those that are not, and of those that a block lacks to `batch`."""
    lacks = 0 if batch is None else batch - len(takes)
    if not lacks and takes.all():
        return feeds.rows | feeds.tables
    places = np.arange(len(takes) + lacks)
    first = int(np.argmax(takes))
    places[: len(takes)][~takes] = first
    places[len(takes) :] = first
    return {name: array[places] for name, array in feeds.rows.items()} | feeds.tables


def _columns(fed: Sequence[Fed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.column for item in fed for cell in item.cells))


def _repeated(fed: Sequence[Fed], cut: Coded | None) -> tuple[str, ...]:
    """The text columns that are looked up by value, or are known to hold few values."""
    found = []
    for item in fed:
        for cell, name in zip(item.cells, column_names(item.spec.name, len(item.cells)), strict=True):
            looked_up = item.spec.dtype != "string" or (cut is not None and name in cut.tables)
            known = cell.known is not None and cell.known.kind == "categorical"
            if cell.text and not item.vector and (looked_up or known):
                found.append(cell.column)
    return tuple(dict.fromkeys(found))
