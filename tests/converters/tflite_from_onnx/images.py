"""One operator on images, run at several batches, compared with ONNX Runtime or with onnx's reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, reference

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite

Array = NDArray[Any]
RNG = np.random.default_rng(3)
Size = int | str


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def sized(shape: Sequence[Size], batch: int, rows: int = 6) -> tuple[int, ...]:
    """A shape with its batch ("n") and other named sizes filled in; those differ from one another."""
    open_sizes = [size for size in shape if isinstance(size, str) and size != "n"]
    return tuple(
        batch if size == "n" else rows + open_sizes.index(size) if isinstance(size, str) else size for size in shape
    )


def assert_operator(
    operator: str,
    inputs: Mapping[str, Sequence[Size]],
    constants: Mapping[str, Array] | None = None,
    order: Sequence[str] = (),
    batches: Sequence[int] = (1, 2, 7),
    opset: int = 21,
    by_reference: bool = False,
    atol: float = 2e-5,
    **attributes: Any,
) -> list[str]:
    """Float inputs by name and shape; the kinds of operators it becomes. order: of the node's inputs, "" for none."""
    names = order or [*inputs, *(constants or {})]
    model = model_of(
        [helper.make_node(operator, names, ["y"], **attributes)],
        {name: ("float32", shape) for name, shape in inputs.items()},
        ["y"],
        constants,
        opset,
    )
    named = any(size == "n" for shape in inputs.values() for size in shape)
    feeds = [
        {name: normal(*sized(shape, batch)) for name, shape in inputs.items()} for batch in (batches if named else (1,))
    ]
    if not by_reference:
        return kinds(assert_lowered(model, *feeds, rtol=1e-4, atol=atol).data)
    lowered = lower(model)
    for fed in feeds:
        wanted = reference.ReferenceEvaluator(model).run(None, fed)[0]
        for delegate in (True, False):
            np.testing.assert_allclose(run_tflite(lowered.data, fed, delegate)["y"], wanted, rtol=1e-4, atol=atol)
    return kinds(lowered.data)
