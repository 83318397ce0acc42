"""The inputs and outputs of the TFLite model: names, order, layout and element types as ONNX has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.emitter import held
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, channels_last, constant, permuted
from mlpack_edge.converters.tflite_graph.model import Tensor
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import Grid, Signature, TensorSpec

#: A note names this many tensors; the signature has them all.
_MOST_NAMED = 3


def inputs(low: Lowering, signature: Signature, layout: str) -> dict[str, Value]:
    """A value for each input, and its tensor among the inputs of the graph."""
    made: dict[str, Value] = {}
    for spec in signature.inputs:
        if spec.dtype == "string":
            raise Unsupported(
                f"the input {spec.name!r} holds text, and TFLite has no operators on text",
                "give the model integer codes instead",
            )
        perm = _perm(len(spec.shape), layout)
        shape = permuted(spec.shape, perm)
        tensor = Tensor(spec.name, held(spec.dtype), tuple(size if isinstance(size, int) else -1 for size in shape))
        low.graph.inputs.append(tensor)
        made[spec.name] = low.value(tensor, Spec(spec.dtype, spec.shape), perm, spec.name)
    return made


def outputs(low: Lowering, signature: Signature, scope: Mapping[str, Value], layout: str) -> tuple[TensorSpec, ...]:
    """Bring each output of the graph into its layout, under its name, in a tensor that is its own."""
    taken = set(low.graph.inputs)
    specs = []
    for spec in signature.outputs:
        value = _as_empty_as_declared(scope[spec.name], spec)
        perm = _perm(value.rank, layout)
        tensor = low.tensor(value, perm)
        if tensor in taken or tensor.data is not None:
            tensor = low.copied(tensor, permuted(value.shape, perm))
        tensor.name = spec.name
        taken.add(tensor)
        low.graph.outputs.append(tensor)
        # A file may declare an output with fewer or more dimensions than its graph gives it.
        declared = spec.shape if len(spec.shape) == value.rank else [f"{spec.name}_dim{i}" for i in range(value.rank)]
        shape = tuple(_named(size, given) for size, given in zip(value.shape, declared, strict=True))
        specs.append(replace(spec, dtype=_border(spec.dtype), shape=permuted(shape, perm)))
    return tuple(specs)


def _as_empty_as_declared(value: Value, spec: TensorSpec) -> Value:
    """An output that is declared to hold nothing, as a constant: LiteRT hands out no empty tensor of a computed shape."""
    shape = tuple(size for size in spec.shape if isinstance(size, int))
    if 0 not in shape or len(shape) != value.rank or len(shape) != len(spec.shape):
        return value
    return constant(spec.name, np.zeros(shape, held(value.dtype)))


def specs(given: Sequence[TensorSpec], tensors: Sequence[Tensor], layout: str) -> tuple[TensorSpec, ...]:
    """The inputs as the TFLite model takes them."""
    return tuple(
        replace(spec, dtype=tensor.dtype, shape=permuted(spec.shape, _perm(len(spec.shape), layout)))
        for spec, tensor in zip(coded(given, tensors), tensors, strict=True)
    )


def coded(given: Sequence[TensorSpec], tensors: Sequence[Tensor]) -> tuple[TensorSpec, ...]:
    """The specs of real numbers with the type and the grid of their tensors, where those have become codes."""
    return tuple(
        replace(spec, dtype=tensor.dtype, grid=_grid(tensor))
        if spec.dtype.startswith("float") and tensor.quantization is not None
        else spec
        for spec, tensor in zip(given, tensors, strict=True)
    )


def _grid(tensor: Tensor) -> Grid | None:
    how = tensor.quantization
    return None if how is None or how.per_channel else Grid(float(how.scale[0]), int(how.zero_point[0]))


def notes(before: Signature, after: Signature) -> list[str]:
    """What changed at the borders: a note for each pair of element types."""
    changed: dict[tuple[str, str], list[str]] = {}
    for old, new in zip((*before.inputs, *before.outputs), (*after.inputs, *after.outputs), strict=True):
        if old.dtype != new.dtype and old.dtype != "string":
            changed.setdefault((old.dtype, new.dtype), []).append(new.name)
    return [
        f"{'TFLite computes in float32: ' if new == 'float32' else ''}"
        f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {new} ({old} in the source)"
        for (old, new), names in changed.items()
    ]


def _listed(names: Sequence[str]) -> str:
    shown = names if len(names) <= _MOST_NAMED + 1 else names[:_MOST_NAMED]
    others = [f"{len(names) - len(shown)} others"] if len(shown) < len(names) else []
    *most, last = [*shown, *others]
    return f"{', '.join(most)} and {last}" if most else last


def _border(dtype: str) -> str:
    return dtype if dtype == "string" else np.dtype(held(dtype)).name


def _named(size: int | str, given: int | str) -> int | str:
    """A size that was computed, under the name the signature has for it."""
    return size if isinstance(size, int) else given


def _perm(rank: int, layout: str) -> Perm:
    return channels_last(rank) if layout == "nhwc" and 3 <= rank <= 5 else tuple(range(rank))
