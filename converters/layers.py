"""Where a TFLite file and the ONNX model it was lowered from first give something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.converters.quantized_parity import is_quantized
from mlpack_edge.converters.tflite_from_onnx.emitter import HELD
from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.runtimes.compare import differences
from mlpack_edge.runtimes.litert.source_terms import TfliteModel
from mlpack_edge.runtimes.onnxruntime import FAULTS, open_session, run
from mlpack_edge.runtimes.parity import RowsRefused

Array = NDArray[Any]
Json = dict[str, Any]

#: Roundings of float32 grow over many layers; what is wrong differs by more than this, relative to a layer's own scale.
_RTOL, _ATOL = 1e-3, 1e-4
#: Codes differ by steps: so many of 255 over twice a layer's largest magnitude.
_STEPS = 6


def divergence_of_layers(model: onnx.ModelProto, lowered: TfliteModel, feeds: Mapping[str, Array]) -> Json | None:
    """The first value of the ONNX graph, in its order, that the tensor of its name in the TFLite file does not hold.

    Returns {"step", "operator", "max_abs", "row", "reference", "candidate"}, None where the layers that can be told
    apart agree, or the two files do not go together.
    """
    try:
        made = lowered.layers(feeds)
    except (CheckFailed, RowsRefused):
        return None
    givers = {name: node for node in model.graph.node for name in node.output if name in made}
    if not givers:
        return None
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in givers)
    wide = {spec.name: spec for spec in lowered.signature.inputs}
    typed = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    fed = {name: _as_fed(feeds[name], typed[name]) for name in wide if name in typed}
    try:
        expected = run(open_session(tapped.SerializeToString()), fed)
    except FAULTS:  # another model's file: its layers are not these
        return None
    quantized = is_quantized(model)
    for name, node in givers.items():
        if quantized and expected[name].dtype.kind in "iu":
            continue  # codes: the file may hold them on another grid, and their real numbers are compared
        found = _difference(expected[name], made[name], quantized)
        if found is not None:
            return {"step": name, "operator": node.op_type, **found}
    return None


def _as_fed(array: Array, element: int) -> Array:
    """Rows in the element type of the graph's input: float32 rows into a float64 input."""
    wanted = helper.tensor_dtype_to_np_dtype(element)
    return array.astype(wanted) if array.dtype.kind == "f" and wanted.kind == "f" else array


def _difference(reference: Array, candidate: Array, quantized: bool = False) -> Json | None:
    if reference.dtype.kind not in "fiub" or HELD.get(reference.dtype.name) is None:
        return None
    if reference.shape != candidate.shape:
        shapes = {"reference": str(list(reference.shape)), "candidate": str(list(candidate.shape))}
        return {"max_abs": None, "row": None, **shapes}
    if not reference.size:
        return None
    absolute, _ = differences(reference, candidate)
    magnitude = np.abs(reference.astype(np.float64))
    finite = magnitude[np.isfinite(magnitude) & (magnitude > 0)]
    scale = float(np.median(finite)) if finite.size else 1.0
    with np.errstate(invalid="ignore"):
        limit = _RTOL * magnitude + _ATOL * max(scale, 1e-6)
        if quantized and finite.size:
            limit = np.maximum(limit, _STEPS * 2 / 255 * finite.max())
        beyond = ~(absolute <= limit)
    if not beyond.any():
        return None
    worst = np.unravel_index(int(np.argmax(np.where(beyond, absolute, -1.0))), reference.shape)
    return {
        "max_abs": float(absolute[worst]),
        "row": int(worst[0]) if worst else 0,
        "reference": repr(reference[worst].item()),
        "candidate": repr(candidate[worst].item()),
    }
