"""Cut an ONNX graph before its texts begin: labels leave it as whole numbers, and become texts in Arrow.

A string of a model's output costs ten times a number's time. Texts come from a table of classes: `Gather` (opset 13) or
`ArrayFeatureExtractor` of stored strings, `LabelEncoder` with string values, or a classifier of ai.onnx.ml with string
labels; operators that only hand on may follow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

_PASSING = {"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}
#: Classifiers of ai.onnx.ml, and what each calls its labels that are whole numbers.
_CLASSIFIERS = {
    "TreeEnsembleClassifier": "classlabels_int64s",
    "LinearClassifier": "classlabels_ints",
    "SVMClassifier": "classlabels_ints",
}

Stored = dict[str, TensorProto]


def cut_outputs(model: onnx.ModelProto) -> dict[str, tuple[str, ...]]:
    """Change the model so that its outputs of text give places in a list of texts (int64), where that can be.

    Gives those lists by the names of the outputs; others are left as they are.
    """
    graph = model.graph
    givers = {name: node for node in graph.node for name in node.output if name}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    found: dict[str, tuple[str, ...]] = {}
    for value in graph.output:
        if value.type.tensor_type.elem_type != TensorProto.STRING:
            continue
        name, node = value.name, givers.get(value.name)
        alone = True
        while node is not None and node.op_type in _PASSING and node.domain in ("", "ai.onnx"):
            name = node.input[0]
            alone = alone and readers[name] == 1 and all(other.name != name for other in graph.output)
            node = givers.get(name)
        if node is None or not alone or (name == value.name and readers.get(name)):
            continue
        cut = _CUTS.get(node.op_type)
        classes = cut(node, stored) if cut is not None and node.output[0] == name else None
        if classes:
            found[value.name] = classes
            value.type.tensor_type.elem_type = TensorProto.INT64
    if found:
        del graph.value_info[:]
    return found


def _gather(node: NodeProto, stored: Stored) -> tuple[str, ...] | None:
    table = stored.get(node.input[0])
    axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
    if table is None or table.data_type != TensorProto.STRING or len(table.dims) != 1 or axis not in (0, -1):
        return None
    _become_cast(node, node.input[1])
    return _texts(table)


def _extract(node: NodeProto, stored: Stored) -> tuple[str, ...] | None:
    table = stored.get(node.input[0])
    if table is None or table.data_type != TensorProto.STRING or int(np.prod(table.dims)) != table.dims[-1]:
        return None
    _become_cast(node, node.input[1])
    return _texts(table)


def _encode(node: NodeProto, stored: Stored) -> tuple[str, ...] | None:
    """LabelEncoder (ai.onnx.ml 2 to 4): each value its own place, and the default the last."""
    attributes = {item.name: item for item in node.attribute}
    if "values_strings" in attributes:
        values = [item.decode() for item in attributes["values_strings"].strings]
        default = attributes["default_string"].s.decode() if "default_string" in attributes else "_Unused"
    elif "values_tensor" in attributes and attributes["values_tensor"].t.data_type == TensorProto.STRING:
        values = list(_texts(attributes["values_tensor"].t))
        tensor = attributes.get("default_tensor")
        default = _texts(tensor.t)[0] if tensor is not None else "_Unused"
    else:
        return None
    places = np.arange(len(values), dtype=np.int64)
    if any(name.startswith("keys_tensor") for name in attributes):
        new = [
            helper.make_attribute("values_tensor", numpy_helper.from_array(places)),
            helper.make_attribute("default_tensor", numpy_helper.from_array(np.array([len(values)], np.int64))),
        ]
    else:
        new = [
            helper.make_attribute("values_int64s", places.tolist()),
            helper.make_attribute("default_int64", len(values)),
        ]
    kept = [item for item in node.attribute if item.name.startswith("keys_")]
    del node.attribute[:]
    node.attribute.extend([*kept, *new])
    return (*values, default)


def _classify(node: NodeProto, stored: Stored) -> tuple[str, ...] | None:
    named = [item for item in node.attribute if item.name == "classlabels_strings" and item.strings]
    if not named:
        return None
    texts = tuple(item.decode() for item in named[0].strings)
    named[0].CopyFrom(helper.make_attribute(_CLASSIFIERS[node.op_type], list(range(len(texts)))))
    return texts


_CUTS: dict[str, Callable[[NodeProto, Stored], tuple[str, ...] | None]] = {
    "Gather": _gather,
    "ArrayFeatureExtractor": _extract,
    "LabelEncoder": _encode,
    **dict.fromkeys(_CLASSIFIERS, _classify),
}


def _become_cast(node: NodeProto, source: str) -> None:
    output = node.output[0]
    node.Clear()
    node.CopyFrom(helper.make_node("Cast", [source], [output], to=TensorProto.INT64))


def _texts(tensor: TensorProto) -> tuple[str, ...]:
    return tuple(item.decode() for item in tensor.string_data)
