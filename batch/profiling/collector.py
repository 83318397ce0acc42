"""A profile counted in the pass that scores: see `collectors`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow

from mlpack_edge.batch.profiling.counted import rows_from
from mlpack_edge.batch.profiling.places import places_of
from mlpack_edge.batch.scoring.findings import Findings
from mlpack_edge.core.signature import Signature
from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.profile import Window
from mlpack_edge.profiles.reference.slots import slots_of
from mlpack_edge.profiles.spec import INPUT, Spec

Json = dict[str, Any]
_NO_WINDOW = Window(0, 0, 0)


class ProfileCollector:
    """A `Collector`: the counters of `profile build`, over the same rows. Rows that are rejected, for whatever reason, are
    counted as inputs; they end as failed where a model failed on them, else as refused."""

    name = "profile"

    def __init__(self, spec: Spec, signature: Signature, schema: pyarrow.Schema, aside: Collection[str]) -> None:
        """schema: of the input. aside: as in `Scorer`. Raises BadInput where a column of the spec is missing."""
        sources = [feature.source for feature in spec.features if feature.source.role == INPUT]
        self._spec, self._slots = spec, slots_of(signature)
        self._places = places_of(sources, schema, aside)
        self._tally = ColumnTally(spec)

    def update(self, batch: pyarrow.RecordBatch, outputs: Mapping[str, Any], findings: Findings) -> None:
        """See `Collector`."""
        found = rows_from(self._spec, self._places, batch, self._slots, outputs, findings.accepted, findings.failed)
        found.count(self._tally)

    def state(self) -> Json:
        """See `merge_profile`."""
        made = self._tally.profile(b"", _NO_WINDOW)
        return {
            "rows": made.rows, "predictions": made.predictions, "timed": made.timed, "counts": list(made.counts),
            "sums": list(made.sums),
        }  # fmt: skip
