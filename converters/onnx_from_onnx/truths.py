"""What small nodes give of constants and shapes: the questions that exporters ask of ranks and sizes.

Values are arrays; where a size is open, arrays of objects with None in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mlpack_edge.core.signature import Dimension

Array = NDArray[Any]
Attributes = dict[str, Any]
Compute = Callable[[list[Array], Attributes], "Array | None"]


def value_of(
    node: NodeProto, values: Mapping[str, Array], shapes: Mapping[str, tuple[Dimension | None, ...]]
) -> Array | None:
    """The first output of `node` where the operators here give it (ONNX, operator sets 7 to 24), else None.

    values, shapes: what is known of names.
    """
    if node.domain:
        return None
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Constant":
        return _constant(attributes)
    if node.op_type == "Shape":
        return _shape(node.input[0], attributes, values, shapes)
    if node.op_type not in _COMPUTED or not node.input or not all(name in values for name in node.input):
        return None
    arrays = [values[name] for name in node.input]
    try:
        made = _COMPUTED[node.op_type](arrays, attributes)
    except (TypeError, ValueError, IndexError):  # an open size, or what the runtime will refuse
        return None
    return None if made is None else np.asarray(made)


def _constant(attributes: Attributes) -> Array | None:
    (name, value), *others = attributes.items()
    if others or name not in ("value", "value_int", "value_ints"):
        return None
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value, np.int64)


def _shape(
    name: str, attributes: Attributes, values: Mapping[str, Array], shapes: Mapping[str, tuple[Dimension | None, ...]]
) -> Array | None:
    sizes: tuple[Dimension | None, ...] | None = values[name].shape if name in values else shapes.get(name)
    if sizes is None:
        return None
    # Some exporters write 0 or -1 for a size that is open.
    plain = [size if isinstance(size, int) and size > 0 else None for size in sizes]
    return _plain(np.array(plain[attributes.get("start", 0) : attributes.get("end")], object))


def _plain(array: Array) -> Array:
    """int64 where every size is known."""
    return array if any(one is None for one in array.reshape(-1)) else array.astype(np.int64)


def _known(*arrays: Array) -> bool:
    return not any(array.dtype == object for array in arrays)


def _gather(arrays: list[Array], attributes: Attributes) -> Array:
    made = np.take(arrays[0], arrays[1].astype(np.int64), axis=attributes.get("axis", 0))
    return _plain(np.asarray(made)) if arrays[0].dtype == object else np.asarray(made)


def _axes(arrays: list[Array], attributes: Attributes) -> tuple[int, ...] | None:
    """An attribute before operator set 13, an input since."""
    given = arrays[1] if len(arrays) > 1 else attributes.get("axes")
    return None if given is None else tuple(int(axis) for axis in np.asarray(given).reshape(-1))


def _unsqueeze(arrays: list[Array], attributes: Attributes) -> Array | None:
    axes = _axes(arrays, attributes)
    return None if axes is None else np.expand_dims(arrays[0], axes)


def _cast(arrays: list[Array], attributes: Attributes) -> Array | None:
    wanted = attributes["to"]
    if not _known(*arrays) or wanted not in _WHOLE or arrays[0].dtype.kind not in "biu":
        return None
    return arrays[0].astype(helper.tensor_dtype_to_np_dtype(wanted))


_WHOLE = frozenset({TensorProto.BOOL, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8, TensorProto.INT8})


def _compared(compare: Callable[..., Any]) -> Compute:
    return lambda arrays, attributes: np.asarray(compare(*arrays)) if _known(*arrays) else None


#: Operator -> what it gives of its inputs' values; None or one of the errors above where that is not known.
_COMPUTED: dict[str, Compute] = {
    "Identity": lambda arrays, attributes: arrays[0],
    "Size": lambda arrays, attributes: np.asarray(arrays[0].size, np.int64),
    "Gather": _gather,
    "Squeeze": lambda arrays, attributes: np.squeeze(arrays[0], _axes(arrays, attributes)),
    "Unsqueeze": _unsqueeze,
    "Cast": _cast,
    "Equal": _compared(np.equal),
    "Greater": _compared(np.greater),
    "GreaterOrEqual": _compared(np.greater_equal),
    "Less": _compared(np.less),
    "LessOrEqual": _compared(np.less_equal),
    "And": _compared(np.logical_and),
    "Or": _compared(np.logical_or),
    "Not": _compared(np.logical_not),
}
