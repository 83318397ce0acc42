"""The --shape line to type for a PyTorch module whose input shapes nothing tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlpack_edge.core.errors import BadInput

#: A torch.nn.Module.
Module = Any

_UNKNOWN = "batchxSIZE"


def _recurrent(layer: Any) -> str:
    return f"batchxtimex{layer.input_size}" if layer.batch_first else f"timexbatchx{layer.input_size}"


#: What a first layer of a class takes. Sizes that it does not fix are left to the user.
_FIRST: dict[str, Callable[[Any], str]] = {
    "Linear": lambda layer: f"batchx{layer.in_features}",
    "Conv1d": lambda layer: f"batchx{layer.in_channels}xSIZE",
    "Conv2d": lambda layer: f"batchx{layer.in_channels}xSIZExSIZE",
    "Conv3d": lambda layer: f"batchx{layer.in_channels}xSIZExSIZExSIZE",
    "BatchNorm1d": lambda layer: f"batchx{layer.num_features}",
    "BatchNorm2d": lambda layer: f"batchx{layer.num_features}xSIZExSIZE",
    "Embedding": lambda layer: "batchxtime",
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "TransformerEncoderLayer": lambda layer: f"batchxtimex{layer.linear1.in_features}",
}


def shape_needed(module: Module, missing: Sequence[str]) -> BadInput:
    """The error where the shapes of the inputs `missing` are not known.

    Where it is a single input, its shape is guessed from the first layer; the line is for the user to judge.
    """
    known = [(type(layer).__name__, layer) for layer in module.modules() if type(layer).__name__ in _FIRST]
    shape = _FIRST[known[0][0]](known[0][1]) if known and len(missing) == 1 else _UNKNOWN
    line = " ".join(f"--shape {name}={shape}" for name in missing)
    sizes = "put a number for SIZE, as in batchx3x224x224, or a name that leaves it free"
    return BadInput(
        f"the shape of {', '.join(missing)} is not known",
        f"add {line}" + (f"   ({sizes})" if "SIZE" in line else ""),
        why=f"neither --shape nor example_inputs of {type(module).__name__} gives it",
        missing=list(missing),
    )
