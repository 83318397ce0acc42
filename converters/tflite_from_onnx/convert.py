"""An ONNX model lowered to a TFLite file: walk, write, and say what had to be fixed on the way."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx
from onnx import inliner

from mlpack_edge.converters.tflite_from_onnx import borders
from mlpack_edge.converters.tflite_from_onnx.fixing import SizeMustBeFixed
from mlpack_edge.converters.tflite_from_onnx.forests.prepare import prepared
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.offsets import with_split_offsets
from mlpack_edge.converters.tflite_from_onnx.passes.run import Pass, improve
from mlpack_edge.converters.tflite_from_onnx.patterns.run import recognised
from mlpack_edge.converters.tflite_from_onnx.scope import Scope
from mlpack_edge.converters.tflite_from_onnx.table import table
from mlpack_edge.converters.tflite_from_onnx.texts.coded import coded
from mlpack_edge.converters.tflite_from_onnx.thresholds import with_float32_thresholds
from mlpack_edge.converters.tflite_graph.write import write_tflite
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import METADATA_KEY, Signature, TensorSpec
from mlpack_edge.runtimes.litert.source_terms import LAYOUT_KEY, SOURCE_SIGNATURE_KEY


@dataclass(frozen=True, slots=True)
class Lowered:
    """data: the bytes of the file. signature: of the TFLite model. notes: what the user should know of it."""

    data: bytes
    signature: Signature
    notes: tuple[str, ...]


def tflite_from_onnx(
    model: onnx.ModelProto,
    signature: Signature,
    *,
    layout: str = "keep",
    metadata: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
    last: Sequence[Pass] = (),
) -> Lowered:
    """Lower `model`, whose inputs and outputs `signature` describes, to TFLite.

    layout: "keep" leaves inputs and outputs as ONNX has them; "nhwc" makes those of rank 3 to 5 channel-last.
    metadata: more entries for the file. fixed: named sizes that are 1 in the file, each with its reason.
    last: passes that end the work on the graph; they may turn inputs and outputs into codes. Nothing is
    executed but what depends on constants alone.
    Raises Unsupported naming operator, node and reason.
    """
    reasons = dict(fixed or {})
    while True:
        try:
            return _lower(model, _with_ones(signature, reasons), layout, metadata or {}, reasons, last)
        except SizeMustBeFixed as need:
            first = {spec.shape[0] for spec in signature.inputs if spec.shape}
            if need.name in reasons or need.name not in first:
                raise Unsupported(need.message, need.hint, why=need.why) from need
            reasons[need.name] = need.why


def _lower(
    model: onnx.ModelProto,
    signature: Signature,
    layout: str,
    metadata: Mapping[str, str],
    reasons: Mapping[str, str],
    last: Sequence[Pass],
) -> Lowered:
    model = inliner.inline_local_functions(model) if model.functions else model
    source, without_text = signature, coded(model, signature)
    model, signature = without_text.model, without_text.signature
    opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
    nodes, own = prepared(model, signature)
    nodes = with_float32_thresholds(nodes, model.graph.initializer, signature)
    nodes = with_split_offsets(nodes, model.graph.initializer)
    nodes = recognised(nodes, model.graph.initializer, [spec.name for spec in signature.inputs])
    low = Lowering(table() | own, opsets)
    scope = Scope({init.name: init for init in model.graph.initializer})
    scope.update(borders.inputs(low, signature, layout))
    low.run(nodes, scope, kept=[spec.name for spec in signature.outputs])
    outputs = borders.outputs(low, signature, scope, layout)
    del scope
    improve(low.graph, last)
    made = replace(
        signature,
        inputs=borders.specs(signature.inputs, low.graph.inputs, layout),
        outputs=borders.coded(outputs, low.graph.outputs),
    )
    entries = {METADATA_KEY: made.dumps(), **metadata}
    if made != source:
        entries[SOURCE_SIGNATURE_KEY] = source.dumps()
    if layout != "keep":
        entries[LAYOUT_KEY] = layout
    data = write_tflite(low.graph, {name: text.encode() for name, text in entries.items()})
    notes = [f"{name} is 1 in the TFLite file: {why}" for name, why in reasons.items()]
    return Lowered(data, made, (*notes, *without_text.notes, *borders.notes(signature, made)))


def _with_ones(signature: Signature, names: Container[str]) -> Signature:
    """`signature` with the sizes of these names 1."""

    def of(spec: TensorSpec) -> TensorSpec:
        return replace(spec, shape=tuple(1 if size in names else size for size in spec.shape))

    return replace(signature, inputs=tuple(map(of, signature.inputs)), outputs=tuple(map(of, signature.outputs)))
