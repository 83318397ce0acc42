"""Prove the draft that was chosen: against the source itself, on the rows that judge, counted row by row."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.converters.blocks import block_of
from mlpack_edge.converters.quantization.choosing import loss_text
from mlpack_edge.converters.quantization.judging.batches import batch_rows
from mlpack_edge.converters.quantization.judging.judge import Judge
from mlpack_edge.converters.quantization.judging.rows import Rows
from mlpack_edge.converters.quantization.values import Json, Quality
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.compare import Tolerance
from mlpack_edge.runtimes.parity import RowGroup, Runner, check_parity

Array = NDArray[Any]
#: Beyond any error: the budget is of the whole, not of single numbers. Relative, so that relative errors are reported.
_ANY = 1e30


def proven(
    reference: Runner, candidate: Runner, rows: Rows, metric: str | None, whole: Collection[str], folder: Path
) -> tuple[Quality, Json]:
    """(what was lost, the report of a comparison row by row). reference: the source in the candidate's terms; metric,
    whole: see `Judge`.

    The report has no verdict yet: that is the budget's. Raises what judging and comparing raise.
    """
    with Judge(reference, rows, metric, whole=whole, folder=folder) as judge:
        quality = judge.judge(candidate)
    report = check_parity(reference, candidate, _groups(rows, reference.signature), _tolerance)
    return quality, report.to_json()


def verdict_of(quality: Quality, max_drop: float) -> Json:
    """What a parity report says of its judgement: here, that of the budget."""
    passed = quality.drop <= max_drop
    reasons = [] if passed else [f"{loss_text(quality)}, and {max_drop:g} may be lost"]
    return {"passed": passed, "reasons": reasons, "first_divergence": None}


def _groups(rows: Rows, signature: Signature) -> Iterator[RowGroup]:
    for batch in rows.batches(batch_rows(signature)):
        block = block_of(signature, batch.feeds)
        yield RowGroup("judged", dict(batch.feeds), must_run=True, start=batch.start, block=block)


def _tolerance(role: str, reference: Array) -> Tolerance:
    return Tolerance(_ANY, 0.0, 1.0)
