"""Texts at the inputs and outputs: the codes of columns and the places of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.texts.known import Known
from mlpack_edge.converters.tflite_from_onnx.texts.nodes import MOVING
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import MISSING_TEXT, Category, Column, Signature, TensorSpec
from mlpack_edge.runtimes.category_codes import MISSING, UNKNOWN

Array = NDArray[Any]


def translation(
    spec: TensorSpec, columns: Mapping[tuple[str, int], tuple[str, ...]], known: Known
) -> list[onnx.NodeProto]:
    """From an input's own codes to those of the graph: one table for all its columns, one after the other."""
    width = int(spec.shape[1]) if len(spec.shape) == 2 else 1
    table: list[int] = []
    offsets = []
    for place in range(width):
        offsets.append(len(table) - MISSING)
        # in the order of the codes from MISSING on; a text that is none of the model's has a code of its own
        table.extend([known.code(MISSING_TEXT), len(known.texts)])
        table.extend(known.code(text) for text in columns[(spec.name, place)])
    assert UNKNOWN - MISSING == 1
    shift = np.array(offsets if len(spec.shape) == 2 else offsets[0], np.int32)
    names = [f"{spec.name}/{part}" for part in ("offsets", "places", "table", "codes")]
    return [
        helper.make_node("Constant", [], [names[0]], value=numpy_helper.from_array(shift)),
        helper.make_node("Add", [spec.name, names[0]], [names[1]], name=names[1]),
        helper.make_node("Constant", [], [names[2]], value=numpy_helper.from_array(np.array(table, np.int64))),
        helper.make_node("Gather", [names[2], names[1]], [names[3]], axis=0, name=names[3]),
    ]


def renamed(node: onnx.NodeProto, inputs: set[str]) -> onnx.NodeProto:
    for place, name in enumerate(node.input):
        if name in inputs:
            node.input[place] = f"{name}/codes"
    return node


def retype(values: Any, name: str, dtype: int) -> None:
    for value in values:
        if value.name == name:
            value.type.tensor_type.elem_type = dtype


def labels_of(
    model: onnx.ModelProto, signature: Signature, stringy: set[str], literals: Mapping[str, Array], known: Known
) -> tuple[tuple[TensorSpec, ...], tuple[Category, ...]]:
    """(the outputs, the classes): an output of texts becomes places in the classes."""
    texts = [spec for spec in signature.outputs if spec.name in stringy]
    if not texts:
        return signature.outputs, signature.classes
    classes = signature.classes or _classes_of(model, texts[0].name, literals, known)
    odd = next((spec for spec in texts if spec.role not in ("label", "")), None)
    if odd is not None or not classes or not all(isinstance(label, str) for label in classes):
        raise Unsupported(
            f"the output {(odd or texts[0]).name!r} is text that is no class label, and TFLite has no text",
            "give numbers out, or keep the model as ONNX (--to onnx)",
        )
    outputs = []
    for spec in signature.outputs:
        if spec in texts:
            # a text that is no class is -1, which no runner takes for a label
            table = np.full(len(known.texts) + 1, -1, np.int64)
            for place, label in enumerate(classes):
                if label in known.texts:
                    table[known.code(str(label))] = place
            whole = f"{spec.name}/text"
            for node in model.graph.node:
                node.output[:] = [whole if name == spec.name else name for name in node.output]
                node.input[:] = [whole if name == spec.name else name for name in node.input]
            name = f"{spec.name}/classes"
            constant = helper.make_node("Constant", [], [name], value=numpy_helper.from_array(table))
            model.graph.node.extend([constant, helper.make_node("Gather", [name, whole], [spec.name], axis=0)])
            retype(model.graph.output, spec.name, onnx.TensorProto.INT64)
        outputs.append(replace(spec, dtype="int64", role="label") if spec in texts else spec)
    return tuple(outputs), tuple(classes)


def _classes_of(model: onnx.ModelProto, name: str, literals: Mapping[str, Array], known: Known) -> tuple[str, ...]:
    """The texts that an output can be: those of the constant it is taken from, or of its classifier."""
    makers = {output: node for node in model.graph.node for output in node.output}
    texts = list(known.texts)
    while name in makers:
        node = makers[name]
        if node.op_type in ("Gather", "ArrayFeatureExtractor") and node.input[0] in literals:
            return tuple(dict.fromkeys(str(text) for text in literals[node.input[0]].reshape(-1).tolist()))
        for attribute in node.attribute:
            if attribute.name in ("classlabels_int64s", "values_int64s"):
                default = [other.i for other in node.attribute if other.name == "default_int64"]
                return tuple(dict.fromkeys(texts[code] for code in (*attribute.ints, *default)))
        if node.op_type not in {*MOVING, "Cast"} or not node.input:
            return ()
        name = node.input[0]
    return ()


def columns_of(
    signature: Signature, inputs: Sequence[TensorSpec], columns: Mapping[tuple[str, int], tuple[str, ...]]
) -> tuple[Column, ...]:
    """The columns with the table of their codes; those that nobody described are called after their input."""
    made = [
        replace(column, categories=columns[(column.input, column.index)], kind="categorical")
        if (column.input, column.index) in columns
        else column
        for column in signature.columns
    ]
    there = {(column.input, column.index) for column in signature.columns}
    wide = {spec.name: len([key for key in columns if key[0] == spec.name]) for spec in inputs}
    for (name, place), texts in columns.items():
        if (name, place) not in there:
            called = name if wide[name] == 1 else f"{name}_{place}"
            made.append(Column(called, "categorical", name, place, texts, missing=True))
    return tuple(made)


def notes_of(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], before: Signature) -> tuple[str, ...]:
    notes = []
    if inputs:
        names = ", ".join(spec.name for spec in inputs)
        notes.append(
            f"{names}: texts are int32 codes, places in the categories of their column (signature); "
            f"{UNKNOWN} is any other text, {MISSING} a missing one"
        )
    for old, new in zip(before.outputs, outputs, strict=True):
        if old.dtype != new.dtype:
            notes.append(f"{new.name} is {new.dtype}, a place in the signature's classes")
    return tuple(notes)
