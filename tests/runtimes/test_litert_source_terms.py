"""A source held against its TFLite file: the rows and answers that float32 can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.litert.source_terms import Narrowed


class Exponential:
    """exp(x) in float64, and whole numbers beside it."""

    signature = Signature(
        (TensorSpec("x", "float64", ("batch", 1)),),
        (TensorSpec("y", "float64", ("batch", 1)), TensorSpec("n", "int64", ("batch", 1))),
    )

    def run(self, feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        assert feeds["x"].dtype == np.float64
        return {"y": np.exp(feeds["x"]), "n": np.full(feeds["x"].shape, 2**40)}


def test_answers_beyond_float32_are_infinite_and_the_others_keep_their_digits() -> None:
    narrowed = Narrowed(Exponential())
    assert narrowed.signature.input("x").dtype == "float32"
    rows = np.array([[1.0], [-200.0], [88.0], [89.0], [600.0]], np.float32)
    made = narrowed.run({"x": rows})
    np.testing.assert_array_equal(made["y"], np.where(rows > 88.5, np.inf, np.exp(rows.astype(np.float64))))
    assert made["y"].dtype == np.float64 and (made["n"] == 2**40).all()
