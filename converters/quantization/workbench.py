"""Where candidates are made: a recipe in, the bytes of a whole file out, the same every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import onnx

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.static.channels import ChannelFacts
from mlpack_edge.converters.quantization.static.layers import layers_of as static_layers
from mlpack_edge.converters.quantization.static.model import static_model
from mlpack_edge.converters.quantization.stored import (
    computed_layers,
    dynamic_model,
    fp16_model,
    on_grids,
    rest_in,
    storable_layers,
    weights_model,
    with_rest_stored,
)
from mlpack_edge.converters.quantization.stored import layers_of as stored_layers
from mlpack_edge.converters.quantization.stored.rest import Held
from mlpack_edge.converters.quantization.subject import Subject, metadata_of
from mlpack_edge.converters.quantization.values import Json, Layer, Method, Ranges, Recipe
from mlpack_edge.converters.stamping import stamp
from mlpack_edge.runtimes.parity import Runner

Channels = Mapping[str, ChannelFacts]


class Workbench:
    """see_channels: what the channels of tensors hold, by name; asked once, when a recipe goes by it. ranges: what calibration found, by method; for scheme "static" alone. refused: why a tensor has none, by name. io: of TFLite files. how: what shapes a file
    beside its recipe, for the lineage."""

    def __init__(self, subject: Subject, prepared: Prepared, io: str, how: Json) -> None:
        self._subject, self._prepared = subject, prepared
        self._io, self._how = io, how
        self.ranges: Callable[[Method], Ranges] = _uncalibrated
        self.refused: Mapping[str, str] = {}
        self.see_channels: Callable[[], Channels] = dict
        self._channels: Channels | None = None

    def layers(self, recipe: Recipe) -> tuple[Layer, ...]:
        """What `recipe` changes, in the graph's order; with `stored`, those that compute on codes alone."""
        if recipe.scheme == "static":
            return static_layers(self._prepared, recipe)
        if recipe.scheme == "dynamic" and recipe.stored:
            return computed_layers(self._prepared, self._portable)
        return stored_layers(self._prepared, recipe.scheme)

    def stored(self, recipe: Recipe) -> tuple[Layer, ...]:
        """The layers whose weights `recipe` stores where they compute in float, in the graph's order."""
        return storable_layers(self._prepared) if recipe.stored else ()

    def build(self, recipe: Recipe) -> bytes:
        """The whole file. Raises Unsupported where the model or the format cannot be had that way."""
        model, held = self._onnx(recipe)
        subject = self._subject
        lineage = subject.lineage_with(recipe, self._how)
        if not self._portable:
            made = {name for node in model.graph.node for name in node.output}
            stamp(model, subject.signature, lineage, {k: v for k, v in subject.built.taps.items() if v in made})
            return _serialized(model)
        return self._lite(model, recipe, metadata_of(lineage), held)

    def content(self, recipe: Recipe) -> bytes:
        """The file without what it says of how it was made. Raises as `build` does."""
        model, held = self._onnx(recipe)
        return self._lite(model, recipe, {}, held) if self._portable else _serialized(model)

    def _lite(self, model: onnx.ModelProto, recipe: Recipe, metadata: Mapping[str, str], held: Sequence[Held]) -> bytes:
        from mlpack_edge.converters.quantization.lite import lite_from_model

        io: Literal["float", "int8"] = "int8" if self._io == "int8" else "float"
        return lite_from_model(model, self._subject.signature, recipe, io, metadata, held).data

    def runner(self, file: bytes | Path) -> Runner:
        """The file, answering in the terms of the float model. Raises CheckFailed where its runtime refuses it."""
        return self._subject.runner(file)

    @property
    def _portable(self) -> bool:
        return self._subject.to == "tflite"

    def _onnx(self, recipe: Recipe) -> tuple[onnx.ModelProto, Sequence[Held]]:
        """The model, and the constants in it that TFLite is to hold as codes and compute in float with."""
        prepared = self._prepared
        if recipe.scheme == "static":
            if recipe.by_channel and self._channels is None:
                self._channels = self.see_channels()
            channels = (self._channels or {}) if recipe.by_channel else {}
            model = static_model(prepared, self.ranges(recipe.method), recipe, self.refused, channels)
            if not recipe.stored:
                return model, ()
            if self._portable:
                return on_grids(model, rest_in(model, recipe))
            return with_rest_stored(model, prepared, recipe), ()
        if recipe.scheme == "fp16":
            return fp16_model(prepared, recipe), ()
        if recipe.scheme == "dynamic" and not self._portable:
            return dynamic_model(prepared, recipe), ()
        held: Sequence[Held] = ()
        if recipe.stored:  # of scheme dynamic, whose activations TFLite quantizes itself
            kept = [
                weight
                for weight in rest_in(prepared.model, recipe)
                if any(read.layer in recipe.kept_float for read in weight.reads)
            ]
            model, held = on_grids(prepared.model, kept)
            prepared = replace(prepared, model=model)
        return weights_model(
            prepared, replace(recipe, kept_float=recipe.kept_float | recipe.float_weights), self._portable
        ), held


def _serialized(model: onnx.ModelProto) -> bytes:
    data: bytes = model.SerializeToString()
    return data


def _uncalibrated(method: Method) -> Ranges:
    raise AssertionError("scheme static is built after calibration")
