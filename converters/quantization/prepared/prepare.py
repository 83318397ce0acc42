"""Make a float model ready to be quantized: what every scheme relies on, done once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx
from onnx import inliner, shape_inference

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.onnx_from_onnx.clean import clamp_ir, drop_dead, tidy_domains
from mlpack_edge.converters.onnx_from_onnx.light import light_copy
from mlpack_edge.converters.onnx_from_onnx.opset import opset_of, set_opset
from mlpack_edge.converters.quantization.prepared.affine import fold_affine
from mlpack_edge.converters.quantization.prepared.constants import (
    constants_to_initializers,
    drop_identities,
    fold_constants,
    hoist,
    share_equal,
)
from mlpack_edge.converters.quantization.prepared.reads import layers_in
from mlpack_edge.converters.quantization.prepared.same import Original
from mlpack_edge.converters.quantization.values import Layer
from mlpack_edge.core.errors import Unsupported

#: The oldest opset whose DequantizeLinear has a scale a channel.
LEAST_OPSET = 13
#: The oldest opset with int4 and scales in blocks.
BLOCK_OPSET = 21


@dataclass(frozen=True, slots=True)
class Prepared:
    """model: opset 13 or newer where that was to be had; every node of the main graph has a name of its own; constants are
    initializers; value_info holds the shapes that inference knows. Sub-graphs are as they were, but for large constants,
    which are initializers of the main graph.
    layers: the nodes that read large float constants, in order. notes: what could not be done, for the user.
    """

    model: onnx.ModelProto
    layers: tuple[Layer, ...]
    notes: tuple[str, ...]


def prepare(built: BuiltModel) -> Prepared:
    """The model of `built` (left as it is), ready to be quantized, computing the same within float32 rounding.

    What is done is proven on rows made from the signature; a step that changes an answer, or that fails, is left out and
    noted. Raises CheckFailed for a model that ONNX Runtime does not open, and nothing else.
    """
    original = Original(built.model, built.signature)
    notes: list[str] = []
    if not original.feeds:
        notes.append("no rows could be made from the signature to prove the preparation on: it was kept to a minimum")
    model = _prepared(built.model, _STEPS if original.feeds else _SAFE, original, notes)
    _name_nodes(model)
    _infer_shapes(model)
    return Prepared(model, layers_in(model), tuple(notes))


def upgraded(prepared: Prepared, opset: int) -> Prepared:
    """`prepared` in `opset` or newer, its nodes with the same names. Raises Unsupported where it cannot become that."""
    now = opset_of(prepared.model)
    if now is not None and now >= opset:
        return prepared
    model = _to_opset(_copy(prepared.model), opset)
    _name_nodes(model)
    _infer_shapes(model)
    return Prepared(model, prepared.layers, prepared.notes)


Step = tuple[str, Callable[[onnx.ModelProto], onnx.ModelProto]]


def _prepared(model: onnx.ModelProto, steps: Sequence[Step], original: Original, notes: list[str]) -> onnx.ModelProto:
    """The model after all steps that work; they are looked at one by one only where together they do not."""
    made = _copy(model)
    try:
        for _, change in steps:
            made = change(made)
    except Unsupported:
        made = _copy(model)
    else:
        if original.difference(made) is None:
            return made
        made = _copy(model)
    for step in steps:
        made = _tried(made, step, original, notes)
    return made


def _tried(model: onnx.ModelProto, step: Step, original: Original, notes: list[str]) -> onnx.ModelProto:
    """The model after a step, or as it was where the step does not work on it."""
    what, change = step
    try:
        made = change(_copy(model))
    except Unsupported as fault:
        notes.append(f"{what}: {fault.message}" + (f" ({fault.why})" if fault.why else ""))
        return model
    why = original.difference(made)
    if why is None:
        return made
    notes.append(f"{what} was left out: {why}")
    return model


def _inline(model: onnx.ModelProto) -> onnx.ModelProto:
    return inliner.inline_local_functions(model, False) if model.functions else model


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants as initializers, dead nodes and stale shapes gone."""
    constants_to_initializers(model)
    drop_identities(model)
    drop_dead(model)
    tidy_domains(model)
    clamp_ir(model)
    return model


def _to_least_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    now = opset_of(model)
    return model if now is None or now >= LEAST_OPSET else _to_opset(model, LEAST_OPSET)


def _to_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    del model.graph.value_info[:]
    made, _ = set_opset(model, opset)
    return _clean(made)


def _fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    why = fold_constants(model)
    if why is not None:
        raise Unsupported("ONNX Runtime does not compute them", why=why)
    drop_dead(model)
    return model


def _hoist(model: onnx.ModelProto) -> onnx.ModelProto:
    hoist(model)
    return model


def _fold_affine(model: onnx.ModelProto) -> onnx.ModelProto:
    fold_affine(model)
    drop_dead(model)
    return model


def _share(model: onnx.ModelProto) -> onnx.ModelProto:
    share_equal(model)
    return model


_SAFE: tuple[Step, ...] = (
    ("writing out functions", _inline),
    ("cleaning", _clean),
    (f"opset {LEAST_OPSET}", _to_least_opset),
    ("moving constants out of sub-graphs", _hoist),
)
_STEPS: tuple[Step, ...] = (
    *_SAFE,
    ("folding constants", _fold_constants),
    ("folding normalizations into weights", _fold_affine),
    ("sharing equal constants", _share),
)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    return made


def _name_nodes(model: onnx.ModelProto) -> None:
    """Names as they are where they are given once, else the operator and its place: `Conv_12`."""
    nodes = model.graph.node
    count = Counter(node.name for node in nodes)
    taken = {name for name, number in count.items() if name and number == 1}
    for index, node in enumerate(nodes):
        if node.name and count[node.name] == 1:
            continue
        wanted = f"{node.name or node.op_type}_{index}"
        while wanted in taken:
            wanted += "_"
        node.name = wanted
        taken.add(wanted)


def _infer_shapes(model: onnx.ModelProto) -> None:
    """Write the shapes that onnx infers into value_info; none where inference fails, as it may on operators of others."""
    del model.graph.value_info[:]
    try:
        made = shape_inference.infer_shapes(light_copy(model, with_shapes=True), data_prop=True)
    except (shape_inference.InferenceError, ValueError, RuntimeError):
        return
    model.graph.value_info.extend(made.graph.value_info)
