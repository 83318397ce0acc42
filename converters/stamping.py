"""What travels in a file beside the model: its signature, its lineage, the names of its steps' tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import onnx

from mlpack_edge.core.artifact import Lineage
from mlpack_edge.core.signature import METADATA_KEY, Signature

Json = dict[str, Any]

LINEAGE_KEY = "mlpack.lineage"
STEPS_KEY = "mlpack.steps"
#: Packages whose version can change what a conversion writes, by source kind.
_VERSIONS = {
    "skops": ("scikit-learn", "skl2onnx"),
    "pickle": ("scikit-learn", "skl2onnx"),
    "xgboost-json": ("xgboost-cpu", "xgboost"),
    "xgboost-ubj": ("xgboost-cpu", "xgboost"),
    "lightgbm": ("lightgbm",),
    "catboost": ("catboost",),
    "torch": ("torch", "onnxscript"),
    "torch-export": ("torch", "onnxscript"),
}
#: The options that shape the output.
_SHAPING = ("dtype", "opset", "stop_before", "matrix", "shapes", "layout")


def lineage_of(kind: str, digest: str, payload: Json) -> Lineage:
    """What made a file: source, versions of the packages that matter, options that shape the output as JSON text."""
    versions = []
    for package in ("mlpack-edge", "onnx", *_VERSIONS.get(kind, ())):
        try:
            versions.append((package, version(package)))
        except PackageNotFoundError:
            continue
    spoken = {
        name: json.dumps(payload[name]) for name in _SHAPING if payload.get(name) not in (None, False, [], "keep")
    }
    return Lineage(kind, digest, tuple(versions), tuple(sorted(spoken.items())))


def lineage_text(lineage: Lineage) -> str:
    return json.dumps(lineage.to_json(), sort_keys=True, separators=(",", ":"))


def stamp(model: onnx.ModelProto, signature: Signature, lineage: Lineage, taps: Mapping[str, str]) -> None:
    """Put the signature, the lineage and the names of the steps' tensors into an ONNX model."""
    entries = {METADATA_KEY: signature.dumps(), LINEAGE_KEY: lineage_text(lineage)}
    if taps:
        entries[STEPS_KEY] = json.dumps(dict(taps), separators=(",", ":"))
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key not in entries]
    del model.metadata_props[:]
    for key, value in [*kept, *entries.items()]:
        model.metadata_props.add(key=key, value=value)


def taps_of(model: onnx.ModelProto) -> dict[str, str]:
    """The tensors of the steps by step path, where mlpack wrote the file."""
    texts = {entry.key: entry.value for entry in model.metadata_props}
    try:
        found = json.loads(texts.get(STEPS_KEY, "{}"))
    except (json.JSONDecodeError, RecursionError):
        return {}  # an entry that mlpack did not write: the steps are not known
    return {str(path): str(tensor) for path, tensor in found.items()} if isinstance(found, dict) else {}
