"""Each operator on codes in place of texts, or refused because it looks into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.texts.known import ATTRIBUTES, TENSORS, Known, codes_of, texts_of
from mlpack_edge.core.errors import Unsupported

Array = NDArray[Any]
ML = "ai.onnx.ml"

#: What LabelEncoder says of a key it does not have, where the model does not say it.
_NO_KEY = "_Unused"
#: Operators that move texts or choose among them, without looking into them.
MOVING = frozenset({
    "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Gather", "GatherElements",
    "GatherND", "Concat", "Split", "Tile", "Expand", "Where", "Compress",
})  # fmt: skip
#: Operators that read texts and give something else.
_READING = frozenset({"Equal", "Shape", "Size"})


def _refuse(node: onnx.NodeProto, why: str) -> Unsupported:
    kind = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
    name = node.name or next(iter(node.output), "")
    return Unsupported(
        f"operator {kind} (node {name!r}) cannot be lowered to TFLite",
        "TFLite has no operators on text: compute this part outside the model, or keep it as ONNX (--to onnx)",
        why=why, op=kind, node=name,
    )  # fmt: skip


def coded_node(node: onnx.NodeProto, known: Known, stringy: set[str], literals: Mapping[str, Array]) -> onnx.NodeProto:
    """The node on codes; notes which of its outputs are codes, and what texts they are compared with."""
    if node.op_type == "Constant":
        return _constant(node, known, literals)
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    changes = [attribute for attribute in copy.attribute if texts_of(attribute)]
    reads = [name for name in node.input if name in stringy]
    if node.op_type == "Cast":
        to = next(attribute.i for attribute in node.attribute if attribute.name == "to")
        if bool(reads) != (to == onnx.TensorProto.STRING):
            raise _refuse(node, "it makes numbers of texts" if reads else "it makes texts of numbers")
        if reads:
            copy = helper.make_node("Identity", list(node.input), list(node.output), name=node.name)
            _moved(node, known, stringy, literals)
        return copy
    if not reads and not changes:
        return copy
    if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
        raise _refuse(node, "texts come into a graph inside it")
    if node.domain in ("", "ai.onnx") and node.op_type in _READING:
        _compared(node, known, stringy, literals)
        return copy
    if node.op_type in (MOVING if node.domain in ("", "ai.onnx") else ("ArrayFeatureExtractor",)):
        _moved(node, known, stringy, literals)
        return copy
    if node.domain != ML or node.op_type not in (
        "LabelEncoder", "OneHotEncoder", "CategoryMapper", "TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier",
    ):  # fmt: skip
        raise _refuse(node, "it looks into texts")
    return _ml_node(node, copy, known, stringy, reads)


def _constant(node: onnx.NodeProto, known: Known, literals: Mapping[str, Array]) -> onnx.NodeProto:
    if node.output[0] not in literals:
        return node
    codes = numpy_helper.from_array(codes_of(literals[node.output[0]], known))
    return helper.make_node("Constant", [], list(node.output), name=node.name, value=codes)


def _compared(node: onnx.NodeProto, known: Known, stringy: set[str], literals: Mapping[str, Array]) -> None:
    if node.op_type != "Equal":
        return
    fixed = [name for name in node.input if name in literals]
    if not fixed:
        raise _refuse(node, "it compares two texts that are both known only when the model runs")
    for name in node.input:
        known.met(name, [str(text) for text in literals[fixed[0]].reshape(-1).tolist()])


def _moved(node: onnx.NodeProto, known: Known, stringy: set[str], literals: Mapping[str, Array]) -> None:
    """Note that the outputs are texts, and where they come from."""
    columns = [known.sources[name] for name in node.input if name in known.sources]
    stringy.update(name for name in node.output if name)
    if not columns:
        return
    everywhere = set[tuple[str, int]]().union(*(keys for part in columns for keys in part))
    for name in node.output:
        known.sources[name] = [everywhere]
    if node.op_type == "Identity":
        known.sources[node.output[0]] = columns[0]
    elif node.op_type == "Where":
        width = max(len(part) for part in columns)
        known.sources[node.output[0]] = [
            set[tuple[str, int]]().union(*(part[place] if place < len(part) else set() for part in columns))
            for place in range(width)
        ]
    elif node.op_type == "Concat" and all(name in known.sources for name in node.input):
        known.sources[node.output[0]] = [keys for part in columns for keys in part]


def _ml_node(
    node: onnx.NodeProto, copy: onnx.NodeProto, known: Known, stringy: set[str], reads: Sequence[str]
) -> onnx.NodeProto:
    """An operator of ai.onnx.ml whose texts stand in attributes."""
    given = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "CategoryMapper":
        pairs: dict[str, Any] = {"strings": texts_of(given["cats_strings"]), "int64s": list(given["cats_int64s"].ints)}
        source, target = ("strings", "int64s") if reads else ("int64s", "strings")
        missing = given.get("default_int64" if reads else "default_string")
        default = {} if missing is None else {missing.name: helper.get_attribute_value(missing)}
        table: dict[str, Any] = {f"keys_{source}": pairs[source], f"values_{target}": pairs[target], **default}
        whole = helper.make_node(
            "LabelEncoder", list(node.input), list(node.output), name=node.name, domain=ML, **table
        )
        return coded_node(whole, known, stringy, {})
    for name in reads:
        for attribute in (given.get(key) for key in ("keys_strings", "keys_tensor", "cats_strings")):
            if attribute is not None:
                known.met(name, texts_of(attribute))
    values = [given[key] for key in ("values_strings", "values_tensor", "classlabels_strings") if key in given]
    if node.op_type == "LabelEncoder" and "values_strings" in given and "default_string" not in given:
        code = known.texts.setdefault(_NO_KEY, len(known.texts))
        copy.attribute.append(helper.make_attribute("default_int64", code))
        given["default_int64"] = copy.attribute[-1]
    if any(texts_of(attribute) for attribute in values) or (
        node.op_type == "LabelEncoder" and "values_tensor" not in given and not any(
            key in given for key in ("values_int64s", "values_floats", "values_strings")
        )
    ):  # fmt: skip
        stringy.add(node.output[0])
    del copy.attribute[:]
    for name, attribute in given.items():
        texts = texts_of(attribute)
        if not texts:
            copy.attribute.add().CopyFrom(attribute)
        elif name in TENSORS:
            codes = np.array([known.code(text) for text in texts], np.int64)
            copy.attribute.append(helper.make_attribute(name, numpy_helper.from_array(codes)))
        elif name == "default_string":
            copy.attribute.append(helper.make_attribute(ATTRIBUTES[name], known.code(texts[0])))
        else:
            copy.attribute.append(helper.make_attribute(ATTRIBUTES[name], [known.code(text) for text in texts]))
    return copy
