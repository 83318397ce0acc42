"""Operators with weights, in the forms that ONNX Runtime has kernels on codes for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from mlpack_edge.converters.quantization.static.channels import giving
from mlpack_edge.converters.quantization.static.columns import (
    Columns,
    absorbed,
    can_absorb,
    is_table,
    normalized,
    unlike_columns,
)
from mlpack_edge.converters.quantization.static.grids import Grid, grid_of
from mlpack_edge.converters.quantization.static.moments import moments_of
from mlpack_edge.converters.quantization.static.plan import sharing
from mlpack_edge.converters.quantization.static.units import NO_LIMITS, Unit, Weights
from mlpack_edge.converters.quantization.static.view import Array
from mlpack_edge.converters.quantization.static.weights import Coded, coded, is_widened
from mlpack_edge.converters.quantization.static.writer import Writer
from mlpack_edge.converters.quantization.values import Range

#: Activations that ONNX Runtime merges with a Gemm in float, before it looks for codes (GemmActivationFusion).
_MERGED = frozenset({"Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh", "ThresholdedRelu"})  # fmt: skip


def write_weighted(writer: Writer, unit: Unit, weights: Weights) -> None:
    """A unit with weights, its bias included."""
    name = unit.reads[0]
    columns = _columns(writer, unit)
    if columns is None:
        source, grid = writer.read(name), writer.grid(name)
        weights, made = _on_codes(writer, unit, weights)
    else:
        weights = normalized(weights, columns)
        source, grid = _read_normal(writer, unit, columns)
        made = coded(weights, unit.kind, [grid], [weights.bias], writer.recipe.exact_sums)
    if unit.node.op_type in ("Gemm", "MatMul"):
        write = _write_gemm if _is_gemm(writer, unit) else _write_product
        write(writer, unit, weights, made, source, grid)
        return
    inputs = [source, _weights(writer, made, weights.axis)]
    if weights.bias is not None:
        inputs.append(_bias(writer, unit, weights.bias, made, grid))
    _finish(writer, unit, "", inputs, unit.node.output[0], list(unit.node.attribute))


def _on_codes(writer: Writer, unit: Unit, weights: Weights) -> tuple[Weights, Coded]:
    """The weights as they are written, and their codes: for all units that read them in the same way they are stored once, but
    for those whose bias takes a larger scale, which would cost the others their precision."""
    alike = sharing(writer.plan, unit)
    if len(alike) > 1:
        alike = [other for other in alike if not _is_widened(writer, other)]
    if len(alike) < 2 or all(other is not unit for other in alike):
        return _alone(writer, unit, weights)
    if unit.name not in writer.coded:
        grids = [writer.grid(other.reads[0]) for other in alike]
        biases = [other.weights.bias for other in alike if other.weights is not None]
        made = coded(weights, unit.kind, grids, biases, writer.recipe.exact_sums)
        writer.coded.update((other.name, made) for other in alike)
    return weights, writer.coded[unit.name]


def _is_widened(writer: Writer, unit: Unit) -> bool:
    return unit.weights is not None and is_widened(unit.weights, writer.grid(unit.reads[0]), unit.weights.bias)


def _alone(writer: Writer, unit: Unit, weights: Weights) -> tuple[Weights, Coded]:
    """By what is known of the channels that they read and give."""
    source, facts = writer.grid(unit.reads[0]), writer.facts(unit.reads[0])
    given = writer.channel_grid(unit.output)
    if given is not None:
        weights = giving(weights, given)
    moments = None if facts is None else moments_of(facts, weights, source)
    made = coded(weights, unit.kind, [source], [weights.bias], writer.recipe.exact_sums, moments)
    # A MatMul without a bias would need an operator for one.
    if made.offset is not None and (weights.bias is not None or unit.kind != "MatMul"):
        bias = -made.offset if weights.bias is None else weights.bias - made.offset
        weights = replace(weights, bias=bias.astype(np.float32))
    return weights, made


def _is_gemm(writer: Writer, unit: Unit) -> bool:
    """Whether a product of rows is written as Gemm, whose kernel adds the bias in int32: all but those that give float to
    an activation, with which they would be merged in float, weights dequantized."""
    if unit.kind == "MatMul" and (unit.adding is None or writer.view.rank(unit.reads[0]) != 2):
        return False
    if unit.output in writer.plan.written:
        return True
    product = unit.node if unit.adding is None else unit.adding
    reader = writer.view.sole_reader(product.output[0])
    return reader is None or reader.op_type not in _MERGED


def _write_gemm(writer: Writer, unit: Unit, weights: Weights, made: Coded, source: str, grid: Grid) -> None:
    # The rule of ONNX Runtime for Gemm wants a zero point of the weights; those for the others do not.
    zeros = writer.constants.add(np.zeros(made.scale.size, np.int8), "z")
    inputs = [source, _weights(writer, made, weights.axis, zeros)]
    if weights.bias is not None:
        inputs.append(_bias(writer, unit, weights.bias, made, grid))
    output = unit.node.output[0] if unit.adding is None else unit.adding.output[0]
    transposed = [helper.make_attribute("transB", 1)] if weights.axis == 0 else []
    _finish(writer, unit, "Gemm", inputs, output, transposed)


def _write_product(writer: Writer, unit: Unit, weights: Weights, made: Coded, source: str, grid: Grid) -> None:
    """MatMul and its bias: an Add, or where rows may be of rank 2 a Sub of the negative bias, for of an Add ONNX Runtime
    would make a Gemm then."""
    if weights.axis == 0:
        made = Coded(np.ascontiguousarray(made.codes.T), made.scale)
    inputs = [source, _weights(writer, made, 1)]
    if weights.bias is None:
        _finish(writer, unit, "MatMul", inputs, unit.node.output[0], [])
        return
    output = unit.node.output[0] if unit.adding is None else unit.adding.output[0]
    product = writer.names.fresh("r")
    writer.nodes.append(helper.make_node("MatMul", inputs, [product], name=unit.name))
    kind, sign = ("Add", 1) if (writer.view.rank(unit.reads[0]) or 2) > 2 else ("Sub", -1)
    bias = writer.constants.add(np.ascontiguousarray(sign * weights.bias, np.float32), "b")
    name = "" if unit.adding is None else unit.adding.name
    writer.finish(helper.make_node(kind, [product, bias], [output], name=name))


def _finish(
    writer: Writer, unit: Unit, kind: str, inputs: list[str], output: str, attributes: list[onnx.AttributeProto]
) -> None:
    node = helper.make_node(kind or unit.node.op_type, inputs, [output], name=unit.name)
    node.attribute.extend(attributes)
    writer.finish(node)


def _weights(writer: Writer, made: Coded, axis: int, *zeros: str) -> str:
    return writer.dequantized(
        [writer.constants.add(made.codes, "w"), writer.constants.add(made.scale, "s"), *zeros], axis
    )


def _bias(writer: Writer, unit: Unit, bias: Array, made: Coded, grid: Grid) -> str:
    """float32 where ONNX Runtime makes int32 of it by itself, which is 4 bytes an output less; else int32.

    It does where the operator's result is quantized (WeightBiasQuantization, 1.22 and newer), by the same rule:
    `rint(bias / (scale of the input * scale of the weights))`.
    """
    if unit.output in writer.plan.written:
        return writer.constants.add(np.ascontiguousarray(bias, np.float32), "b")
    scale = np.float32(grid.scale) * made.scale
    codes = np.rint(bias.astype(np.float64) / scale.astype(np.float64)).astype(np.int32)
    return writer.dequantized([writer.constants.add(codes, "b"), writer.constants.add(scale, "s")], 0)


def _columns(writer: Writer, unit: Unit) -> Columns | None:
    """Columns kept apart, of features that matrix products read: one set for all of those (two heads, a wide part beside a
    deep one), which read the same codes."""
    name = unit.reads[0]
    if writer.recipe.integer_only or not is_table(writer.view, unit):
        return None
    if name not in writer.columns:
        products = [other.weights for other in _products(writer, name) if other.weights is not None]
        writer.columns[name] = unlike_columns(writer.range(name), products)
    return writer.columns[name]


def _products(writer: Writer, name: str) -> list[Unit]:
    """The matrix products with weights that read a tensor as codes."""
    return [
        other
        for other in writer.plan.active.values()
        if other.weights is not None and other.kind in ("Gemm", "MatMul") and other.reads[0] == name
    ]


def _read_normal(writer: Writer, unit: Unit, columns: Columns) -> tuple[str, Grid]:
    """Normal columns as codes, made once for all that read them."""
    name = unit.reads[0]
    if name not in writer.normal:
        writer.normal[name] = _normal(writer, name, columns)
    return writer.normal[name]


def _normal(writer: Writer, name: str, columns: Columns) -> tuple[str, Grid]:
    """By the scaler that makes the columns, or by two operators of their own."""
    if can_absorb(writer.view, name, {other.name for other in _products(writer, name)}):
        normal = absorbed(writer.nodes, writer.view, name, columns, writer.constants)
    else:
        shifted, normal = writer.names.fresh("r"), writer.names.fresh("r")
        middle, factor = (writer.constants.add(array, "c") for array in (columns.middle, columns.factor))
        writer.nodes.append(helper.make_node("Sub", [name, middle], [shifted]))
        writer.nodes.append(helper.make_node("Mul", [shifted, factor], [normal]))
    grid = grid_of(normal, Range(np.array(-1.0), np.array(1.0)), NO_LIMITS, writer.recipe.activations)
    return writer.read_on(grid, normal), grid
