"""The models that `mlpack check` is given, opened; what is known of their rows, and what they may differ by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlpack_edge.converters.comparing import Model
from mlpack_edge.converters.opening import Stage, digest_of, kind_of, open_source, refuse_changed
from mlpack_edge.converters.prove import Allowed
from mlpack_edge.converters.quantized_parity import is_quantized
from mlpack_edge.converters.sources.onnx import OnnxSource
from mlpack_edge.converters.sources.source import Source, SourceOptions
from mlpack_edge.runtimes.litert.source_terms import TfliteModel
from mlpack_edge.runtimes.rows import Hints

Json = dict[str, Any]
#: Nets add in float32 in an order of their own; everything else is computed as the source computes it.
NETS = {"torch", "torch-export", "onnx", "tflite"}


def open_models(names: list[str], options: SourceOptions, stage: Stage) -> tuple[list[Model], list[str]]:
    """(the models, the SHA-256 of each), each a source model, an ONNX or a TFLite file. Raises what opening them raises."""
    kinds = [kind_of(name) for name in names]  # what is no model is refused before the other one is opened
    digests = [digest_of(name, options) for name in names]
    models = [
        _opened_tflite(name, stage) if kind == "tflite" else open_source(name, options, stage)
        for name, kind in zip(names, kinds, strict=True)
    ]
    for name, digest in zip(names, digests, strict=True):
        refuse_changed(name, options, digest)
    return models, digests


def _opened_tflite(name: str, stage: Stage) -> TfliteModel:
    stage(f"opening {name}")
    return TfliteModel(Path(name))


def framework_of(models: list[Model]) -> Source | None:
    """The model that is neither an ONNX nor a TFLite file, where there is one: it knows more of itself."""
    return next((model for model in models if not isinstance(model, OnnxSource | TfliteModel)), None)


def hints_of(models: list[Model]) -> Hints:
    """What the models know of the rows they take."""
    source = framework_of(models) or next((model for model in models if not isinstance(model, TfliteModel)), None)
    return Hints() if source is None else source.hints()


def family_of(lowered: bool, kind: str, quantized: bool) -> str:
    """See `prove.Allowed`. lowered: one of the two is a TFLite file. kind: of the source. quantized: whether it computes
    with codes."""
    if lowered:
        return "quantized" if quantized else "lowered"
    return "net" if kind in NETS else "tabular"


def family_of_models(models: list[Model]) -> str:
    """The family by which `mlpack check` compares these."""
    lowered = any(isinstance(model, TfliteModel) for model in models)
    quantized = any(isinstance(model, OnnxSource) and is_quantized(model.original()) for model in models) if lowered else False  # fmt: skip
    return family_of(lowered, (framework_of(models) or models[0]).kind, quantized)


def allowed_of(payload: Json, family: str) -> Allowed:
    """What the user allows, in a family."""
    return Allowed(family, payload.get("rtol"), payload.get("atol"), payload.get("max_flips", 0.0))
