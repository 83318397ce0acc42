"""What a TFLite file holds, as plain facts. Runs in a child process: its reader trusts every offset in the file.

Read through the flatbuffer classes that LiteRT ships (schema version 3 of TFLite), table by table; no tensor data is
copied.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import METADATA_KEY, signature_from_text
from mlpack_edge.runtimes.inspection.tflite_quantization import Census

Json = dict[str, Any]
#: A table of the flatbuffer (the generated classes have no types).
Table = Any

#: What the reader raises when an offset leads astray.
_ASTRAY = (
    struct.error,
    IndexError,
    ValueError,
    TypeError,
    OverflowError,
    UnicodeDecodeError,
    AttributeError,
    MemoryError,
)
#: Every element of these vectors is at least an offset or a number: more of them than that cannot be in the file.
_MIN_BYTES = 4


def _names(kind: type) -> dict[int, str]:
    return {number: name for name, number in vars(kind).items() if isinstance(number, int)}


_DTYPES = {number: name.lower() for number, name in _names(schema.TensorType).items()}
_OPS = _names(schema.BuiltinOperator)


def tflite_facts(payload: Json, stage: Callable[[str], None]) -> Json:
    """Facts of the TFLite file `payload["path"]`.

    Raises BadInput, with the facts read so far in `data["facts"]`, where an offset leads out of the file.
    """
    path = Path(payload["path"])
    stage("reading the flatbuffer")
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    facts: Json = {}
    try:
        model = schema.Model.GetRootAs(data, 0)
        for read in (_head, _graphs, _metadata):
            facts |= read(model, len(data))
    except _ASTRAY as fault:
        raise BadInput(
            f"{path} is a damaged TFLite model: an offset in it leads astray",
            "copy or download it again, and compare its sha256",
            why=str(fault)[:200] or type(fault).__name__, facts=facts,
        ) from fault  # fmt: skip
    return facts


def _count(number: int, size: int, what: str) -> range:
    if not 0 <= number <= size // _MIN_BYTES:
        raise ValueError(f"{number:,} {what} in a file of {size:,} bytes")
    return range(number)


def _text(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace") if raw else ""


def _head(model: Table, size: int) -> Json:
    version = int(model.Version())
    if version != 3:
        raise ValueError(f"schema version {version}; there is only 3")
    groups = int(model.ExternalBufferGroupsLength())
    return {"schema_version": version, "producer": _text(model.Description()), "external": groups}


def _graphs(model: Table, size: int) -> Json:
    """Operators and weights of all sub-graphs; inputs and outputs of the first, which is the one that runs."""
    codes = [model.OperatorCodes(i) for i in _count(model.OperatorCodesLength(), size, "operator codes")]
    names = [_op_name(code) for code in codes]
    filled = [_is_filled(model, i) for i in _count(int(model.BuffersLength()), size, "buffers")]
    ops: Counter[str] = Counter()
    versions: dict[str, set[int]] = {}
    census = Census()
    counted: set[int] = set()
    inputs: list[Json] = []
    outputs: list[Json] = []
    for number in _count(model.SubgraphsLength(), size, "sub-graphs"):
        graph = model.Subgraphs(number)
        tensors = [graph.Tensors(i) for i in _count(graph.TensorsLength(), size, "tensors")]
        for tensor in tensors:
            buffer = int(tensor.Buffer())
            if filled[buffer] and buffer not in counted:
                counted.add(buffer)
                census.weights[_dtype(tensor)] += _elements(tensor, size)
            census.count(_dtype(tensor), tensor.Quantization(), filled[buffer])
        for i in _count(graph.OperatorsLength(), size, "operators"):
            operator = graph.Operators(i)
            code = operator.OpcodeIndex()
            ops[names[code]] += 1
            versions.setdefault(names[code], set()).add(int(codes[code].Version()))
            places = [int(operator.Inputs(k)) for k in _count(operator.InputsLength(), size, "inputs of an operator")]
            census.unscaled[names[code]] += any(_is_unscaled(tensors[place]) for place in places if place >= 0)
        if number == 0:
            inputs = [_tensor(tensors[graph.Inputs(i)]) for i in _count(graph.InputsLength(), size, "inputs")]
            outputs = [_tensor(tensors[graph.Outputs(i)]) for i in _count(graph.OutputsLength(), size, "outputs")]
    if not outputs:
        raise ValueError("no sub-graph has an output")
    return {
        "inputs": inputs,
        "outputs": outputs,
        "ops": dict(sorted(ops.items(), key=lambda item: (-item[1], item[0]))),
        "op_versions": {name: sorted(found) for name, found in sorted(versions.items())},
        "unscaled_ops": sorted(+census.unscaled),
        "nodes": sum(ops.values()),
        "subgraphs": int(model.SubgraphsLength()),
        "tensors": dict(sorted(census.tensors.items())),
        "parameters": sum(census.weights.values()),
        "quantization": census.facts([*inputs, *outputs]),
    }


def _op_name(code: Table) -> str:
    """Since schema 3a, codes above 127 stand in a second field; the larger of the two is meant."""
    number = max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))
    if _OPS.get(number) == "CUSTOM":
        return f"custom.{_text(code.CustomCode())}"
    return _OPS.get(number, f"operator {number}")


def _is_filled(model: Table, index: int) -> bool:
    buffer = model.Buffers(index)
    return int(buffer.DataLength()) > 0 or int(buffer.Offset()) > 1  # above 2 GB data lies behind the flatbuffer


def _dtype(tensor: Table) -> str:
    return _DTYPES.get(int(tensor.Type()), f"type {tensor.Type()}")


def _shape(tensor: Table, signature: bool) -> list[int]:
    length = int(tensor.ShapeSignatureLength() if signature else tensor.ShapeLength())
    if length > 64:
        raise ValueError(f"a tensor of {length:,} dimensions")
    return [int(tensor.ShapeSignature(i) if signature else tensor.Shape(i)) for i in range(length)]


def _elements(tensor: Table, size: int) -> int:
    count = math.prod(_shape(tensor, signature=False))
    if not 0 <= count <= size * 8:
        raise ValueError(f"a stored tensor of {count:,} elements")
    return count


def _is_quantized(tensor: Table) -> bool:
    parameters = tensor.Quantization()
    return parameters is not None and int(parameters.ScaleLength()) > 0


def _is_unscaled(tensor: Table) -> bool:
    return _dtype(tensor) in ("int8", "uint8") and not _is_quantized(tensor)


def _tensor(tensor: Table) -> Json:
    """shape: null for a size that varies (-1 in `shape_signature`)."""
    shape = _shape(tensor, signature=True) or _shape(tensor, signature=False)
    facts: Json = {
        "name": _text(tensor.Name()),
        "dtype": _dtype(tensor),
        "shape": [None if size < 0 else size for size in shape],
    }
    if _is_quantized(tensor):
        parameters = tensor.Quantization()
        facts["scale"] = float(parameters.Scale(0))
        facts["zero_point"] = int(parameters.ZeroPoint(0)) if parameters.ZeroPointLength() else 0
    return facts


def _metadata(model: Table, size: int) -> Json:
    """Entries that are text and short; of others the size. The signature is read out of its own."""
    texts: Json = {}
    signature: Json | None = None
    notes: list[str] = []
    for i in _count(model.MetadataLength(), size, "metadata entries"):
        entry = model.Metadata(i)
        name = _text(entry.Name())
        buffer = model.Buffers(entry.Buffer())
        raw = bytes(buffer.DataAsNumpy()) if int(buffer.DataLength()) else b""
        if name == METADATA_KEY:
            try:
                signature = signature_from_text(raw.decode("utf-8", "replace")).to_json()
            except MlpackError as fault:
                notes.append(f"{fault.message}: {fault.why}")
            continue
        plain = raw.rstrip(b"\0")
        texts[name] = plain.decode("utf-8") if plain.isascii() and len(plain) <= 1000 else f"{len(raw):,} bytes"
    keys = [
        _text(model.SignatureDefs(i).SignatureKey()) for i in _count(model.SignatureDefsLength(), size, "signatures")
    ]
    return {"metadata": texts, "signature": signature, "signature_defs": keys, "notes": notes}
