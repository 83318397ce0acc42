"""What is gathered beside the scores in the same pass: statistics of a contract, agreement of two models, profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from mlpack_edge.batch.scoring.findings import Findings

Json = dict[str, Any]


class Collector(Protocol):
    """Fresh for each shard; its state travels as JSON and is merged in the order of the shards.

    The state must not depend on where batches begin and end: counts, minima and maxima do not; sums of floats do, unless
    they are exact (`math.fsum` of partial sums taken over fixed blocks).
    """

    name: str

    def update(self, batch: Any, outputs: Mapping[str, Any], findings: Findings) -> None:
        """Take a `pyarrow.RecordBatch` of input rows, the models' outputs for them (`pyarrow.Array` by column name), and which
        of the rows were rejected, and why."""
        ...

    def state(self) -> Json:
        """What was gathered so far, as JSON."""
        ...


class Merge(Protocol):
    """Joins two states; associative, and `merge(a, b)` is of a's rows before b's."""

    def __call__(self, a: Json, b: Json) -> Json: ...
