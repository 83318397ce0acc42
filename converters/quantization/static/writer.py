"""The nodes of a plan as they are written: operators between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from mlpack_edge.converters.quantization.static.channels import ChannelFacts, ChannelGrid, may_differ
from mlpack_edge.converters.quantization.static.columns import Columns
from mlpack_edge.converters.quantization.static.grids import Grid, grid_of
from mlpack_edge.converters.quantization.static.names import Constants, Names
from mlpack_edge.converters.quantization.static.operators import FIXED
from mlpack_edge.converters.quantization.static.plan import Plan
from mlpack_edge.converters.quantization.static.units import NO_LIMITS, VARIADIC, Unit
from mlpack_edge.converters.quantization.static.view import View
from mlpack_edge.converters.quantization.static.weights import Coded
from mlpack_edge.converters.quantization.values import Range, Ranges, Recipe
from mlpack_edge.core.errors import Unsupported


class Writer:
    """nodes: what is written so far. coded: the weights of units, by name, as far as known. columns, normal: of tables, by
    tensor: how their columns are kept apart (None: they are not), and normal columns on codes with their grid.

    A tensor of the graph keeps its name for its real numbers; where an operator on codes gives it, those come from a
    DequantizeLinear."""

    def __init__(
        self, view: View, plan: Plan, ranges: Ranges, recipe: Recipe,
        refused: Mapping[str, str] = {}, channels: Mapping[str, ChannelFacts] = {},
    ) -> None:  # fmt: skip
        """channels: what those of a tensor hold, by name, as far as they matter. refused: why calibration has no range of a tensor, by name, as far as it knows."""
        self.view, self.plan, self.recipe = view, plan, recipe
        self.names = Names(view.names)
        self.constants = Constants(self.names)
        self.nodes: list[onnx.NodeProto] = []
        self.coded: dict[str, Coded] = {}
        self.columns: dict[str, Columns | None] = {}
        self.normal: dict[str, tuple[str, Grid]] = {}
        self._ranges, self._refused = ranges, refused
        self._reals: dict[str, str] = {}
        self._shared: dict[bytes, str] = {}
        self._grids: dict[str, Grid] = {}
        self._channels = channels
        self._units = {unit.output: unit for unit in plan.active.values()}
        self._absorbed = {
            unit.clipping.name
            for unit in plan.active.values()
            if unit.clipping is not None and unit.output in plan.written  # their grid does what they do
        }

    def is_absorbed(self, node: onnx.NodeProto) -> bool:
        return node.name in self._absorbed

    def finish(self, node: onnx.NodeProto) -> None:
        """Add a node; what it gives is quantized where the plan says so."""
        written = []
        for place, name in enumerate(node.output):
            final = self._end(name)
            if final in self.plan.written:
                written.append((self.names.fresh("r"), final))
                final = written[-1][0]
            node.output[place] = final
        node.ClearField("doc_string")
        self.nodes.append(node)
        for real, final in written:
            self._quantize(real, final, final)

    def _end(self, name: str) -> str:
        """Behind an operator whose activation is left out comes what that activation gave."""
        reader = self.view.sole_reader(name)
        return str(reader.output[0]) if reader is not None and self.is_absorbed(reader) else name

    def _quantize(self, real: str, tensor: str, output: str) -> None:
        """QuantizeLinear of `real` and DequantizeLinear to `output`, on the grid of `tensor`."""
        codes = self.names.fresh("q")
        grid = self._named(self.grid(tensor))
        channels = self.channel_grid(tensor)
        reals = grid
        if channels is not None:
            reals = [self.constants.add(channels.scales, "s"), self.constants.add(channels.zeros, "z")]
        self.nodes.append(helper.make_node("QuantizeLinear", [real, *grid], [codes]))
        self.nodes.append(helper.make_node("DequantizeLinear", [codes, *reals], [output]))
        self._reals[tensor] = output

    def facts(self, tensor: str) -> ChannelFacts | None:
        """What the channels of a tensor hold, where that is known."""
        return self._channels.get(self.view.same.get(tensor, tensor))

    def channel_grid(self, tensor: str) -> ChannelGrid | None:
        """The grids of the channels of a tensor; None where one does for all."""
        facts = self.facts(tensor)
        if facts is None or facts.axis != 1 or not may_differ(self.view, self.plan, tensor):
            return None
        return facts.grid(self.grid(tensor), self._units[tensor].clip)

    def _named(self, grid: Grid) -> list[str]:
        scale = self.constants.add(np.array(grid.scale, np.float32), "s")
        return [scale, self.constants.add(np.array(grid.zero, grid.dtype), "z")]

    def read(self, name: str) -> str:
        """The real numbers of the codes of a tensor, which is quantized where nobody has yet."""
        if name not in self._reals:
            self._quantize(name, name, self.names.fresh("d"))
        return self._reals[name]

    def read_on(self, grid: Grid, name: str) -> str:
        """The real numbers of the codes, on a grid of its own, of a tensor that is not in the plan."""
        self.plan.sources[name], self._grids[name] = name, grid
        return self.read(name)

    def grid(self, tensor: str) -> Grid:
        source = self.plan.sources[tensor]
        if source not in self._grids:
            unit = self._units.get(source)
            limits = FIXED.get(unit.kind) if unit is not None else None
            found = self.range(source) if limits is None else _whole(*limits)
            clip = unit.clip if unit is not None else NO_LIMITS
            self._grids[source] = grid_of(source, found, clip, self.recipe.activations)
        return self._grids[source]

    def range(self, tensor: str) -> Range:
        known = self.view.same.get(tensor, tensor)
        if known not in self._ranges:
            layers = [name for name, unit in self.plan.active.items() if tensor in (*unit.reads, unit.output)]
            raise Unsupported(
                f"{', '.join(layers[:3]) or 'an operator'} cannot compute with codes: calibration found no range of "
                f"the tensor {known!r}",
                "leave rows with missing or infinite values out of the calibration, give rows that reach it"
                + (
                    f", or keep float what reads it: {' '.join(f'--keep-float {name}' for name in layers)}"
                    if layers
                    else ""
                ),
                why=f"it {self._refused.get(known, 'held no number on any row')}",
            )
        return self._ranges[known]

    def write_plain(self, unit: Unit) -> None:
        """An operator without weights; its constant operands are codes too."""
        node = onnx.NodeProto()
        node.CopyFrom(unit.node)
        for place, name in enumerate(unit.node.input):
            if name in unit.reads:
                node.input[place] = self.read(name)
            elif unit.kind in VARIADIC:
                node.input[place] = self._constant(name)
        self.finish(node)

    def _constant(self, name: str) -> str:
        """A constant operand on a grid of its own."""
        content = self.view.constant(name)
        assert content is not None
        found = _whole(float(content.min()), float(content.max()))
        grid = grid_of(name, found, NO_LIMITS, self.recipe.activations)
        codes = np.rint(content.astype(np.float64) / grid.scale) + grid.zero
        coded = np.clip(codes, grid.lowest, grid.lowest + 255).astype(grid.dtype)
        return self.dequantized([self.constants.add(coded, "c"), *self._named(grid)])

    def dequantized(self, inputs: list[str], axis: int = 1) -> str:
        """The output of a DequantizeLinear of constants; equal ones are one node."""
        node = helper.make_node("DequantizeLinear", inputs, [""])
        if axis != 1:  # which it means where it is not said
            node.attribute.append(helper.make_attribute("axis", axis))
        key = node.SerializeToString(deterministic=True)
        if key not in self._shared:
            self._shared[key] = node.output[0] = self.names.fresh("d")
            self.nodes.append(node)
        return self._shared[key]


def _whole(low: float, high: float) -> Range:
    return Range(np.array(low), np.array(high))
