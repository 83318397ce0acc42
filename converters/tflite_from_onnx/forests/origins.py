"""Which column of which input a column inside a graph comes from, where it rises or falls with that one alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mlpack_edge.core.signature import Signature

Array = NDArray[Any]
ML = "ai.onnx.ml"
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)


@dataclass(frozen=True, slots=True)
class Origin:
    """Column `index` of the graph's input `name`. rising: whether it rises with it, or falls; between NaN and infinity
    neither step is turned round by rounding. same: whether it is the very number, in float32."""

    name: str
    index: int
    rising: bool = True
    same: bool = True


#: One for each column of a tensor [batch, columns]; None where it comes from several or in another way.
Origins = tuple["Origin | None", ...]
Rule = Callable[["ColumnOrigins", onnx.NodeProto], "Origins | None"]


class ColumnOrigins:
    """Looks columns up through the nodes that make them."""

    def __init__(
        self,
        nodes: Sequence[onnx.NodeProto],
        constants: Mapping[str, Array],
        signature: Signature,
        widths: Mapping[str, int],
    ) -> None:
        self.widths = widths
        self.constants = constants
        self.makers = {name: node for node in nodes for name in node.output if name}
        self._known: dict[str, Origins | None] = {}
        for spec in signature.inputs:
            width = spec.shape[1] if len(spec.shape) == 2 else None
            floats = spec.dtype in ("float32", "float64") and isinstance(width, int)
            self._known[spec.name] = (
                tuple(Origin(spec.name, index) for index in range(int(width or 0))) if floats else None
            )

    def of(self, name: str) -> Origins | None:
        """The origins of the columns of a tensor, None where nothing is known, not even how many there are."""
        waiting = [name]
        while waiting:
            at = waiting[-1]
            node = self.makers.get(at)
            open_inputs = [] if node is None or at in self._known else [
                one for one in node.input if one in self.makers and one not in self._known
            ]  # fmt: skip
            if open_inputs:
                waiting.extend(open_inputs)
                continue
            waiting.pop()
            if at not in self._known:
                rule = None if node is None else _RULES.get((node.domain, node.op_type))
                found = None if rule is None or node is None else rule(self, node)
                if found is None and at in self.widths:
                    found = (None,) * self.widths[at]
                self._known[at] = found
        return self._known[name]

    def constant(self, node: onnx.NodeProto, place: int) -> Array | None:
        return self.constants.get(node.input[place]) if place < len(node.input) else None


def _attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return onnx.helper.get_attribute_value(attribute)
    return default


def _same(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    return known.of(node.input[0])


def _cast(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    found = known.of(node.input[0])
    return found if _attribute(node, "to") in _FLOATS else _unknown(found)


def _unknown(found: Origins | None) -> Origins | None:
    return None if found is None else (None,) * len(found)


def _rising(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    """Floor, Relu, Clip between constants: never falls where x rises."""
    found = known.of(node.input[0])
    if found is None or any(
        known.constant(node, place) is None for place in range(1, len(node.input)) if node.input[place]
    ):
        return _unknown(found)
    return tuple(None if one is None else replace(one, same=False) for one in found)


def _negative(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    found = known.of(node.input[0])
    if found is None:
        return None
    return tuple(None if one is None else replace(one, rising=not one.rising, same=False) for one in found)


def _by_a_row(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    """Add, Sub, Mul, Div with a row of constants."""
    left, right = known.of(node.input[0]), known.of(node.input[1])
    found, other = (left, known.constant(node, 1)) if left is not None else (right, known.constant(node, 0))
    if found is None:
        return None
    if other is None or (other.ndim == 2 and len(other) != 1) or other.ndim > 2 or other.size not in (1, len(found)):
        return _unknown(found)
    numbers = np.broadcast_to(other.reshape(-1), (len(found),)).astype(np.float64)
    steps = node.op_type in ("Mul", "Div")
    turned_operator = left is None and node.op_type == "Sub"
    made: list[Origin | None] = []
    for one, number in zip(found, numbers.tolist(), strict=True):
        odd = not np.isfinite(number) or (steps and number == 0) or (left is None and node.op_type == "Div")
        turned = (steps and number < 0) or turned_operator
        made.append(None if one is None or odd else replace(one, rising=one.rising != turned, same=False))
    return tuple(made)


def _filled(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    """Where(IsNaN(a), constant or a column of the same origin, b): NaN is asked for by itself, the rest is b."""
    found = known.of(node.input[2])
    if found is None:
        return None
    test = known.makers.get(node.input[0])
    tested = known.of(test.input[0]) if test is not None and test.op_type == "IsNaN" else None
    fill = known.of(node.input[1])
    constant = known.constant(node, 1)
    if tested is None or len(tested) != len(found) or (constant is None and fill is None):
        return _unknown(found)
    made: list[Origin | None] = []
    for place, one in enumerate(found):
        other, filled = tested[place], one if fill is None or len(fill) != len(found) else fill[place]
        alike = one is not None and other is not None and filled is not None
        if alike and one is not None and other is not None and filled is not None:
            alike = (one.name, one.index) == (other.name, other.index) == (filled.name, filled.index)
        made.append(replace(one, same=False) if alike and one is not None else None)
    return tuple(made)


def _gather(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    found, places = known.of(node.input[0]), known.constant(node, 1)
    if found is None or places is None or places.ndim != 1 or _attribute(node, "axis", 0) not in (1, -1):
        return None
    return tuple(found[int(place)] for place in places)


def _array_feature_extractor(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    found, places = known.of(node.input[0]), known.constant(node, 1)
    return None if found is None or places is None else tuple(found[int(place)] for place in places.reshape(-1))


def _slice(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    found = known.of(node.input[0])
    bounds = [known.constant(node, place) for place in range(1, 5)]
    starts, ends, axes, steps = bounds
    if found is None or starts is None or ends is None or axes is None or axes.tolist() not in ([1], [-1]):
        return None
    step = 1 if steps is None else int(steps[0])
    return found[int(starts[0]) : int(ends[0]) : step] if step > 0 else None


def _concat(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    if _attribute(node, "axis") not in (1, -1):
        return None
    made: list[Origin | None] = []
    for name in node.input:
        part = known.of(name)
        if part is None:
            return None
        made.extend(part)
    return tuple(made)


def _imputer(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    found = known.of(node.input[0])
    replaced = _attribute(node, "replaced_value_float", 0.0)
    if found is None or not np.isnan(replaced):
        return _unknown(found)
    return tuple(None if one is None else replace(one, same=False) for one in found)


def _scaler(known: ColumnOrigins, node: onnx.NodeProto) -> Origins | None:
    found = known.of(node.input[0])
    if found is None:
        return None
    scale = np.broadcast_to(np.array(_attribute(node, "scale", [1.0])), (len(found),))
    return tuple(
        None if one is None or not number or not np.isfinite(number)
        else replace(one, rising=one.rising != (number < 0), same=False)
        for one, number in zip(found, scale.tolist(), strict=True)
    )  # fmt: skip


_RULES: dict[tuple[str, str], Rule] = {
    ("", "Identity"): _same,
    ("", "Cast"): _cast,
    **{("", op): _rising for op in ("Floor", "Ceil", "Round", "Relu", "Clip")},
    ("", "Neg"): _negative,
    **{("", op): _by_a_row for op in ("Add", "Sub", "Mul", "Div")},
    ("", "Where"): _filled,
    ("", "Gather"): _gather,
    ("", "Slice"): _slice,
    ("", "Concat"): _concat,
    (ML, "ArrayFeatureExtractor"): _array_feature_extractor,
    (ML, "Imputer"): _imputer,
    (ML, "Scaler"): _scaler,
}
