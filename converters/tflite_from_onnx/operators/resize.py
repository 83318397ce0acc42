"""Resize and Upsample: TFLite's own operators where their grid is ONNX's, else a gather or a matrix along each axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators import resize_grid
from mlpack_edge.converters.tflite_from_onnx.operators.resize_axis import along_axis
from mlpack_edge.converters.tflite_from_onnx.operators.resize_grid import Filter, Grid
from mlpack_edge.converters.tflite_from_onnx.operators.resize_runtime import resize_at_run_time
from mlpack_edge.converters.tflite_from_onnx.operators.spatial import FLOATS
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product, quotient
from mlpack_edge.converters.tflite_from_onnx.values import Array, Spec, Value, permuted

#: Sizes at which the grid of an open size is compared; a whole scale gives the same pattern at every size.
_SAMPLES = (1, 2, 3, 5, 8, 13)
#: Along each axis, of what is repeated as channels: copies are written twice.
_MOST_REPEATS = 4
_VARIANTS = ((False, True), (False, False), (True, False))  # (align_corners, half_pixel_centers)


@dataclass(frozen=True, slots=True)
class Resized:
    """One axis that changes. scale: as the node has it, or output size by input size; 0 where only the running model
    knows it."""

    axis: int
    size: Size
    out: Size
    scale: float
    roi: tuple[float, float]


@dataclass(frozen=True, slots=True)
class How:
    """mode: "nearest", "linear" or "cubic"; rounding: of nearest; extrapolation: value outside tf_crop_and_resize."""

    mode: str
    coordinates: str
    rounding: str
    filter: Filter
    extrapolation: float

    def grid(self, one: Resized, size: int | None = None) -> Grid:
        if size is not None:
            return Grid(size, round(size * one.scale), one.scale, self.coordinates, one.roi)
        return Grid(int(one.size), int(one.out), one.scale, self.coordinates, one.roi)


def resize(node: Node) -> Value:
    """Resize-10 to Resize-19 and Upsample-7 to Upsample-10, along any axes."""
    x, how = node.input(0), how_of(node)
    if how.mode != "nearest" and x.dtype not in FLOATS:
        raise node.refuse(f"TFLite interpolates floats, not {x.dtype}")
    if x.dtype not in (*FLOATS, "int8", "uint8", "int16", "int32", "int64", "bool"):
        raise node.refuse(f"TFLite gathers no {x.dtype}")
    scales, roi = _scales(node), node.optional(1) if node.version > 10 and node.op_type == "Resize" else None
    crops = how.coordinates == "tf_crop_and_resize"
    if (scales is not None and scales.array is None) or (crops and roi is not None and roi.array is None):
        return resize_at_run_time(node, scales, how.coordinates, how.rounding, how.mode, how.filter, how.extrapolation)
    axes = [one for one in axes_of(node, crops=crops) if _changes(one)]
    if not axes:
        return Value("", x.dtype, x.shape, x.array, forms=dict(x.forms))
    if any(one.out == 0 or one.size == 0 for one in axes):
        raise node.refuse("nothing is left of an axis, or there is nothing to begin with")
    made = _by_image_operator(node, x, axes, how)
    if made is not None:
        return made
    for one in axes:
        if not isinstance(one.size, int) or not isinstance(one.out, int):
            raise node.refuse(
                f"TFLite's own grid is not this one, and it makes {one.out} of the size {one.size} of axis {one.axis}",
                "fix the sizes of its image with --shape",
            )
        if how.mode == "nearest":
            x = node.low.op("Gather", x, resize_grid.nearest(how.grid(one), how.rounding), axis=one.axis)
        else:
            x = along_axis(node, x, one.axis, resize_grid.matrix(how.grid(one), how.filter))
    return _extrapolated(node, x, axes, how) if crops else x


def _changes(one: Resized) -> bool:
    return one.scale != 1 or one.out != one.size or one.roi != (0.0, 1.0)


def how_of(node: Node) -> How:
    """The attributes, with what older opsets had in their place."""
    mode = str(node.attr("mode", "nearest")).replace("bilinear", "linear")
    if mode not in ("nearest", "linear", "cubic"):
        raise node.refuse(f"its mode {mode!r} is none of the standard's")
    old = node.op_type == "Upsample" or node.version <= 10
    place = str(node.attr("coordinate_transformation_mode", "asymmetric" if old else "half_pixel"))
    if place == "tf_half_pixel_for_nn":
        raise node.refuse("tf_half_pixel_for_nn was dropped from the standard", "export with opset 13 or newer")
    rounding = "simple" if old else str(node.attr("nearest_mode", "round_prefer_floor"))
    by = Filter(
        mode,
        float(node.attr("cubic_coeff_a", -0.75)),
        bool(node.attr("antialias", 0)),
        bool(node.attr("exclude_outside", 0)) and mode == "cubic",
    )
    return How(mode, place, rounding, by, float(node.attr("extrapolation_value", 0)))


def _scales(node: Node) -> Value | None:
    if node.op_type == "Upsample" or node.version <= 10:
        return node.optional(1)
    value = node.optional(2)
    return None if value is None or value.shape == (0,) else value


def resized_axes(node: Node) -> list[int]:
    """The axes to which scales, sizes and roi belong, in their order."""
    rank = node.input(0).rank
    return [int(axis) % rank for axis in node.attr("axes", None) or range(rank)]


def axes_of(node: Node, *, crops: bool) -> list[Resized]:
    """Every axis that the node names, with the size it gets."""
    x, axes = node.input(0), resized_axes(node)
    given = _scales(node)
    regions: Array = np.array([0.0] * len(axes) + [1.0] * len(axes))
    if crops:
        regions = np.asarray(node.constant(1, "roi"), np.float64)
    rois = [(float(regions[i]), float(regions[len(axes) + i])) for i in range(len(axes))]
    if given is not None or node.has("scales"):
        factors = (
            node.attr("scales") if given is None else [float(item) for item in np.asarray(given.array).reshape(-1)]
        )
        return [
            Resized(axis, x.shape[axis], _scaled(node, x.shape[axis], factor), float(np.float32(factor)), roi)
            for axis, factor, roi in zip(axes, factors, rois, strict=True)
        ]
    sizes = node.input(3).elements
    if sizes is None:
        raise node.refuse("the sizes that it makes are known only when the model runs", "fix them with --shape")
    policy = str(node.attr("keep_aspect_ratio_policy", "stretch"))
    if policy != "stretch":
        return _kept_aspect(node, axes, sizes, rois, larger=policy == "not_smaller")
    linear = str(node.attr("mode")) == "linear" and not node.attr("antialias", 0)  # between grids a little apart too
    return [
        Resized(axis, x.shape[axis], out, _ratio(node, x.shape[axis], out, open_too=linear), roi)
        for axis, out, roi in zip(axes, sizes, rois, strict=True)
    ]


def _scaled(node: Node, size: Size, factor: float) -> Size:
    if isinstance(size, int):
        return int(np.float32(factor) * np.float32(size))
    if factor == int(factor):
        return product([int(factor), size])
    raise node.refuse(
        f"it makes {factor} of the open size {size}, which is no whole number of it", "fix it with --shape"
    )


def _ratio(node: Node, size: Size, out: Size, *, open_too: bool = False) -> float:
    """Output size by input size. Where one of them is open and no multiple of the other: refused, or 0."""
    if isinstance(size, int) and isinstance(out, int):
        return float(np.float32(out) / np.float32(size))
    factor = quotient(out, size)
    if not isinstance(factor, int):
        if open_too:
            return 0.0
        raise node.refuse(f"it makes {out} of the size {size}, and one of them is open", "fix the sizes with --shape")
    return float(factor)


def _kept_aspect(
    node: Node, axes: Sequence[int], sizes: Sequence[Size], rois: Sequence[tuple[float, float]], *, larger: bool
) -> list[Resized]:
    x = node.input(0)
    ratios = [_ratio(node, x.shape[axis], out) for axis, out in zip(axes, sizes, strict=True)]
    scale = max(ratios) if larger else min(ratios)
    made = []
    for axis, roi in zip(axes, rois, strict=True):
        size = x.shape[axis]
        if not isinstance(size, int):
            raise node.refuse("it keeps the aspect of an image whose size is open", "fix the sizes with --shape")
        made.append(Resized(axis, size, int(scale * size + 0.5), scale, roi))
    return made


def _by_image_operator(node: Node, x: Value, axes: Sequence[Resized], how: How) -> Value | None:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR over two axes of a rank 4 value, where its grid is exactly this one."""
    changed = [one.axis for one in axes]
    if x.rank != 4 or len(axes) > 2 or how.mode == "cubic" or how.coordinates == "tf_crop_and_resize":
        return None
    if how.filter.antialias and any(one.scale < 1 for one in axes):
        return None
    if how.mode == "nearest" and x.dtype not in (*FLOATS, "int8", "uint8", "int16", "int32", "bool"):
        return None
    if len(changed) == 1:
        changed.append(next(axis for axis in (3, 2, 1) if axis not in changed))
    rows, columns = sorted(changed)
    rest = [axis for axis in range(4) if axis not in changed]
    variant = next((one for one in _VARIANTS if all(_agrees(axis, how, *one) for axis in axes)), None)
    if variant is None:
        return None
    shape = list(x.shape)
    for one in axes:
        shape[one.axis] = one.out
    perm = (rest[0], rows, columns, rest[1])
    spec = Spec(x.dtype, tuple(shape))
    low = node.low
    if how.mode == "nearest" and x.dtype in (*FLOATS, "int8", "uint8", "int32") and _repeats(axes, how):
        return _repeated(node, x, perm, spec, round(axes[0].scale))
    kind = "RESIZE_BILINEAR" if how.mode == "linear" else "RESIZE_NEAREST_NEIGHBOR"
    if not all(low.can_tell(size) for size in (shape[rows], shape[columns])):
        return None
    target = low.shape_tensor((shape[rows], shape[columns]))
    options = {"align_corners": variant[0], "half_pixel_centers": variant[1]}
    made = low.emit(kind, [low.tensor(x, perm), target], x.dtype, permuted(spec.shape, perm), **options)
    return low.value(made, spec, perm)


