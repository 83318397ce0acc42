"""An ONNX model as a source: brought up to date, cleaned, its shapes named. Nothing here executes the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx

from mlpack_edge.converters.onnx_from_onnx.branches import fold_branches
from mlpack_edge.converters.onnx_from_onnx.clean import (
    clamp_ir,
    drop_dead,
    plain_classifier,
    plain_inputs,
    tidy_domains,
)
from mlpack_edge.converters.onnx_from_onnx.light import light_copy
from mlpack_edge.converters.onnx_from_onnx.opset import set_opset
from mlpack_edge.converters.onnx_from_onnx.shapes import set_shapes
from mlpack_edge.core.errors import BadInput, MlpackError, Unsupported
from mlpack_edge.core.signature import METADATA_KEY, Dimension, Signature, TensorSpec, signature_from_text
from mlpack_edge.runtimes.onnx_files.external import fold
from mlpack_edge.runtimes.onnx_files.file import external_data, open_onnx
from mlpack_edge.runtimes.onnx_files.signature import classes_of, derived_signature
from mlpack_edge.runtimes.onnx_files.wire import MAX_BYTES

#: Room for the signature and lineage that are written into the file later.
_MARGIN = 16 << 20

Pass = Callable[[onnx.ModelProto], list[str]]


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """opset: to write, None for the model's own (at most NEWEST_OPSET). shapes: of inputs, sizes or names."""

    opset: int | None = None
    shapes: Mapping[str, Sequence[Dimension]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CleanModel:
    """outputs: the name of each output in the source -> its name now, in order; a ZipMap's maps are rows of it now."""

    model: onnx.ModelProto
    signature: Signature
    outputs: dict[str, str]
    notes: tuple[str, ...]


def load(path: Path) -> onnx.ModelProto:
    """A model from a file that was not made here, its external data folded in. Raises what `load_whole` raises."""
    return load_whole(path)[0]


def load_whole(path: Path) -> tuple[onnx.ModelProto, bool]:
    """As `load`, and whether all of the model was in the file itself.

    Raises what `open_onnx` raises, and Unsupported where all weights together are above what one file holds.
    """
    model = open_onnx(path)
    found = external_data(model, path)
    # Not model.ByteSize(): protobuf makes the bytes to count them, two more copies of the weights.
    total = sum(item.count for item in found) + path.stat().st_size
    if total > MAX_BYTES - _MARGIN:
        raise Unsupported(
            f"{path} with its external data has {total:,} bytes; a single ONNX file holds {MAX_BYTES:,}",
            "convert a smaller or a quantized export of the model",
        )
    fold(found)
    return model, not found


def convert(model: onnx.ModelProto, options: OnnxOptions | None = None) -> CleanModel:
    """Clean `model` (which is changed) and describe it; what it computes stays the same.

    The opset as asked; one import a domain; initializers not among the inputs; ZipMap away (`label`, plain
    `probabilities`); dead nodes, unused tensors and stale shape notes dropped; shapes as asked; branches
    that are always taken in place of their Ifs; an IR version that ONNX
    Runtime opens. Raises Unsupported (opset, maps or sequences as inputs or outputs), BadInput (shapes, or a result
    that onnx's checker refuses).
    """
    options = options or OnnxOptions()
    before = [value.name for value in model.graph.output]
    classes = classes_of(model.graph.node)
    notes: list[str] = []
    # The IR version goes first: in IR 3 an initializer that is no input does not exist for version conversion.
    first: tuple[Pass, ...] = (tidy_domains, clamp_ir, plain_inputs, plain_classifier, drop_dead)
    for clean in first:
        notes += clean(model)
    model, more = set_opset(model, options.opset)
    notes += more
    # Version conversion adds nodes and leaves shape notes; what it made useless goes too.
    last: tuple[Pass, ...] = (drop_dead, tidy_domains, clamp_ir)
    for clean in last:
        notes += clean(model)
    notes += set_shapes(model, options.shapes)
    taken = fold_branches(model)
    if taken:
        notes += taken
        drop_dead(model)  # what only asked for the branch, and names nobody reads
        set_shapes(model, options.shapes)  # of what the branches give
    _check(model)
    signature = _signature(model, options, classes)
    names = dict(zip(before, (value.name for value in model.graph.output), strict=True))
    return CleanModel(model, signature, names, tuple(notes))


def _check(model: onnx.ModelProto) -> None:
    """onnx's own checker on the result; the sizes of large weights were compared when the file was opened."""
    try:
        onnx.checker.check_model(light_copy(model, with_shapes=False))
    except onnx.checker.ValidationError as fault:
        raise BadInput(
            "onnx's checker refuses the model", "export the model again, or report it to the exporter's project",
            why=" ".join(str(fault).split())[:400],
        ) from fault  # fmt: skip


def _signature(
    model: onnx.ModelProto, options: OnnxOptions, classes: tuple[str | int | float | bool, ...]
) -> Signature:
    """What the graph says, with the columns, classes, roles and sizes of a signature that travels in the file."""
    derived = derived_signature(model)
    widths = [spec.shape[-1:] for spec in derived.outputs if spec.role == "probabilities"]
    if len(widths) == 1 and (widths[0] == (len(classes),) or isinstance(widths[0][-1], str)):
        derived = replace(derived, classes=classes)
    stored = _stored(model)
    if stored is None or not _fits(stored, derived):
        return derived
    if options.shapes:
        inputs = tuple(derived.input(spec.name) if spec.name in options.shapes else spec for spec in stored.inputs)
        outputs = tuple(replace(new, role=old.role) for old, new in zip(stored.outputs, derived.outputs, strict=True))
        return replace(stored, inputs=inputs, outputs=outputs)
    return stored


def _stored(model: onnx.ModelProto) -> Signature | None:
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    if text is None:
        return None
    try:
        return signature_from_text(text)
    except MlpackError:  # a damaged one is replaced by what the graph says
        return None


def _fits(stored: Signature, derived: Signature) -> bool:
    """Whether a stored signature still describes the graph: the same tensors, one a place."""

    def facts(specs: tuple[TensorSpec, ...]) -> list[tuple[str, str, int]]:
        return [(spec.name, spec.dtype, len(spec.shape)) for spec in specs]

    return facts(stored.inputs) == facts(derived.inputs) and facts(stored.outputs) == facts(derived.outputs)
