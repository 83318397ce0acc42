"""A model that is open in this process, as scoring sees it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Signature

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Feeds:
    """rows: the arrays that have a row for each row, `[rows, ...]`. tables: those that go with every block as they are."""

    rows: dict[str, Array]
    tables: dict[str, Array]


class BlockRunner(Protocol):
    """Runs one block. The arrays are `[rows, ...]`; equal blocks give equal bits."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs. Raises CheckFailed where the runtime stops."""
        ...


class OnnxBlocks:
    """A session of ONNX Runtime, one thread."""

    def __init__(self, model: bytes | Path, inputs: Collection[str]) -> None:
        from mlpack_edge.runtimes import onnxruntime

        self._faults = onnxruntime.FAULTS
        try:
            self._session = onnxruntime.open_session(model)
        except self._faults as fault:
            raise BadInput(
                "ONNX Runtime does not load the model",
                "mlpack inspect says what it holds; mlpack doctor says whether the versions go together",
                why=" ".join(str(fault).split())[:400],
            ) from fault
        given = {value.name for value in self._session.get_inputs()}
        if given != set(inputs):
            raise BadInput(
                "the signature in the model names other inputs than its graph",
                "convert the model again from its source", why=f"the graph has {', '.join(sorted(given))}",
            )  # fmt: skip
        self._names = [value.name for value in self._session.get_outputs()]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            made = self._session.run(self._names, feeds)
        except self._faults as fault:
            raise CheckFailed(
                "ONNX Runtime stopped on a block of rows", "mlpack check says whether the model runs at all",
                why=" ".join(str(fault).split())[:400],
            ) from fault  # fmt: skip
        return {name: np.asarray(value) for name, value in zip(self._names, made, strict=True)}


class TfliteBlocks:
    """An interpreter of LiteRT, one thread; memory is planned anew only where the size of a block changes."""

    def __init__(self, model: bytes | Path) -> None:
        from mlpack_edge.runtimes.litert.runner import LitertRunner

        self._runner = LitertRunner(model)
        self.signature: Signature = self._runner.signature

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return self._runner.run(feeds)
        except (
            BadInput
        ) as fault:  # of a value, such as NaN for a quantized tensor: names, dtypes and shapes were seen to
            raise CheckFailed(fault.message, fault.hint, why=fault.why or fault.message) from fault
