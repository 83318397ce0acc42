"""What an ONNX file holds, as plain facts. Runs in a child process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import onnx
from onnx import NodeProto, TensorProto

from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.signature import METADATA_KEY, signature_from_text
from mlpack_edge.runtimes.onnx_files.file import check_model, parse, read_onnx
from mlpack_edge.runtimes.onnx_files.signature import ML, derived_signature, dtype_of, real_inputs, shape_of
from mlpack_edge.runtimes.onnx_files.tensors import all_tensors, dtype_name, elements, sub_graphs

Json = dict[str, Any]

#: Operators that mark a way of quantizing.
_QDQ = {"QuantizeLinear", "DequantizeLinear"}
_DYNAMIC = {"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}
_WEIGHTS = {"MatMulNBits", "MatMulBnb4", "GatherBlockQuantized"}
_NARROW = {"int8", "uint8", "int4", "uint4", "int2", "uint2", "int16", "uint16"}


def onnx_facts(payload: Json, stage: Callable[[str], None]) -> Json:
    """Facts of the ONNX file `payload["path"]`.

    `problem` is the error (as JSON) for which `open_onnx` would refuse the model, or null; `external` says how many
    tensors lie in other files. Raises BadInput where not even its fields can be read.
    """
    path = Path(payload["path"])
    stage("reading the graph")
    model = parse(read_onnx(path))
    problem: Json | None = None
    try:
        check_model(model, path.parent)
    except MlpackError as fault:
        problem = fault.to_json()
    if not model.HasField("graph"):
        raise BadInput("the file holds no graph: it is empty or cut short", "copy or download it again")
    stage("counting operators and parameters")
    nodes = list(_nodes(model))
    ops = Counter(_op_name(node) for node in nodes)
    weights, external = _weights(model)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    signature, notes = _stored_signature(texts.pop(METADATA_KEY, None))
    opsets = {item.domain or "ai.onnx": item.version for item in model.opset_import}
    return {
        "opset": opsets.get("ai.onnx"),
        "opsets": dict(sorted(opsets.items())),
        "ir_version": model.ir_version,
        "producer": " ".join(text for text in (model.producer_name, model.producer_version) if text),
        "inputs": [_value(value) for value in real_inputs(model.graph)],
        "outputs": _outputs(model),
        "ops": dict(sorted(ops.items(), key=lambda item: (-item[1], item[0]))),
        "nodes": len(nodes),
        "functions": len(model.functions),
        "parameters": sum(weights.values()) + _ml_parameters(nodes),
        "quantization": _quantization(ops, weights),
        "metadata": texts,
        "signature": signature,
        "external": external,
        "problem": problem,
        "notes": notes,
    }


def _nodes(model: onnx.ModelProto) -> Iterable[NodeProto]:
    waiting: list[Any] = [*(function.node for function in model.functions), model.graph.node]
    while waiting:
        for node in waiting.pop():
            yield node
            for attribute in node.attribute:
                waiting += [body.node for body in sub_graphs(attribute)]


def _op_name(node: NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _value(value: onnx.ValueInfoProto) -> Json:
    """shape: sizes, names, null for a size without a name; null where the rank is unknown or it is no tensor."""
    shape = shape_of(value)
    return {"name": value.name, "dtype": dtype_of(value), "shape": None if shape is None else list(shape)}


def _outputs(model: onnx.ModelProto) -> list[Json]:
    values = [_value(value) for value in model.graph.output]
    try:
        roles = {spec.name: spec.role for spec in derived_signature(model).outputs}
    except MlpackError:  # a sequence or map: no signature, and no role to say
        roles = {}
    return [{**value, "role": roles.get(value["name"], "")} for value in values]


def _weights(model: onnx.ModelProto) -> tuple[Counter[str], int]:
    """Stored elements by dtype (initializers and constants alike), and how many tensors lie in other files."""
    count: Counter[str] = Counter()
    external = 0
    for tensor, _ in all_tensors(model):
        if all(size >= 0 for size in tensor.dims):
            count[dtype_name(tensor.data_type)] += elements(tensor)
        external += tensor.data_location == TensorProto.EXTERNAL
    return count, external


def _ml_parameters(nodes: Iterable[NodeProto]) -> int:
    """Numbers that the operators of ai.onnx.ml keep in attributes: thresholds, leaf weights, coefficients."""
    return sum(len(attribute.floats) for node in nodes if node.domain == ML for attribute in node.attribute)


def _quantization(ops: Counter[str], weights: Counter[str]) -> Json | None:
    """How the model is quantized: null for a float32 or float64 model."""
    bare = Counter({name.rpartition(".")[2]: number for name, number in ops.items()})
    total = sum(weights.values()) or 1
    stored = {name: number for name, number in weights.items() if name in _NARROW or name.startswith("float8")}
    half = (weights["float16"] + weights["bfloat16"]) / total
    if any(name.startswith("QLinear") for name in bare):
        scheme = "static (QLinear operators)"
    elif bare["QuantizeLinear"]:
        scheme = "static (QDQ)"
    elif any(bare[name] for name in _DYNAMIC):
        scheme = "dynamic"
    elif bare["DequantizeLinear"] or any(bare[name] for name in _WEIGHTS):
        scheme = "weights"
    elif half > 0.5:
        scheme = "bf16" if weights["bfloat16"] > weights["float16"] else "fp16"
    else:
        return None
    if half:
        stored |= {name: weights[name] for name in ("float16", "bfloat16") if weights[name]}
    return {
        "scheme": scheme,
        "weights": dict(sorted(stored.items())),
        "share": round(sum(stored.values()) / total, 4),
        "nodes": {name: bare[name] for name in sorted(_QDQ | _DYNAMIC | _WEIGHTS) if bare[name]},
    }


def _stored_signature(text: str | None) -> tuple[Json | None, list[str]]:
    """The signature that travels in the file; a damaged one is a note."""
    if text is None:
        return None, []
    try:
        return signature_from_text(text).to_json(), []
    except MlpackError as fault:
        return None, [f"{fault.message}: {fault.why}"]
