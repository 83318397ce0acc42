"""The texts that a model knows, their codes, and what each column of an input is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import MISSING_TEXT, Category, Signature, TensorSpec

Array = NDArray[Any]

#: Attributes of ai.onnx.ml that hold texts, and those that hold numbers in their place.
ATTRIBUTES = {
    "classlabels_strings": "classlabels_int64s", "keys_strings": "keys_int64s", "values_strings": "values_int64s",
    "default_string": "default_int64", "cats_strings": "cats_int64s",
}  # fmt: skip
TENSORS = ("keys_tensor", "values_tensor", "default_tensor")


@dataclass(slots=True)
class Known:
    """texts: code of each text. columns: the texts that a column of an input is compared with, in order.
    sources: for a tensor of texts, the columns of inputs that each of its columns may come from."""

    texts: dict[str, int] = field(default_factory=dict)
    columns: dict[tuple[str, int], dict[str, None]] = field(default_factory=dict)
    sources: dict[str, list[set[tuple[str, int]]]] = field(default_factory=dict)

    def code(self, text: str) -> int:
        return self.texts[text]

    def met(self, name: str, texts: Sequence[str]) -> None:
        """The tensor is compared with these texts."""
        for keys in self.sources.get(name, []):
            for key in keys:
                self.columns[key].update(dict.fromkeys(text for text in texts if text != MISSING_TEXT))


def literals_of(model: onnx.ModelProto) -> dict[str, Array]:
    """Constants of text by name."""
    found = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.STRING
    }
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute:
            attribute = node.attribute[0]
            if attribute.name == "value" and attribute.t.data_type == onnx.TensorProto.STRING:
                found[node.output[0]] = numpy_helper.to_array(attribute.t)
            elif attribute.name == "value_strings":
                found[node.output[0]] = np.array([text.decode() for text in attribute.strings], object)
            elif attribute.name == "value_string":
                found[node.output[0]] = np.array(attribute.s.decode(), object)
    return {name: _decoded(array) for name, array in found.items()}


def _decoded(array: Array) -> Array:
    texts = [item.decode() if isinstance(item, bytes) else str(item) for item in array.reshape(-1).tolist()]
    made = np.empty(len(texts), object)
    made[:] = texts
    return made.reshape(array.shape)


def texts_of(attribute: onnx.AttributeProto) -> list[str]:
    if attribute.name in TENSORS and attribute.t.data_type == onnx.TensorProto.STRING:
        return [str(text) for text in _decoded(numpy_helper.to_array(attribute.t)).reshape(-1).tolist()]
    if attribute.name in ATTRIBUTES:
        return [text.decode() for text in (attribute.strings or [attribute.s])]
    return []


def begin(known: Known, spec: TensorSpec, signature: Signature) -> None:
    """Note an input of texts: what its columns are compared with begins with the categories they are known to have."""
    width = spec.shape[1] if len(spec.shape) == 2 else 1
    if len(spec.shape) not in (1, 2) or not isinstance(width, int):
        raise Unsupported(
            f"the input {spec.name!r} holds text in the shape {list(spec.shape)}, and TFLite has no operators on text",
            "[batch, columns] of a known width can be coded as integers; --to onnx keeps the text",
        )
    known.sources[spec.name] = [{(spec.name, place)} for place in range(width)]
    for place in range(width):
        listed: tuple[Category, ...] = next(
            (c.categories for c in signature.columns if c.input == spec.name and c.index == place), ()
        )
        texts = [text for text in listed if isinstance(text, str)]
        known.columns[(spec.name, place)] = dict.fromkeys(texts)
        for text in texts:
            known.texts.setdefault(text, len(known.texts))


def codes_of(texts: Array, known: Known) -> Array:
    flat = np.array([known.code(text) for text in texts.reshape(-1).tolist()], np.int64)
    return flat.reshape(texts.shape)
