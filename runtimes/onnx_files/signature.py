"""The signature of an ONNX model: the one that travels in it, or else what the graph itself tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import NodeProto, ValueInfoProto, helper

from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import (
    METADATA_KEY,
    Category,
    Dimension,
    Signature,
    TensorSpec,
    signature_from_text,
)
from mlpack_edge.runtimes.onnx_files.tensors import dtype_name

ML = "ai.onnx.ml"
#: Operators that hand on what an output means.
_PASSING = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand"}
#: Operators that give a part of what they get.
_TAKING = {"Slice", "Split", "Gather", "Pad"}
_CLASSIFIERS = {"TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier"}
_REGRESSORS = {"TreeEnsembleRegressor", "LinearRegressor", "SVMRegressor"}
_CHOOSING = {"ArgMax", "ArrayFeatureExtractor", "LabelEncoder"}
#: Names that exporters give: skl2onnx and onnxmltools, XGBoost, LightGBM, CatBoost.
_PROBABILITY_NAMES = {"probabilities", "probability", "output_probability", "proba", "probs"}
#: Element types of arrays that ONNX Runtime takes from Python.
FED = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "string",
}  # fmt: skip
_LABEL_NAMES = {"label", "output_label", "labels"}


def signature_from_onnx(model: onnx.ModelProto) -> Signature:
    """The signature in the model's metadata where there is one; otherwise names, dtypes and shapes of the graph.

    Dynamic sizes keep their names. Without one, a first size is "batch" and any other is called after its tensor
    (`x_dim1`). Roles and classes are filled in where the operators say them (classifiers of ai.onnx.ml, ZipMap,
    Softmax, ArgMax), else the role is "". Raises Unsupported for sequences, maps and optional values (`convert`
    makes plain tensors of ZipMap's) and for tensors of unknown rank; BadInput where the metadata is damaged.
    """
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            return signature_from_text(entry.value)
    return derived_signature(model)


def inputs_from_onnx(model: onnx.ModelProto, shapes: Mapping[str, tuple[Dimension, ...]]) -> Signature:
    """As `signature_from_onnx`; without one in the metadata the inputs alone, for who looks at no output's meaning.

    shapes: of inputs whose rank the graph leaves open. Raises Unsupported for inputs that are no tensors, or of element
    types that numpy has not (bfloat16); BadInput where the metadata is damaged.
    """
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            return signature_from_text(entry.value)
    specs = []
    for value in real_inputs(model.graph):
        if shape_of(value) is None and dtype_of(value) in FED and value.name in shapes:
            specs.append(TensorSpec(value.name, dtype_of(value), shapes[value.name]))
            continue
        specs.append(_spec(value, "", "input"))
        if specs[-1].dtype not in FED:
            raise Unsupported(
                f"the input {value.name!r} is {specs[-1].dtype}, of which ONNX Runtime takes no array from Python",
                "export the model with float32 inputs that it casts itself", tensor=value.name,
            )  # fmt: skip
    return Signature(tuple(specs), ())


def derived_signature(model: onnx.ModelProto) -> Signature:
    """What the graph itself tells, whatever the metadata says."""
    inputs = tuple(_spec(value, "", "input") for value in real_inputs(model.graph))
    givers = {name: node for node in model.graph.node for name in node.output if name}
    outputs = tuple(
        _spec(value, role_of(value.name, dtype_of(value), givers), "output") for value in model.graph.output
    )
    classes = classes_of(model.graph.node)
    if not any(spec.role == "probabilities" and spec.shape[-1:] == (len(classes),) for spec in outputs):
        classes = ()
    return Signature(inputs, outputs, classes=classes)


def real_inputs(graph: onnx.GraphProto) -> list[ValueInfoProto]:
    """The inputs that must be fed; IR 3 lists the initializers among the inputs too."""
    stored = {tensor.name for tensor in graph.initializer}
    stored |= {sparse.values.name for sparse in graph.sparse_initializer}
    return [value for value in graph.input if value.name not in stored]


def dtype_of(value: ValueInfoProto) -> str:
    """The element type of a tensor; "sequence", "map", "optional", "sparse_tensor" for what is none."""
    kind = value.type.WhichOneof("value")
    if kind == "tensor_type":
        return dtype_name(value.type.tensor_type.elem_type)
    return str(kind or "undefined").removesuffix("_type")


def shape_of(value: ValueInfoProto) -> tuple[Dimension | None, ...] | None:
    """Sizes, names, and None where a size has neither; None where the rank is unknown.

    Negative sizes and names such as "?" are what some exporters write for "unknown".
    """
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or not tensor.HasField("shape"):
        return None
    shape: list[Dimension | None] = []
    for size in tensor.shape.dim:
        kind = size.WhichOneof("value")
        if kind == "dim_value" and size.dim_value >= 0:
            shape.append(size.dim_value)
        else:
            name = size.dim_param if kind == "dim_param" else ""
            shape.append(name if any(letter.isalnum() for letter in name) and not name.lstrip("-").isdigit() else None)
    return tuple(shape)


def _spec(value: ValueInfoProto, role: str, what: str) -> TensorSpec:
    dtype, shape = dtype_of(value), shape_of(value)
    if shape is None and value.type.WhichOneof("value") == "tensor_type":
        raise Unsupported(
            f"the {what} {value.name!r} is a {dtype} of unknown rank",
            f"give its shape: --shape {value.name}=batchx...", tensor=value.name,
        )  # fmt: skip
    if shape is None:
        raise Unsupported(
            f"the {what} {value.name!r} is a {dtype}, not a tensor",
            "export the model with plain tensors as inputs" if what == "input"
            else "mlpack convert makes plain tensors of ZipMap's maps; other sequences: export the model without them",
            tensor=value.name,
        )  # fmt: skip
    named = tuple(
        size if size is not None else "batch" if index == 0 else f"{value.name}_dim{index}"
        for index, size in enumerate(shape)
    )
    return TensorSpec(value.name, dtype, named, role)


def role_of(name: str, dtype: str, givers: dict[str, NodeProto]) -> str:
    """What the output `name` means, by the operator that gives it (see `core.signature.TensorSpec.role`)."""
    node, number = _origin(name, givers)
    if node is None:
        return ""
    if dtype.startswith("float") and _holds_sigmoid(name, givers):
        return "proportions"
    if node.domain == ML and node.op_type in _CLASSIFIERS:
        if number == 0:
            return "label"
        sure = attribute_text(node, "post_transform") in ("LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")
        return "probabilities" if sure or name.lower() in _PROBABILITY_NAMES else "scores"
    if node.domain == ML and node.op_type in _REGRESSORS:
        return "value"
    if dtype == "string" or (node.op_type in _CHOOSING and dtype.startswith(("int", "bool", "uint"))):
        return "label"
    if name.lower() in _LABEL_NAMES and dtype.startswith(("int", "bool")):
        return "label"
    if node.op_type in ("ZipMap", "Softmax") or (name.lower() in _PROBABILITY_NAMES and dtype.startswith("float")):
        return "probabilities"
    if _is_written_out_softmax(node, givers):
        return "probabilities"
    if node.op_type == "Normalizer":
        before, _ = _origin(node.input[0], givers)
        return "probabilities" if before is not None and before.op_type in _CLASSIFIERS else ""
    return ""


def _holds_sigmoid(name: str, givers: dict[str, NodeProto]) -> bool:
    """Whether a sigmoid's numbers are in `name`, alone or put together with others, as detectors put scores to boxes."""
    waiting, seen = [name], set[str]()
    while waiting and len(seen) < 64:
        current = waiting.pop()
        node = givers.get(current)
        if node is None or current in seen:
            continue
        seen.add(current)
        if node.op_type == "Sigmoid":
            return True
        if node.op_type == "Concat":
            waiting += node.input
        elif node.op_type in _PASSING | _TAKING:
            waiting.append(node.input[0])
    return False


def _is_written_out_softmax(node: NodeProto, givers: dict[str, NodeProto]) -> bool:
    """Whether a node is the division of Exp(x) by the sum of it, as some exporters write a softmax."""
    if node.op_type != "Div" or len(node.input) != 2:
        return False
    total, _ = _origin(node.input[1], givers)
    above = givers.get(node.input[0])
    return (
        total is not None
        and total.op_type == "ReduceSum"
        and above is not None
        and above.op_type == "Exp"
        and total.input[0] == node.input[0]
    )


def _origin(name: str, givers: dict[str, NodeProto]) -> tuple[NodeProto | None, int]:
    """The node that gives `name`, seen through operators that only hand it on, and which of its outputs it is."""
    node = givers.get(name)
    for _ in range(32):
        if node is None or node.op_type not in _PASSING or not node.input or node.input[0] not in givers:
            break
        name = node.input[0]
        node = givers[name]
    return node, list(node.output).index(name) if node is not None else 0


def classes_of(nodes: Sequence[NodeProto]) -> tuple[Category, ...]:
    """The class labels that ZipMap or a classifier of ai.onnx.ml carries, in the order of the probabilities."""
    for wanted in ("ZipMap", *sorted(_CLASSIFIERS)):
        for node in nodes:
            if node.domain == ML and node.op_type == wanted:
                for attribute in node.attribute:
                    if attribute.name in ("classlabels_strings", "classlabels_int64s", "classlabels_ints"):
                        found = helper.get_attribute_value(attribute)
                        if found:
                            return tuple(
                                item.decode("utf-8", "replace") if isinstance(item, bytes) else int(item)
                                for item in found
                            )
    return ()


def attribute_text(node: NodeProto, name: str) -> str:
    """A string attribute, "" where it is not there."""
    return next((item.s.decode("utf-8", "replace") for item in node.attribute if item.name == name), "")
