"""How many rows the model is given at once: a function of its signature alone.

The kernels of a runtime choose their way by the shape they are given, so that the last bits of a score may depend on how
many rows go together and on a row's place among them. Blocks are therefore cut at fixed places of a shard, whatever the
workers, the batches that are read or the rows that are rejected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, TensorSpec

#: Rows of a block of a narrow model: measured, 2.2 times cheaper than 65,536 for linear models, the same for trees.
BLOCK_ROWS = 4096
#: What a block's inputs may take, categories counted as one-hot and a text as a bag of words: a core's own caches.
BLOCK_BYTES = 4 << 20
#: Rows and bytes of inputs that are made at once: many narrow blocks, so that a column is cast once and not once a block.
FED_ROWS = 16_384
FED_BYTES = 16 << 20
#: Bytes that a text is reckoned with: a vocabulary of 2,000 words in float32.
TEXT_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Blocks:
    """rows: of a block. batch: what the model's batch is fixed to (the last block is then filled up), None where it is
    not (the last block is shorter). fed: rows that are turned into arrays at once, whole blocks; no score depends on it."""

    rows: int
    batch: int | None
    fed: int


def blocks_of(signature: Signature) -> Blocks:
    """4,096 rows, or as many as fit into BLOCK_BYTES rounded down to a power of two; the batch of a model that is fixed
    to one. Raises BadInput where inputs have no batch in common.
    """
    sizes = {spec.shape[0] if spec.shape else "" for spec in signature.inputs}
    fixed = {size for size in sizes if isinstance(size, int)}
    scalars = [spec.name for spec in signature.inputs if not spec.shape]
    if scalars or len(fixed) > 1 or (fixed and len(sizes) > 1) or not sizes:
        raise BadInput(
            f"the model's input {scalars[0]!r} is a single number, not one a row" if scalars
            else "the model's inputs have no batch in common" if sizes else "the model has no input",
            "export the model with a batch as the first dimension of every input",
            why=", ".join(f"{spec.name} {list(spec.shape)}" for spec in signature.inputs),
        )  # fmt: skip
    if fixed:
        batch = fixed.pop()
        if batch < 1:
            raise BadInput("the model takes batches of no row", "export the model with a batch of at least one row")
        return Blocks(batch, batch, _fed_rows(signature, batch))
    most = max(BLOCK_BYTES // max(_row_bytes(signature), 1), 1)
    rows = min(1 << (most.bit_length() - 1), BLOCK_ROWS)
    return Blocks(rows, None, _fed_rows(signature, rows))


def _fed_rows(signature: Signature, block: int) -> int:
    """As many whole blocks as FED_ROWS and FED_BYTES allow, one at least; a text is a pointer and its letters."""
    sizes = [
        width_of(spec) * (64 if spec.dtype == "string" else np.dtype(spec.dtype).itemsize) for spec in signature.inputs
    ]
    rows = min(FED_ROWS, FED_BYTES // max(sum(sizes), 1))
    return max(rows // block, 1) * block


def width_of(spec: TensorSpec) -> int:
    """Numbers of one row. Raises BadInput where a size beside the batch is left open."""
    open_sizes = [size for size in spec.shape[1:] if isinstance(size, str)]
    if open_sizes:
        raise BadInput(
            f"the model's input {spec.name!r} has sizes that vary beside the batch: {', '.join(map(str, open_sizes))}",
            f"fix them: mlpack convert --shape {spec.name}=batchx...", input=spec.name,
        )  # fmt: skip
    return math.prod(int(size) for size in spec.shape[1:])


def _row_bytes(signature: Signature) -> int:
    categories = sum(8 * len(column.categories) for column in signature.columns if column.kind == "categorical")
    texts = {(column.input, column.index) for column in signature.columns if column.kind == "text"}
    total = categories + TEXT_BYTES * len(texts)
    for spec in signature.inputs:
        known = any(column.input == spec.name for column in signature.columns)
        item = (0 if known else TEXT_BYTES) if spec.dtype == "string" else np.dtype(spec.dtype).itemsize
        total += width_of(spec) * item
    return total
