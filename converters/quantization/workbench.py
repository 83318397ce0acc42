"""Where candidates are made: a recipe in, the bytes of a whole file out, the same every time."""

from __future__ import annotations

from pathlib import Path

import onnx

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.static.layers import layers_of as static_layers
from mlpack_edge.converters.quantization.static.model import static_model
from mlpack_edge.converters.quantization.stored import dynamic_model, fp16_model, weights_model
from mlpack_edge.converters.quantization.stored import layers_of as stored_layers
from mlpack_edge.converters.quantization.subject import Subject, metadata_of
from mlpack_edge.converters.quantization.values import Json, Layer, Method, Ranges, Recipe
from mlpack_edge.converters.stamping import stamp
from mlpack_edge.runtimes.parity import Runner


class Workbench:
    """ranges: what calibration found, by method; empty until there is one. io: of TFLite files. how: what shapes a file
    beside its recipe, for the lineage."""

    def __init__(self, subject: Subject, prepared: Prepared, io: str, how: Json) -> None:
        self._subject, self._prepared = subject, prepared
        self._io, self._how = io, how
        self.ranges: dict[Method, Ranges] = {}

    def layers(self, recipe: Recipe) -> tuple[Layer, ...]:
        """What `recipe` changes, in the graph's order."""
        if recipe.scheme == "static":
            return static_layers(self._prepared, recipe)
        return stored_layers(self._prepared, recipe.scheme)

    def build(self, recipe: Recipe) -> bytes:
        """The whole file. Raises Unsupported where the model or the format cannot be had that way."""
        model = self._onnx(recipe)
        subject = self._subject
        lineage = subject.lineage_with(recipe, self._how)
        if subject.to == "onnx":
            made = {name for node in model.graph.node for name in node.output}
            stamp(model, subject.signature, lineage, {k: v for k, v in subject.built.taps.items() if v in made})
            data: bytes = model.SerializeToString()
            return data
        from mlpack_edge.converters.quantization.lite import lite_from_model

        return lite_from_model(
            model, subject.signature, recipe, "int8" if self._io == "int8" else "float", metadata_of(lineage)
        ).data

    def runner(self, file: bytes | Path) -> Runner:
        """The file, answering in the terms of the float model. Raises CheckFailed where its runtime refuses it."""
        return self._subject.runner(file)

    def _onnx(self, recipe: Recipe) -> onnx.ModelProto:
        if recipe.scheme == "static":
            return static_model(self._prepared, self.ranges[recipe.method], recipe)
        if recipe.scheme == "fp16":
            return fp16_model(self._prepared, recipe)
        if recipe.scheme == "dynamic" and self._subject.to == "onnx":
            return dynamic_model(self._prepared, recipe)
        portable = self._subject.to == "tflite"  # which quantizes the activations of scheme dynamic itself
        return weights_model(self._prepared, recipe, portable)
