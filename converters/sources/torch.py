"""PyTorch modules (`package.module:attribute`) and exported programs (`.pt2`) as sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.onnx_from_torch.convert import prepare
from mlpack_edge.converters.onnx_from_torch.inputs import Module, TorchOptions
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET
from mlpack_edge.converters.sources.source import SourceOptions
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.rows import Hints
from mlpack_edge.runtimes.torch.module import load_module, run_module
from mlpack_edge.runtimes.torch.program import load_program

Array = NDArray[Any]


def from_module(name: str, options: SourceOptions) -> TorchSource:
    """Import the module that the user names: their own code, as they asked."""
    return TorchSource("torch", load_module(name, options.weights), options)


def from_program(name: str, options: SourceOptions) -> TorchSource:
    """Open a `.pt2` file; members that would run code are refused before torch sees them."""
    if options.weights:
        raise BadInput(f"{name} holds its own weights", "leave --weights out")
    return TorchSource("torch-export", load_program(Path(name)), options)


class TorchSource:
    """A net: runs as PyTorch runs it, on one thread, and converts to ONNX."""

    def __init__(self, kind: str, module: Module, options: SourceOptions) -> None:
        if options.stop_before:
            raise BadInput("a PyTorch module has no steps to stop before", "leave --stop-before out")
        self.kind = kind
        self._module = module
        # --dtype speaks of floating-point inputs of tables; a net's inputs have the dtype its examples have.
        dtypes = _dtypes_of(options)
        wanted = TorchOptions(shapes=options.shapes, dtypes=dtypes, opset=options.opset or DEFAULT_OPSET)
        self._prepared = prepare(module, wanted)
        self.signature = Signature(self._prepared.inputs.specs, ())

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What PyTorch gives. Raises RowsRefused where the module's own code fails on these rows."""
        try:
            return run_module(self._module, self.signature, feeds)
        except BadInput as fault:
            raise RowsRefused(fault.why or fault.message) from fault

    def convert(self) -> BuiltModel:
        model, signature = self._prepared.lower()
        self.signature = signature
        return BuiltModel(model, signature, {})

    def adopt(self, signature: Signature) -> None:
        self.signature = signature

    def hints(self) -> Hints:
        return replace(self._prepared.inputs.hints(), empty_batch=True)

    def step_outputs(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {}

    def notes(self) -> list[str]:
        return list(self._prepared.inputs.notes())


def _dtypes_of(options: SourceOptions) -> dict[str, str]:
    """The dtypes of inputs as DATA has them."""
    if options.data is None:
        return {}
    return {name: str(array.dtype) for name, array in options.data.arrays.items() if name}