def _agrees(one: Resized, how: How, align_corners: bool, half_pixel: bool) -> bool:
    """Whether TFLite samples an axis as ONNX does, at every size that the axis can have."""
    known = isinstance(one.size, int) and isinstance(one.out, int)
    if not known and how.mode == "nearest" and float(np.float32(1 / one.scale)) * one.scale < 1:
        return False  # TFLite's scale is rounded down, and a whole place may fall below itself
    mine: Callable[[Grid], Array]
    theirs: Callable[[Grid], Array]
    if how.mode == "nearest":
        mine = lambda grid: resize_grid.nearest(grid, how.rounding)
        theirs = lambda grid: resize_grid.tflite_nearest(
            grid.size, grid.out, align_corners=align_corners, half_pixel=half_pixel
        )
    else:
        mine = lambda grid: resize_grid.matrix(grid, how.filter)
        theirs = lambda grid: resize_grid.tflite_bilinear(
            grid.size, grid.out, align_corners=align_corners, half_pixel=half_pixel
        )
    if known:
        grids = [how.grid(one)]
    elif one.scale:
        grids = [how.grid(one, size) for size in _SAMPLES]
    else:
        pairs = [
            (one.size if isinstance(one.size, int) else size, one.out if isinstance(one.out, int) else out)
            for size in _SAMPLES
            for out in _SAMPLES
        ]
        grids = [Grid(size, out, float(np.float32(out) / np.float32(size)), how.coordinates) for size, out in pairs]
    return all(np.allclose(mine(grid), theirs(grid), rtol=0, atol=2e-6) for grid in grids)


