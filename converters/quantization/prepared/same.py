"""Does a graph that was changed still compute the same? Both are run on rows made from their inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray

from mlpack_edge.core.errors import CheckFailed, MlpackError
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import FAULTS, open_session, run
from mlpack_edge.runtimes.rows import Hints, make_groups

#: Sizes to try for sizes that are open: nets with several scales refuse those that do not divide.
_SIZES = (8, 32, 64, 224, 320, 1)
_ROWS = 4
#: The largest difference allowed, of the largest number of the output and beside it: float32 sums in another order.
_RELATIVE, _ABSOLUTE = 2e-5, 1e-6
_MOST_NUMBERS = 1 << 24
#: Rows that cannot be made, beside what ONNX Runtime raises for rows that it does not take.
_NOT_MADE: tuple[type[Exception], ...] = (MlpackError,)

Feeds = dict[str, NDArray[np.generic]]


class Original:
    """A model as it was, with rows it takes and what it gave for them. rows is None where none were found."""

    def __init__(self, model: onnx.ModelProto, signature: Signature) -> None:
        self.feeds, self.answers = self._answers(model, signature)

    def _answers(self, model: onnx.ModelProto, signature: Signature) -> tuple[list[Feeds], list[Feeds]]:
        try:
            session = open_session(model.SerializeToString(), prepack=False)
        except FAULTS as fault:
            raise CheckFailed(
                "ONNX Runtime does not open the model", "mlpack inspect says what it holds; export it again",
                why=" ".join(str(fault).split())[:400],
            ) from fault  # fmt: skip
        for size in _SIZES:
            feeds, answers = [], []
            try:
                for fed in _made(signature, size):
                    answers.append(run(session, fed))
                    feeds.append(fed)
            except FAULTS + _NOT_MADE:
                continue  # not with this size: the next one is tried
            if feeds:
                return feeds, answers
        return [], []

    def difference(self, model: onnx.ModelProto) -> str | None:
        """None where `model` gives the same, else what it does instead, in one line."""
        try:
            session = open_session(model.SerializeToString(), prepack=False)
            for fed, wanted in zip(self.feeds, self.answers, strict=True):
                for name, found in run(session, fed).items():
                    if (why := _differs(wanted[name], found)) is not None:
                        return f"{name}: {why}"
        except FAULTS as fault:
            return " ".join(str(fault).split())[:200]
        return None


def _made(signature: Signature, size: int) -> Iterator[Feeds]:
    """A few rows of two batch sizes, all open sizes but the batch being `size`."""
    names = {item for spec in signature.inputs for item in spec.shape if isinstance(item, str)}
    if max((_numbers(spec, size) for spec in signature.inputs), default=0) > _MOST_NUMBERS:
        return
    hints = Hints(sizes=dict.fromkeys(names, (size,)))
    taken = 0
    for group in make_groups(replace(signature, outputs=()), hints, _ROWS):
        if group.rows and taken < 2:
            taken += 1
            yield {name: np.asarray(array) for name, array in group.feeds.items()}


def _numbers(spec: TensorSpec, size: int) -> int:
    return math.prod(_ROWS if place == 0 and isinstance(item, str) else size if isinstance(item, str) else item
                     for place, item in enumerate(spec.shape))  # fmt: skip


def _differs(wanted: NDArray[np.generic], found: NDArray[np.generic]) -> str | None:
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        return f"{list(found.shape)} {found.dtype} where it gave {list(wanted.shape)} {wanted.dtype}"
    if wanted.dtype.kind != "f":
        changed = int(np.count_nonzero(wanted != found))
        return f"{changed} of {wanted.size} values changed" if changed else None
    real, made = wanted.astype(np.float64), found.astype(np.float64)
    if not np.array_equal(np.isnan(real), np.isnan(made)) or not np.array_equal(np.isinf(real), np.isinf(made)):
        return "other values are not finite"
    finite = np.isfinite(real)
    gap = float(np.abs(real - made, where=finite, out=np.zeros_like(real)).max(initial=0.0))
    most = float(np.abs(real, where=finite, out=np.zeros_like(real)).max(initial=0.0))
    return f"off by {gap:.3g}, of at most {most:.3g}" if gap > _RELATIVE * most + _ABSOLUTE else None
