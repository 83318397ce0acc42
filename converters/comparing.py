"""Bring two models to the same inputs and outputs before they are compared, or say that they have others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlpack_edge.converters.sources.onnx import OnnxSource
from mlpack_edge.converters.sources.source import Source
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.litert.source_terms import TfliteModel

#: What `check` compares: a source, or a TFLite file in its source's terms.
Model = Source | TfliteModel
#: A message names this many inputs.
_MOST_NAMED = 6


def bring_together(names: list[str], models: list[Model]) -> None:
    """Source models answer under the inputs and outputs of the file they are held against; two files have to agree."""
    files = [model for model in models if isinstance(model, OnnxSource | TfliteModel)]
    sources = [model for model in models if not isinstance(model, OnnxSource | TfliteModel)]
    for source in sources:
        if files:
            _refuse_other_columns(names, models)
            source.adopt(_in_types_of(files[0].signature, source.signature))
        else:
            source.convert()  # two source models: only a conversion tells what their outputs are called
    if not sources:
        _refuse_other_inputs(names, models)


def _in_types_of(signature: Signature, own: Signature) -> Signature:
    """`signature` (of a file) with float64 inputs where the model's own are: it computes as it did when it was fitted."""
    if not any(spec.dtype == "float64" for spec in own.inputs):
        return signature
    inputs = tuple(replace(spec, dtype="float64") if spec.dtype == "float32" else spec for spec in signature.inputs)
    return replace(signature, inputs=inputs)


def _refuse_other_columns(names: list[str], models: list[Model]) -> None:
    """Two models of other columns cannot be compared: said before either is run (BadInput)."""
    counts = [_columns(model.signature) for model in models]
    if None not in counts and counts[0] != counts[1]:
        raise BadInput(
            f"{names[0]} and {names[1]} take different inputs: {counts[0]} columns against {counts[1]}",
            "compare models of the same columns",
        )


def _refuse_other_inputs(names: list[str], models: list[Model]) -> None:
    """Two files answer under their own inputs: those of another name or kind are no inputs of the other one (BadInput)."""
    first, second = ({spec.name: spec.dtype for spec in model.signature.inputs} for model in models)
    if set(first) != set(second):
        raise BadInput(
            f"{names[0]} and {names[1]} take different inputs: {_named(first)} against {_named(second)}",
            "compare files made from the same model, with the same --matrix",
        )
    exact = not any(isinstance(model, TfliteModel) for model in models)  # a TFLite file is fed what it holds
    for name, dtype in first.items():
        if dtype != second[name] and (exact or _kind_of(dtype) != _kind_of(second[name])):
            raise BadInput(
                f"input {name!r} is {dtype} in {names[0]} and {second[name]} in {names[1]}",
                "compare each with its source, or convert both with the same --data or --dtype",
            )


def _named(inputs: Mapping[str, str]) -> str:
    shown = list(inputs)[:_MOST_NAMED]
    return ", ".join(shown) + (f" and {len(inputs) - len(shown)} more" if len(inputs) > len(shown) else "")


def _kind_of(dtype: str) -> str:
    """Floats of any width are one kind, whole numbers another, booleans and texts are their own."""
    return next((kind for kind in ("float", "int") if kind in dtype), dtype)


def _columns(signature: Signature) -> int | None:
    """How many columns go in, None where that is not a table."""
    widths = [spec.shape[1] if len(spec.shape) == 2 else None for spec in signature.inputs]
    known = [width for width in widths if isinstance(width, int)]
    return sum(known) if len(known) == len(widths) else None
