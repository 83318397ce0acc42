"""Names of the TFLite schema as numbers: element types, operators, options tables, enumerations.

The classes are those that ai-edge-litert generates from `schema.fbs`; they carry no types.
"""

from __future__ import annotations

import re
from typing import Any

from ai_edge_litert import schema_py_generated as generated

#: numpy name -> TensorType; "int4" holds int8 numbers from -8 to 7, two in a byte of the file
TENSOR_TYPES: dict[str, int] = {
    "float32": generated.TensorType.FLOAT32,
    "float16": generated.TensorType.FLOAT16,
    "float64": generated.TensorType.FLOAT64,
    "int4": generated.TensorType.INT4,
    "int8": generated.TensorType.INT8,
    "int16": generated.TensorType.INT16,
    "int32": generated.TensorType.INT32,
    "int64": generated.TensorType.INT64,
    "uint8": generated.TensorType.UINT8,
    "uint16": generated.TensorType.UINT16,
    "uint32": generated.TensorType.UINT32,
    "bool": generated.TensorType.BOOL,
}
OPERATORS: dict[str, int] = {
    name: number for name, number in vars(generated.BuiltinOperator).items() if isinstance(number, int)
}
#: Options tables whose name is not the operator's.
_SHARED = {
    "AVERAGE_POOL_2D": "Pool2D", "MAX_POOL_2D": "Pool2D", "L2_POOL_2D": "Pool2D", "CONV_3D_TRANSPOSE": "Conv3D",
    "SUM": "Reducer", "MEAN": "Reducer", "REDUCE_MAX": "Reducer", "REDUCE_MIN": "Reducer", "REDUCE_PROD": "Reducer",
    "REDUCE_ANY": "Reducer", "REDUCE_ALL": "Reducer", "MAXIMUM": "MaximumMinimum", "MINIMUM": "MaximumMinimum",
    "L2_NORMALIZATION": "L2Norm", "COMPLEX_ABS": "", "RANDOM_UNIFORM": "Random", "RANDOM_STANDARD_NORMAL": "Random",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNN",
}  # fmt: skip
_TABLES = {name.removesuffix("OptionsT").lower(): name for name in vars(generated) if name.endswith("OptionsT")}
#: Options by the name of their field, where a name stands for a number.
_ENUMERATIONS = {
    "padding": generated.Padding,
    "fused_activation_function": generated.ActivationFunctionType,
    "in_data_type": generated.TensorType,
    "out_data_type": generated.TensorType,
    "output_type": generated.TensorType,
    "out_type": generated.TensorType,
    "idx_out_type": generated.TensorType,
    "mode": generated.MirrorPadMode,
    "comparison_direction": generated.StablehloComparisonDirection,
    "weights_format": generated.FullyConnectedOptionsWeightsFormat,
}


def options_table(kind: str) -> str | None:
    """The name of an operator's options table (`Conv2DOptions`), None where it has none."""
    wanted = _SHARED.get(kind, kind.replace("_", "")).lower()
    name = _TABLES.get(wanted)
    return name.removesuffix("T") if name else None


def enumerated(field: str, value: Any) -> Any:
    """The number of an enumeration's name; numpy names of types are taken too. Other values as they are."""
    if not isinstance(value, str):
        return value
    if value in TENSOR_TYPES:
        return TENSOR_TYPES[value]
    return getattr(_ENUMERATIONS[field], value)


def attribute(field: str) -> str:
    """The name the generated classes give a field: `stride_w` -> `strideW`."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), field)
