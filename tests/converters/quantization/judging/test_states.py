"""Models that are handed a state beside their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.judging.judge import Judge
from mlpack_edge.core.signature import Signature, TensorSpec
from tests.converters.quantization.judging.answering import Answering, Batch, output

Array = NDArray[Any]
LOGITS = (np.random.default_rng(11).normal(size=(3000, 5)) * 3).astype(np.float32)
ROUNDED = np.round(LOGITS * 2) / 2


def test_rows_are_those_of_the_open_batch_where_a_state_comes_first() -> None:
    """Its first size is its layers: 1 of 10 labels that change would be 5 of 10."""
    state = TensorSpec("state", "float32", (2, "batch", 4))
    named = Signature((state, TensorSpec("x", "float32", ("batch", 3))), (output("logits", 5),))

    def answering(array: Array) -> Answering:
        return Answering(named, lambda feeds: {"logits": array[feeds["x"][:, 0].astype(np.int64)]})

    class Rows:
        def batches(self, rows: int) -> Iterator[Batch]:
            for start in range(0, 3000, 10):
                x = np.repeat(np.arange(start, start + 10, dtype=np.float32)[:, None], 3, axis=1)
                yield Batch({"state": np.zeros((2, 10, 4), np.float32), "x": x}, None, start)

    with Judge(answering(LOGITS), Rows()) as judge:
        quality = judge.judge(answering(ROUNDED))
    assert judge.rows == quality.rows == 3000
    assert quality.flips == (LOGITS.argmax(1) != ROUNDED.argmax(1)).mean()
