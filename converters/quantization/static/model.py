"""The model with its operators between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper

from mlpack_edge.converters.quantization.static.columns import Columns, is_table, normalized, unlike_columns
from mlpack_edge.converters.quantization.static.grids import Grid, grid_of
from mlpack_edge.converters.quantization.static.guards import Guards
from mlpack_edge.converters.quantization.static.names import Constants, Names
from mlpack_edge.converters.quantization.static.operators import FIXED
from mlpack_edge.converters.quantization.static.plan import Plan, planned
from mlpack_edge.converters.quantization.static.rewriting import graph_of
from mlpack_edge.converters.quantization.static.units import Unit, Weights
from mlpack_edge.converters.quantization.static.view import Array, HasModel, View
from mlpack_edge.converters.quantization.static.weights import coded
from mlpack_edge.converters.quantization.values import Range, Ranges, Recipe
from mlpack_edge.core.errors import BadInput, Unsupported


def static_model(prepared: HasModel, ranges: Ranges, recipe: Recipe) -> onnx.ModelProto:
    """The prepared model with what `recipe` names on codes, in the QDQ form (ONNX `QuantizeLinear` 13).

    ranges: of the tensors of `tensors_of`. Weights are int8 around 0 with a scale an output channel, activations of
    `recipe.activations` with one grid a tensor. The same arguments give the same bytes. Raises Unsupported below opset
    13, BadInput where a range is missing or not finite.
    """
    view = graph_of(prepared)
    if view.opset < 13:
        raise Unsupported(
            f"scales for each channel need opset 13, the model has {view.opset}", "convert it to a newer opset"
        )
    writer = _Writer(view, planned(view, recipe), ranges, recipe)
    graph = onnx.GraphProto(name=prepared.model.graph.name, input=view.graph.input, output=view.graph.output)
    graph.node.extend(Guards(writer.nodes(), writer.names, writer.constants).applied(view.constant))
    graph.initializer.extend(_used([*view.graph.initializer, *writer.constants.tensors], graph))
    graph.sparse_initializer.extend(view.graph.sparse_initializer)
    made = onnx.ModelProto()
    made.CopyFrom(prepared.model)
    made.graph.CopyFrom(graph)
    return made


def _used(tensors: Iterable[onnx.TensorProto], graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    read = View(helper.make_model(graph))
    names = {*read.readers, *read.read_inside, *read.outputs, *read.inputs}
    return [tensor for tensor in tensors if tensor.name in names]


class _Writer:
    """Writes the nodes of a plan. codes: tensor -> what holds its codes, as far as written."""

    def __init__(self, view: View, plan: Plan, ranges: Ranges, recipe: Recipe) -> None:
        self._view, self._plan, self._ranges, self._recipe = view, plan, ranges, recipe
        self.names = Names(view.names)
        self.constants = Constants(self.names)
        self.codes: dict[str, str] = {}
        self._reals: dict[str, str] = {}
        self._shared: dict[bytes, str] = {}
        self._grids: dict[str, Grid] = {}
        self._loose: dict[str, str] = {}  # Add of a bias -> the bias in the steps of the sums
        self._nodes: list[onnx.NodeProto] = []
        self._ends = {unit.output: unit for unit in plan.active.values()}
        self._absorbed = {
            unit.clipping.name
            for unit in plan.active.values()
            if unit.clipping is not None and unit.output in plan.written  # their grid does what they do
        }
        self._within = {unit.adding.name: unit for unit in plan.active.values() if unit.adding is not None}

    def nodes(self) -> list[onnx.NodeProto]:
        for node in self._view.nodes:
            unit = self._plan.active.get(node.name)
            if node.name in self._absorbed:
                continue
            if unit is None:
                self._write(node)
            elif unit.weights is None:
                self._write_plain(unit)
            else:
                self._write_weighted(unit, unit.weights)
        return self._nodes

    def _write(self, node: onnx.NodeProto) -> None:
        """A node as it is; moves of codes, and biases that are added in float, give codes like operators do."""
        if node.name in self._within and self._is_joined(self._within[node.name]):
            return
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        if node.name in self._loose:
            kept.input[int(self._view.constant(kept.input[1]) is not None)] = self._loose[node.name]
        self._finish(kept)

    def _finish(self, node: onnx.NodeProto, given: dict[str, str] | None = None) -> None:
        """Add a node. given: names of its outputs in the graph -> the tensors that stand for them."""
        written = []
        for place, name in enumerate(node.output):
            final = (given or {}).get(name, name)
            final = self._end(final)
            if final in self._plan.written:
                node.output[place] = self.names.fresh("r")
                written.append((node.output[place], final))
            else:
                node.output[place] = final
        node.ClearField("doc_string")
        self._nodes.append(node)
        for real, final in written:
            self._quantize(real, final, final)

    def _end(self, name: str) -> str:
        """Behind an operator whose activation is left out comes what that activation gave."""
        reader = self._view.sole_reader(name)
        if reader is not None and reader.name in self._absorbed:
            return str(reader.output[0])
        return name

    def _quantize(self, real: str, tensor: str, output: str) -> None:
        """QuantizeLinear of `real` and DequantizeLinear to `output`, on the grid of `tensor`."""
        grid = self._grid(tensor)
        scale = self.constants.add(np.array(grid.scale, np.float32), "s")
        zero = self.constants.add(np.array(grid.zero, grid.dtype), "z")
        codes = self.names.fresh("q")
        self._nodes.append(helper.make_node("QuantizeLinear", [real, scale, zero], [codes]))
        self._nodes.append(helper.make_node("DequantizeLinear", [codes, scale, zero], [output]))
        self.codes[tensor] = codes
        self._reals[tensor] = output

    def _read(self, name: str) -> str:
        """The real numbers of the codes of a tensor, which is quantized where nobody has yet."""
        if name not in self._reals:
            self._quantize(name, name, self.names.fresh("d"))
        return self._reals[name]

    def _grid(self, tensor: str) -> Grid:
        source = self._plan.sources[tensor]
        if source not in self._grids:
            unit = self._ends.get(source)
            clip = unit.clip if unit is not None else (-np.inf, np.inf)
            fixed = FIXED.get(unit.kind) if unit is not None else None
            found = Range(np.float64(fixed[0]), np.float64(fixed[1])) if fixed else self._range(source)  # type: ignore[arg-type]
            self._grids[source] = grid_of(source, found, clip, self._recipe.activations)
        return self._grids[source]

    def _range(self, tensor: str) -> Range:
        if tensor not in self._ranges:
            raise BadInput(
                f"no range of the tensor {tensor!r}", "calibrate all tensors of tensors_of(prepared, recipe)"
            )
        return self._ranges[tensor]

    def _write_plain(self, unit: Unit) -> None:
        node = onnx.NodeProto()
        node.CopyFrom(unit.node)
        for place, name in enumerate(unit.node.input):
            if name in unit.reads:
                node.input[place] = self._read(name)
            elif unit.kind in ("Add", "Mul", "Sub", "Concat", "Max", "Min"):
                node.input[place] = self._constant(name)
        self._finish(node)

    def _constant(self, name: str) -> str:
        """A constant operand on a grid of its own."""
        content = self._view.constant(name)
        assert content is not None
        found = Range(np.float64(content.min()), np.float64(content.max()))  # type: ignore[arg-type]
        grid = grid_of(name, found, (-np.inf, np.inf), self._recipe.activations)
        limits = np.iinfo(grid.dtype)
        codes = np.clip(np.rint(content.astype(np.float64) / grid.scale) + grid.zero, limits.min, limits.max)
        scale = self.constants.add(np.array(grid.scale, np.float32), "s")
        zero = self.constants.add(np.array(grid.zero, grid.dtype), "z")
        return self._dequantized([self.constants.add(codes.astype(grid.dtype), "c"), scale, zero], None)

    def _dequantized(self, inputs: list[str], axis: int | None) -> str:
        """The output of a DequantizeLinear of constants; equal ones are one node."""
        node = helper.make_node("DequantizeLinear", inputs, [""])
        if axis is not None and axis != 1:  # 1 is what it means where it is not said
            node.attribute.append(helper.make_attribute("axis", axis))
        key = node.SerializeToString(deterministic=True)
        if key not in self._shared:
            self._shared[key] = node.output[0] = self.names.fresh("d")
            self._nodes.append(node)
        return self._shared[key]

    def _write_weighted(self, unit: Unit, weights: Weights) -> None:
        name = unit.reads[0]
        columns = self._columns(name, unit, weights)
        if columns is None:
            source, grid = self._read(name), self._grid(name)
        else:
            weights = normalized(weights, columns)
            source, grid = self._read_normal(name, columns)
        made = coded(weights, unit.kind, grid, self._recipe.exact_sums)
        joined = self._is_joined(unit)
        is_gemm = unit.kind == "Gemm" or joined
        loose = unit.adding is not None and self._view.rank(name) is None
        # ONNX Runtime's rule for Gemm, which it may make of a MatMul, wants a zero point of the weights; others do not.
        zeros = [self.constants.add(np.zeros(made.scale.size, np.int8), "z")] if is_gemm or loose else []
        coded_weights = [self.constants.add(made.codes, "w"), self.constants.add(made.scale, "s"), *zeros]
        node = onnx.NodeProto()
        node.CopyFrom(unit.node)
        del node.input[:]
        node.input.extend([source, self._dequantized(coded_weights, weights.axis)])
        if is_gemm:
            node.op_type = "Gemm"
            kept = [entry for entry in node.attribute if entry.name == "transB"]
            del node.attribute[:]
            node.attribute.extend(kept)
        adding = unit.adding
        if weights.bias is not None and (is_gemm or unit.kind != "MatMul"):
            node.input.append(self._bias(unit, weights.bias, np.float32(grid.scale) * made.scale))
        elif loose and weights.bias is not None and adding is not None:
            self._loose[adding.name] = self._bias(unit, weights.bias, np.float32(grid.scale) * made.scale)
        given = {node.output[0]: adding.output[0]} if joined and adding is not None else None
        self._finish(node, given)

    def _is_joined(self, unit: Unit) -> bool:
        """Whether a MatMul and the Add behind it are written as Gemm, which has a kernel that adds the bias in int32."""
        return unit.kind == "MatMul" and unit.adding is not None and self._view.rank(unit.reads[0]) == 2

    def _bias(self, unit: Unit, bias: Array, scale: Array) -> str:
        """float32 where ONNX Runtime makes int32 of it by itself, which is 4 bytes an output less; else int32.

        It does where the operator's result is quantized (WeightBiasQuantization, 1.22 and newer), by the same rule:
        `rint(bias / (scale of the input * scale of the weights))`.
        """
        if unit.output in self._plan.written:
            return self.constants.add(np.ascontiguousarray(bias, np.float32), "b")
        codes = np.rint(bias.astype(np.float64) / scale.astype(np.float64)).astype(np.int32)
        return self._dequantized([self.constants.add(codes, "b"), self.constants.add(scale, "s")], 0)

    def _columns(self, name: str, unit: Unit, weights: Weights) -> Columns | None:
        """Columns kept apart: only of features that one matrix product alone reads as codes."""
        if self._recipe.integer_only or not is_table(self._view, unit):
            return None
        readers = [other for other in self._plan.active.values() if name in other.reads]
        return unlike_columns(self._range(name), weights) if len(readers) == 1 else None

    def _read_normal(self, name: str, columns: Columns) -> tuple[str, Grid]:
        shifted, normal, real = (self.names.fresh(letter) for letter in "rrd")
        middle, factor = (self.constants.add(array, "c") for array in (columns.middle, columns.factor))
        self._nodes.append(helper.make_node("Sub", [name, middle], [shifted]))
        self._nodes.append(helper.make_node("Mul", [shifted, factor], [normal]))
        grid = grid_of(name, Range(np.array(-1.0), np.array(1.0)), (-np.inf, np.inf), self._recipe.activations)
        self._grids[normal] = grid
        self._plan.sources[normal] = normal
        self._quantize(normal, normal, real)
        return real, grid