def _repeats(axes: Sequence[Resized], how: How) -> bool:
    """Whether two axes of open sizes get each element equally often, so few times that copies side by side will do."""
    scale = axes[0].scale
    if len(axes) != 2 or axes[1].scale != scale or not 1 < scale <= _MOST_REPEATS or scale != int(scale):
        return False
    if all(isinstance(one.size, int) for one in axes):
        return False
    grids = [how.grid(one, size) for one in axes for size in _SAMPLES]
    return all(
        np.array_equal(resize_grid.nearest(grid, how.rounding), np.repeat(np.arange(grid.size), int(scale)))
        for grid in grids
    )


def _repeated(node: Node, x: Value, perm: tuple[int, ...], spec: Spec, times: int) -> Value:
    """Copies as channels, spread over space: it needs no size that is known only when it runs, as the operator does.

    Behind such a size nothing runs in XNNPACK.
    """
    low = node.low
    tensor = low.tensor(x, perm)
    shape = permuted(x.shape, perm)
    many = (*shape[:-1], product([times**2, shape[-1]]))
    copies = low.emit("CONCATENATION", [tensor] * times**2, x.dtype, many, axis=len(perm) - 1)
    made = low.emit("DEPTH_TO_SPACE", [copies], x.dtype, permuted(spec.shape, perm), block_size=times)
    return low.value(made, spec, perm)


def _extrapolated(node: Node, x: Value, axes: Sequence[Resized], how: How) -> Value:
    """tf_crop_and_resize: what lies outside of the input has a value of its own."""
    beyond: Array = np.zeros((1,) * x.rank, bool)
    for one in axes:
        shape = [1] * x.rank
        shape[one.axis] = int(one.out)
        beyond = beyond | resize_grid.outside(how.grid(one)).reshape(shape)
    if not beyond.any():
        return x
    value = np.array(how.extrapolation, x.dtype)
    return node.low.op("Where", beyond, value, x)


OPERATORS = {"Resize": resize, "Upsample": resize}
