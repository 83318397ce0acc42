"""Rows of a batch, with what the model said of them, counted into profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.profiling.answers import answer_columns
from mlpack_edge.batch.profiling.places import Columns, Place, as_presence, rows_of
from mlpack_edge.profiles.arrays.counting import Column, ColumnTally
from mlpack_edge.profiles.reference.slots import Slots
from mlpack_edge.profiles.spec import INPUT, Numeric, Presence, Spec

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of `rows` rows. accepted: which of them the model answered, None where no model was asked; outputs and
    probabilities are of those alone. failed: on which of the others the model failed."""

    rows: int
    inputs: Mapping[str, Column]
    accepted: Mask | None = None
    failed: Mask | None = None
    outputs: Mapping[str, Column] | None = None
    probabilities: NDArray[Any] | None = None

    def part(self, chosen: NDArray[np.int64]) -> Rows:
        """Those of some rows, by number."""
        if len(chosen) == self.rows:
            return self
        inputs = rows_of(self.inputs, chosen)
        if self.accepted is None:
            return Rows(len(chosen), inputs)
        mine, failed = self.accepted[chosen], None if self.failed is None else self.failed[chosen]
        places = (np.cumsum(self.accepted) - 1)[chosen][mine]
        outputs = rows_of(self.outputs or {}, places)
        return Rows(
            len(chosen), inputs, mine, failed, outputs,
            None if self.probabilities is None else self.probabilities[places],
        )  # fmt: skip

    def count(self, tally: ColumnTally) -> None:
        """Rows that were not put to the model are refused; without a model all are not run."""
        if self.accepted is None:
            tally.add(self.inputs, rows=self.rows)
            return
        answered = int(self.accepted.sum())
        failed = 0 if self.failed is None else int(self.failed.sum())
        ended = {"ok": answered, "refused": self.rows - answered - failed, "failed": failed}
        if not answered:
            tally.add(self.inputs, rows=self.rows, outcomes=ended)
            return
        tally.add(
            self.inputs, self.outputs or {}, rows=self.rows, probabilities=self.probabilities, outcomes=ended
        )  # fmt: skip


def rows_from(
    spec: Spec, places: Mapping[str, Place], batch: pa.RecordBatch, slots: Slots | None = None,
    outputs: Mapping[str, pa.Array] | None = None, accepted: Mask | None = None, failed: Mask | None = None,
) -> Rows:  # fmt: skip
    """A batch as the spec counts it. slots: of the model that gave `outputs` (by output name) for the `accepted` rows, and
    nothing that can be used for the `failed` ones."""
    columns = Columns(batch)
    inputs: dict[str, Column] = {}
    for feature in spec.features:
        if feature.source.role != INPUT:
            continue
        place = places[feature.source.name]
        if isinstance(feature, Presence) and place.element is None:
            inputs[feature.source.name] = as_presence(batch.column(place.column))
        else:
            inputs[feature.source.name] = columns.take(place, not isinstance(feature, Numeric))
    if slots is None or outputs is None or accepted is None:
        return Rows(batch.num_rows, inputs)
    made, probabilities = answer_columns(slots, outputs, accepted)
    names = [feature.source.name for feature in spec.features if feature.source.role != INPUT]
    return Rows(
        batch.num_rows, inputs, accepted, failed, {name: made[name] for name in names},
        probabilities if spec.confidence else None,
    )  # fmt: skip
