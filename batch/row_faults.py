"""Rows on which a model stops with an error: found by halving their block, so that the others are scored.

A block keeps its size throughout: rows that are not tried are filled by one that is (`Scorer.score`). A row is at fault
where the model stops on a block filled with it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow
from numpy.typing import NDArray

from mlpack_edge.batch.scoring.findings import CRASH, Finding, Findings, found, merge
from mlpack_edge.batch.scoring.scorer import Scorer
from mlpack_edge.core.errors import CheckFailed, WorkerFault
from mlpack_edge.runtimes.shortage import lacks_memory

Mask = NDArray[np.bool_]


def score_rows(
    scorer: Scorer, batch: pyarrow.RecordBatch, accepted: Mask, most: int
) -> tuple[dict[str, pyarrow.Array], Findings]:
    """A model's outputs for the accepted rows of a batch, null for the others, and the rows it gives no score for.

    Those are the rows on which it stops, and those whose score is not finite. Raises as `faulty_rows`.
    """
    try:
        made = scorer.score(batch, accepted)
    except CheckFailed:
        stopped = _stopped(scorer, batch, accepted, most)
        accepted = accepted & stopped.accepted
        made = scorer.score(batch, accepted)
        return made, merge(stopped, scorer.check_outputs(made, accepted))
    return made, scorer.check_outputs(made, accepted)


def _stopped(scorer: Scorer, batch: pyarrow.RecordBatch, accepted: Mask, most: int) -> Findings:
    masks: dict[Finding, Mask] = {}
    for start in range(0, batch.num_rows, scorer.block_rows):
        block = batch.slice(start, scorer.block_rows)
        faults = faulty_rows(partial(scorer.score, block), accepted[start : start + scorer.block_rows], most)
        for place, why in faults.items():
            kind = Finding(CRASH, "", f"the model stops on it: {why[:200]}")
            masks.setdefault(kind, np.zeros(batch.num_rows, bool))[start + place] = True
    return found(batch.num_rows, masks.items())


def faulty_rows(run: Callable[[Mask], object], accepted: Mask, most: int) -> dict[int, str]:
    """Rows by their place, and why the model stops on each.

    run: scores a block with these rows, bool `[rows]`; raises CheckFailed where the model stops. most: rows beyond which
    the search ends. Raises MemoryError where the model lacks memory on a row, WorkerFault where it stops only
    on several rows together, CheckFailed where it stops on more than `most`.
    """
    places = np.flatnonzero(accepted)
    fault = _stops(run, accepted, places)
    if fault is None:
        return {}
    found: dict[int, str] = {}
    _search(run, accepted, places, fault, most, found)
    return found


def _search(
    run: Callable[[Mask], object], accepted: Mask, places: NDArray[np.int64], fault: CheckFailed, most: int,
    found: dict[int, str],
) -> None:  # fmt: skip
    """`fault` is what the model said of `places` together."""
    if len(places) == 1:
        refuse_lack_of_memory(fault)
        found[int(places[0])] = fault.why or fault.message
        if len(found) > most:
            raise CheckFailed(
                f"the model stops on more than {most} rows",
                "look at the model and at these rows; --max-rejected says how many rows may be left out",
                why=fault.why or fault.message, rows=sorted(found),
            )  # fmt: skip
        return
    middle = len(places) // 2
    any_part = False
    for part in (places[:middle], places[middle:]):
        said = _stops(run, accepted, part)
        if said is not None:
            any_part = True
            _search(run, accepted, part, said, most, found)
    if not any_part:
        raise WorkerFault(
            f"the model stops on {len(places)} rows together and on none of their halves",
            "this model's scores depend on which rows go together: export it again so that rows are independent",
            why=fault.why or fault.message,
        )


def _stops(run: Callable[[Mask], object], accepted: Mask, places: NDArray[np.int64]) -> CheckFailed | None:
    tried = np.zeros_like(accepted)
    tried[places] = True
    try:
        run(tried)
    except CheckFailed as fault:
        return fault
    return None


def refuse_lack_of_memory(fault: CheckFailed) -> None:
    """Raise MemoryError where that is why a model stopped: with more memory it may not stop, so no row is at fault yet."""
    if lacks_memory(fault.why) or lacks_memory(fault.message):
        raise MemoryError(fault.why or fault.message)
