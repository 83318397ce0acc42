"""A model with codes in place of its texts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx
from onnx import numpy_helper

from mlpack_edge.converters.tflite_from_onnx.texts.borders import (
    columns_of,
    labels_of,
    notes_of,
    renamed,
    retype,
    translation,
)
from mlpack_edge.converters.tflite_from_onnx.texts.known import Known, begin, codes_of, literals_of, texts_of
from mlpack_edge.converters.tflite_from_onnx.texts.nodes import coded_node
from mlpack_edge.core.signature import MISSING_TEXT, Signature


@dataclass(frozen=True, slots=True)
class Coded:
    """A model without text, its signature, and what the user should know of it."""

    model: onnx.ModelProto
    signature: Signature
    notes: tuple[str, ...] = ()


def coded(model: onnx.ModelProto, signature: Signature) -> Coded:
    """The model with codes in place of texts; as it is where it holds none.

    Raises Unsupported naming the operator that looks into texts, or the output of texts that are no labels.
    """
    literals = literals_of(model)
    inputs = [spec for spec in signature.inputs if spec.dtype == "string"]
    written = any(texts_of(attribute) for node in model.graph.node for attribute in node.attribute)
    if not (literals or inputs or written):
        return Coded(model, signature)
    known = Known({MISSING_TEXT: 0})
    for array in literals.values():
        for text in array.reshape(-1).tolist():
            known.texts.setdefault(text, len(known.texts))
    for attribute in (a for node in model.graph.node for a in node.attribute):
        for text in texts_of(attribute):
            known.texts.setdefault(text, len(known.texts))
    for spec in inputs:
        begin(known, spec, signature)
    stringy = {*literals, *(spec.name for spec in inputs)}
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:]
    nodes = [coded_node(node, known, stringy, literals) for node in model.graph.node]
    texts = tuple(known.texts)
    columns = {key: tuple(found) or (MISSING_TEXT,) for key, found in known.columns.items()}
    for spec in inputs:
        made.graph.node.extend(translation(spec, columns, known))
        retype(made.graph.input, spec.name, onnx.TensorProto.INT32)
    made.graph.node.extend(renamed(node, {spec.name for spec in inputs}) for node in nodes)
    for tensor in made.graph.initializer:
        if tensor.name in literals:
            tensor.CopyFrom(numpy_helper.from_array(codes_of(literals[tensor.name], known), tensor.name))
    outputs, classes = labels_of(made, signature, stringy, literals, known)
    changed = replace(
        signature,
        inputs=tuple(replace(spec, dtype="int32") if spec in inputs else spec for spec in signature.inputs),
        outputs=outputs, classes=classes, columns=columns_of(signature, inputs, columns),
    )  # fmt: skip
    assert len(texts) == len(known.texts)
    return Coded(made, changed, notes_of(inputs, outputs, signature))
