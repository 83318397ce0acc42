"""How many rows a net is run on at a time: what it holds inside may be 400 times what it is fed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.parity import Runner, in_blocks, rows_of
from mlpack_edge.runtimes.row_streams.cutting import cut_of

#: Bytes of rows that a net is run on at a time.
BLOCK_BYTES = 1 << 18


def block_of(signature: Signature, feeds: Mapping[str, NDArray[Any]]) -> int | None:
    """Rows of BLOCK_BYTES together, at least one. None for no rows, and for models whose inputs are not all open at one and the
    same name: those of a fixed batch are run in pieces of that anyway, and inputs of several names are no rows of each other,
    whatever their lengths are."""
    firsts = {spec.shape[0] if spec.shape else None for spec in signature.inputs}
    rows = rows_of(feeds, cut_of(signature))
    if not rows or len(firsts) != 1 or not isinstance(next(iter(firsts)), str):
        return None
    row_bytes = sum(array.nbytes for array in feeds.values()) // rows
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def run_bounded(runner: Runner, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The answers on all rows, of a block at a time where they are known to be those of all together (`parity.in_blocks`).

    Raises what running all of them raises.
    """
    block = block_of(runner.signature, feeds)
    made = in_blocks(runner, feeds, block) if block is not None else None
    return runner.run(feeds) if made is None else made
