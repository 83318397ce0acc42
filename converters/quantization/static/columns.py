"""Tables whose columns are of unlike size: each is brought to -1 to 1 in float before one grid is laid over all."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from mlpack_edge.converters.quantization.static.names import Constants
from mlpack_edge.converters.quantization.static.units import Unit, Weights
from mlpack_edge.converters.quantization.static.view import Array, View, attribute, is_standard
from mlpack_edge.converters.quantization.values import Range

#: How many times the noise of columns kept apart the noise of one grid may be: 6 dB, one bit.
_TOLERABLE = 4.0
#: How far beyond what calibration saw of a column its codes reach, in its half span: each column has rarer values than the
#: rows showed, where one grid over all has room.
_ROOM = 0.25


@dataclass(frozen=True, slots=True)
class Columns:
    """normal = (real - middle) * factor, float32 `[columns]`."""

    middle: Array
    factor: Array


def is_table(view: View, unit: Unit) -> bool:
    """Whether a matrix product reads features: `[rows, columns]` that come from the inputs without another layer between, or
    such beside what layers made (wide and deep nets).

    Columns that layers made alone are no such: there are many, and none ranges further than the rows of calibration let it.
    """
    if unit.node.op_type not in ("Gemm", "MatMul") or view.rank(unit.reads[0]) != 2:
        return False
    return any(_is_raw(view, part) for part in _parts(view, unit.reads[0]))


def _parts(view: View, name: str) -> list[str]:
    """What a tensor is joined of, maybe scaled behind; itself where it is not."""
    behind = name
    while (maker := view.makers.get(behind)) is not None and maker.op_type not in _LAYERS:
        read = [given for given in maker.input if given and view.constant(given) is None]
        if maker.op_type == "Concat":
            return [part for given in read for part in _parts(view, given)]
        if len(read) != 1:
            break
        behind = read[0]
    return [name]


def _is_raw(view: View, name: str) -> bool:
    """Whether a tensor comes from the inputs without a layer between."""
    seen, waiting = set(), [name]
    while waiting:
        maker = view.makers.get(waiting.pop())
        if maker is None or maker.name in seen:
            continue
        if maker.op_type in _LAYERS:
            return False
        seen.add(maker.name)
        waiting.extend(given for given in maker.input if given)
    return True


_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Einsum"})


def unlike_columns(found: Range, products: Sequence[Weights]) -> Columns | None:
    """The columns of the input of matrix products that have these weights; None where one grid does for all of them.

    Noise of a grid with steps d is `d ** 2 / 12` in each column, and counts by the squares of the weights that read it:
    what one grid adds to a product is held against what a grid a column would add, and the product that needs it most
    decides. None, too, where the columns of a range are not those of the products.
    """
    low, high = np.asarray(found.low, np.float64), np.asarray(found.high, np.float64)
    inner = {weights.content.shape[1 - weights.axis] for weights in products}
    if low.ndim != 1 or inner != {low.size} or not np.isfinite([low, high]).all():
        return None
    half, middle = (high - low) / 2, (high + low) / 2
    varying = half > np.abs(middle) * 2.0**-20
    whole = (max(float(high.max()), 0.0) - min(float(low.min()), 0.0)) / 2
    needed, room = 0.0, np.full(low.size, np.inf)
    for weights in products:
        matrix = np.moveaxis(weights.content, weights.axis, 1).astype(np.float64)
        power = np.square(matrix).sum(axis=1)
        apart = float((np.square(half) * power)[varying].sum())
        if apart > 0:
            needed = max(needed, float(np.square(whole) * power[varying].sum()) / apart)
            usual = float(np.sqrt(np.mean((np.square(half) * power)[varying])))
            read = power > 0
            room[read] = np.minimum(room[read], usual / np.sqrt(power[read]))
    if needed <= _TOLERABLE:
        return None
    # A constant column may vary as much as it takes to matter like the others: more is not known of it.
    half = np.where(varying, half, np.where(np.isfinite(room), room, 0.0))
    factor = 1 / (np.where(half > 0, half, 1.0) * (1 + _ROOM))
    return Columns(middle.astype(np.float32), factor.astype(np.float32))


def can_absorb(view: View, name: str, readers: Container[str]) -> bool:
    """Whether a BatchNormalization or the Sub and Div (or Mul) of a scaler give a tensor for these nodes alone: they can
    give normal columns instead."""
    alone = not view.is_seen(name) and all(node.name in readers for node in view.readers.get(name, ()))
    return alone and _scaler(view, name) is not None


def absorbed(nodes: list[onnx.NodeProto], view: View, name: str, columns: Columns, constants: Constants) -> str:
    """Let the scaler that gives `name`, already among `nodes`, give normal columns. The name of its result."""
    found = _scaler(view, name)
    assert found is not None
    middle, factor = columns.middle.astype(np.float64), columns.factor.astype(np.float64)
    written = {output: node for node in nodes for output in node.output}

    def put(node: onnx.NodeProto, place: int, content: Array) -> None:
        written[node.output[0]].input[place] = constants.add(content.astype(np.float32), "c")

    if len(found) == 1:
        scale, shift = (np.asarray(view.constant(found[0].input[place]), np.float64) for place in (1, 2))
        put(found[0], 1, scale * factor)
        put(found[0], 2, (shift - middle) * factor)
        return name
    shifting, scaling = found
    size = np.asarray(view.constant(scaling.input[1]), np.float64)
    divides = scaling.op_type == "Div"
    start = np.asarray(view.constant(shifting.input[1]), np.float64)
    put(shifting, 1, start + (middle * size if divides else middle / size))
    put(scaling, 1, size / factor if divides else size * factor)
    return name


def _scaler(view: View, name: str) -> tuple[onnx.NodeProto, ...] | None:
    last = view.makers.get(name)
    if last is None or not is_standard(last):
        return None
    if last.op_type == "BatchNormalization":
        known = all(view.constant(given) is not None for given in last.input[1:])
        return (last,) if known and not attribute(last, "training_mode", 0) else None
    if last.op_type not in ("Div", "Mul") or not _of_columns(view, last):
        return None
    first = view.makers.get(last.input[0])
    alone = first is not None and view.sole_reader(last.input[0]) is last
    if first is None or not alone or first.op_type != "Sub" or not _of_columns(view, first):
        return None
    return (first, last)


def _of_columns(view: View, node: onnx.NodeProto) -> bool:
    """Whether a node reads an activation, and a constant that is not 0 where it is divided by."""
    content = view.constant(node.input[1])
    if content is None or content.dtype != np.float32 or view.constant(node.input[0]) is not None:
        return False
    return node.op_type == "Sub" or bool((content != 0).all())


def normalized(weights: Weights, columns: Columns) -> Weights:
    """The weights and bias that give the same for normal columns."""
    inner = 1 - weights.axis
    along = [-1 if axis == inner else 1 for axis in range(2)]
    real = weights.content.astype(np.float64)
    content = (real / columns.factor.astype(np.float64).reshape(along)).astype(np.float32)
    added = np.tensordot(columns.middle.astype(np.float64), real, (0, inner))
    bias = added if weights.bias is None else added + weights.bias
    return Weights(content, weights.axis, 1, bias.astype(np.float32))
