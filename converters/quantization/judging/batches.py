"""Batches of a size that memory and the model allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.blocks import run_bounded
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.parity import Runner, rows_of
from mlpack_edge.runtimes.row_streams.cutting import cut_of, fixed_batch

Array = NDArray[Any]

#: Numbers of inputs and outputs that a batch may have, and rows.
NUMBERS, ROWS = 1 << 22, 1024
#: What an open size other than the batch is taken for.
OPEN = 64


def batch_rows(signature: Signature) -> int:
    """Rows a batch; a multiple of the batch that the model is fixed to."""
    widest = max((_numbers(spec) for spec in (*signature.inputs, *signature.outputs)), default=1)
    rows = max(1, min(ROWS, NUMBERS // widest))
    fixed = _fixed(signature)
    return max(fixed, rows // fixed * fixed)


def run_rows(runner: Runner, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All outputs, with bounded memory inside the model (`run_bounded`). Where a model is fixed to a batch and the rows end before
    one is full, the last row fills it up and what comes of that is cut off."""
    fixed, count = _fixed(runner.signature), rows_of(feeds, cut_of(runner.signature))
    short = -count % fixed
    if not short:
        return run_bounded(runner, feeds)
    filled = {name: np.concatenate([array, np.repeat(array[-1:], short, axis=0)]) for name, array in feeds.items()}
    answers = runner.run(filled)
    return {
        name: array[:count] if array.ndim and len(array) == count + short else array for name, array in answers.items()
    }


def _fixed(signature: Signature) -> int:
    return fixed_batch(spec.shape for spec in signature.inputs) or 1


def _numbers(spec: TensorSpec) -> int:
    return max(1, math.prod(OPEN if isinstance(size, str) else size for size in spec.shape[1:]))
