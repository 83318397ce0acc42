"""Run one block: rejected rows replaced, and rows on which the model stops found."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.batch.scoring.runner import BlockRunner, Feeds
from mlpack_edge.core.errors import CheckFailed

Array = NDArray[Any]
Mask = NDArray[np.bool_]

#: Letters of what a runtime says that are kept as the reason.
SAID = 200


def run_block(
    runner: BlockRunner, feeds: Feeds, takes: Mask, batch: int | None, stopped: MutableMapping[int, str], first: int
) -> dict[str, Array] | None:
    """What the model gives for a block; None where no row of it is taken.

    takes: bool `[rows]`; rows that are not taken are replaced by the first that is, so that the others keep their
    places. batch: what the model is fixed to; the block is filled up to it. Rows on which the model stops are taken out
    of `takes` and noted in `stopped` as row `first` and on. Raises CheckFailed where it stops on no row alone.
    """
    if not takes.any():
        return None
    try:
        return runner.run(_filled(feeds, takes, batch))
    except CheckFailed as fault:
        bad = _stopping(runner, feeds, np.flatnonzero(takes), batch)
        if not bad:
            raise CheckFailed(
                f"the model stopped on a block of {len(takes)} rows, though on none of them alone",
                "report the model's source with this message: its rows must not depend on each other", why=fault.why,
            ) from fault  # fmt: skip
    for row, said in bad.items():
        takes[row] = False
        stopped[first + row] = said
    return runner.run(_filled(feeds, takes, batch)) if takes.any() else None


def _stopping(runner: BlockRunner, feeds: Feeds, rows: NDArray[np.intp], batch: int | None) -> dict[int, str]:
    """The rows on which the model stops when it is given them alone, and what it says: by bisection."""
    bad: dict[int, str] = {}
    waiting = [rows]
    while waiting:
        part = waiting.pop()
        try:
            runner.run(_alone(feeds, part, batch))
        except CheckFailed as fault:
            if len(part) == 1:
                bad[int(part[0])] = (fault.why or fault.message)[:SAID]
            else:
                waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
    return bad


def _alone(feeds: Feeds, rows: NDArray[np.intp], batch: int | None) -> dict[str, Array]:
    """These rows only, repeated where the model is fixed to more."""
    places = rows if batch is None else np.resize(rows, batch)
    return {name: array[places] for name, array in feeds.rows.items()} | feeds.tables


def _filled(feeds: Feeds, takes: Mask, batch: int | None) -> dict[str, Array]:
    lacks = 0 if batch is None else batch - len(takes)
    if not lacks and takes.all():
        return feeds.rows | feeds.tables
    places = np.arange(len(takes) + lacks)
    first = int(np.argmax(takes))
    places[: len(takes)][~takes] = first
    places[len(takes) :] = first
    return {name: array[places] for name, array in feeds.rows.items()} | feeds.tables
