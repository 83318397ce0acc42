"""Resize with scales or a region that are known only when the model runs: its weights are computed then."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.resize_grid import Filter
from mlpack_edge.converters.tflite_from_onnx.values import Array, Value, constant

_INT64 = 7


def _number(value: float) -> Array:
    """A float constant of rank 0."""
    return np.array(value, np.float32)


class _Axis:
    """One axis: its sizes as float values of rank 0, where it is sampled, and the scale."""

    def __init__(self, node: Node, scales: Value | None, place: int, axis: int, count: int, coordinates: str) -> None:
        low = self.low = node.low
        self.axis = axis
        size = node.input(0).shape[axis]
        if not isinstance(size, int):
            raise node.refuse(
                "its scales are known only when the model runs, and its sizes too", "fix them with --shape"
            )
        self.size = size
        if scales is not None:
            self.scale = low.op("Gather", scales, np.array(place), axis=0)
            self.out = low.op("Floor", low.op("Mul", self.scale, _number(size)))
        else:
            out = int(node.constant(3, "sizes").reshape(-1)[place])
            self.scale = constant("", _number(out / size))
            self.out = constant("", _number(out))
        self.roi = node.optional(1) if coordinates == "tf_crop_and_resize" else None
        self.region = (place, place + count)
        self.at = self._coordinates(coordinates)

    def _coordinates(self, mode: str) -> Value:
        low, one, half = self.low, _number(1), _number(0.5)
        at = low.op("Range", _number(0), self.out, one)
        last = float(self.size - 1)
        if mode == "asymmetric":
            return low.op("Div", at, self.scale)
        steps = low.op("Max", low.op("Sub", self.out, one), one)
        if mode == "align_corners":
            return low.op("Div", low.op("Mul", at, _number(last)), steps)
        if mode == "tf_crop_and_resize":
            assert self.roi is not None
            start, end = (low.op("Gather", self.roi, np.array(place), axis=0) for place in self.region)
            spread = low.op("Div", low.op("Mul", low.op("Sub", end, start), _number(last)), steps)
            many = low.op("Add", low.op("Mul", start, _number(last)), low.op("Mul", at, spread))
            middle = low.op("Mul", low.op("Add", start, end), _number(last / 2))
            return low.op("Where", low.op("Greater", self.out, one), many, middle)
        made = low.op("Sub", low.op("Div", low.op("Add", at, half), self.scale), half)
        if mode == "half_pixel_symmetric":
            size = float(self.size)
            adjustment = low.op("Div", self.out, low.op("Mul", self.scale, _number(size)))
            return low.op("Add", made, low.op("Mul", low.op("Sub", one, adjustment), _number(size / 2)))
        if mode == "pytorch_half_pixel":
            return low.op("Where", low.op("Greater", self.out, one), made, _number(0))
        return made

    def nearest(self, rounding: str) -> Value:
        """`[out]` int64: which element."""
        low, half = self.low, _number(0.5)
        if rounding in ("floor", "ceil"):
            place = low.op(rounding.capitalize(), self.at)
        elif rounding == "round_prefer_ceil":
            place = low.op("Floor", low.op("Add", self.at, half))
        elif rounding == "round_prefer_floor":
            place = low.op("Ceil", low.op("Sub", self.at, half))
        else:
            smaller = low.op("Less", self.scale, _number(1))
            place = low.op("Where", smaller, low.op("Ceil", self.at), low.op("Floor", self.at))
        bounds = _number(0), _number(self.size - 1)
        return low.op("Cast", low.op("Clip", place, *bounds), to=_INT64)

    def weights(self, by: Filter) -> Value:
        """`[out, size]`, as `resize_grid.matrix`; elements outside are folded onto the border."""
        low = self.low
        reach = 2 * self.size + 2 if by.antialias else 3  # no output has less than one element: scale >= 1 / size
        places = np.arange(-reach, self.size + reach)
        inside = (places >= 0) & (places < self.size)
        off = low.op("Sub", places[None].astype(np.float32), low.op("Unsqueeze", self._bounded(), np.array([1])))
        if by.antialias:
            off = low.op("Mul", off, low.op("Min", self.scale, _number(1)))
        weights = self._kernel(low.op("Abs", off), by)
        if by.exclude_outside:
            weights = low.op("Mul", weights, inside[None].astype(np.float32))
        weights = low.op("Div", weights, low.op("ReduceSum", weights, np.array([1]), keepdims=1))
        border = np.clip(places, 0, self.size - 1)
        return low.op("MatMul", weights, (border[:, None] == np.arange(self.size)[None]).astype(np.float32))

    def _bounded(self) -> Value:
        """Coordinates no further outside than their weights reach; what lies beyond is the border alone."""
        bounds = _number(-1), _number(self.size)
        return self.low.op("Clip", self.at, *bounds)

    def _kernel(self, x: Value, by: Filter) -> Value:
        low = self.low
        one = _number(1)
        if by.mode == "linear":
            return low.op("Relu", low.op("Sub", one, x))
        near = self._polynomial(x, by.a + 2, -(by.a + 3), 0, 1)
        far = self._polynomial(x, by.a, -5 * by.a, 8 * by.a, -4 * by.a)
        outer = low.op("Where", low.op("Less", x, _number(2)), far, _number(0))
        return low.op("Where", low.op("LessOrEqual", x, one), near, outer)

    def _polynomial(self, x: Value, first: float, *rest: float) -> Value:
        low = self.low
        made = low.op("Mul", x, _number(first))
        for number in rest[:-1]:
            made = low.op("Mul", low.op("Add", made, _number(number)), x)
        return low.op("Add", made, _number(rest[-1]))


def resize_at_run_time(
    node: Node, scales: Value | None, coordinates: str, rounding: str, mode: str, by: Filter, extrapolation: float
) -> Value:
    """Resize-10 to Resize-19 and Upsample-9 whose scales or region are inputs of the model; the sizes of its input are known."""
    low, x = node.low, node.input(0)
    axes = [int(axis) % x.rank for axis in node.attr("axes", None) or range(x.rank)]
    if str(node.attr("keep_aspect_ratio_policy", "stretch")) != "stretch":
        raise node.refuse("its scales are known only when the model runs", "make them a constant of the model")
    shape = x.shape
    made = [_Axis(node, scales, place, axis, len(axes), coordinates) for place, axis in enumerate(axes)]
    beyond: Value | None = None
    for one in made:
        if mode == "nearest":
            x = low.op("Gather", x, one.nearest(rounding), axis=one.axis)
        else:
            perm = [axis for axis in range(len(shape)) if axis != one.axis] + [one.axis]
            turned = low.op("Transpose", x, perm=perm)
            weighed = low.op("MatMul", turned, low.op("Transpose", one.weights(by), perm=[1, 0]))
            x = low.op("Transpose", weighed, perm=[int(axis) for axis in np.argsort(perm)])
        if coordinates == "tf_crop_and_resize":
            low_end = low.op("Less", one.at, _number(0))
            high_end = low.op("Greater", one.at, _number(one.size - 1))
            mine = low.op("Or", low_end, high_end)
            after = len(shape) - 1 - one.axis
            mine = low.op("Unsqueeze", mine, np.arange(1, after + 1)) if after else mine
            beyond = mine if beyond is None else low.op("Or", beyond, mine)
    return x if beyond is None else low.op("Where", beyond, np.array(extrapolation, x.dtype), x)
