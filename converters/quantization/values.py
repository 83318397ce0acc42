"""What quantization speaks of: recipes, ranges, layers, and the points that were tried."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
Array = NDArray[Any]

Scheme = Literal["static", "dynamic", "fp16", "weights"]
Method = Literal["minmax", "percentile", "entropy", "mse"]


@dataclass(frozen=True, slots=True)
class Range:
    """What a tensor holds, low <= high. whole: of one scale for the tensor; the arrays are of shape `[]`, or `[columns]`
    along the last axis where columns were kept apart (the inputs of tabular nets)."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def whole(self) -> tuple[float, float]:
        return float(np.min(self.low)), float(np.max(self.high))


@dataclass(frozen=True, slots=True)
class Layer:
    """A node that quantization may change. name: of the node, unique in the prepared graph. weight_bytes: of its constant
    operand as float32, 0 where it has none."""

    name: str
    op_type: str
    weight_bytes: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is quantized; the same recipe on the same model and ranges gives the same bytes.

    activations, weights: types of the codes (weights "int4": storage in blocks, scheme "weights" alone).
    kept_float: names of the layers that stay as they are. operators: the operator types that compute with codes (scheme
    "static"; empty: all that the scheme knows). exact_sums: weights in steps that keep the pairwise 16-bit sums of x86
    processors without VNNI from saturating, so that every processor gives the same answers. method: of calibration.
    integer_only: no float operator is left where that can be had (microcontrollers).
    stored: large constants of what computes in float ("static" and "dynamic": kept float, or never on codes) are int8 in the
    file, in a form that costs no time; but for those that the layers `float_weights` read.
    by_channel: scales of activations and the rounding of weights go by what calibration saw of each channel ("static" alone).
    """

    scheme: Scheme
    activations: Literal["uint8", "int8"] = "uint8"
    weights: Literal["int8", "int4"] = "int8"
    method: Method = "minmax"
    kept_float: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    exact_sums: bool = True
    integer_only: bool = False
    stored: bool = False
    float_weights: frozenset[str] = frozenset()
    by_channel: bool = False

    @property
    def name(self) -> str:
        """As people read it: `static U8S8`, `weights int4`."""
        if self.scheme == "static":
            return f"static {'U' if self.activations == 'uint8' else 'S'}8S8"
        return f"weights {self.weights}" if self.scheme == "weights" else self.scheme

    def to_json(self) -> Json:
        """All that shapes the file; `integer_only` only where it is set, so that the lineages of other files keep their bytes."""
        return {
            "scheme": self.scheme, "activations": self.activations if self.scheme == "static" else None,
            "weights": "float16" if self.scheme == "fp16" else self.weights,
            "method": self.method if self.scheme == "static" else None, "kept_float": sorted(self.kept_float),
            "operators": sorted(self.operators), "exact_sums": self.exact_sums, "stored": self.stored,
            "float_weights": sorted(self.float_weights), "by_channel": self.by_channel,
            **({"integer_only": True} if self.integer_only else {}),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class SliceFacts:
    """One slice of an output (a column, a channel): the numbers at `index` of `axis`, both None where the whole output is one.
    noise: mean square of the error over the variance of the slice in the float model; `10 * log10(1 / noise)` is the
    signal-to-noise ratio in dB."""

    output: str
    index: int | None
    noise: float
    axis: int | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """Facts about a quantized model against its float original on rows.

    metric, before, after: of labels (`accuracy`, `mae`, ...), or "agreement", where before is 1. drop: what was lost, in the
    metric's own unit, positive where the model became worse; of agreement the larger of `flips` and the worst slice's
    noise. flips: share of rows whose label changed, None without labels. slices: the worst first, at most 20.
    """

    metric: str
    before: float
    after: float
    drop: float
    rows: int
    flips: float | None
    slices: tuple[SliceFacts, ...]

    def to_json(self) -> Json:
        """Strict JSON: null in place of what is not finite."""
        return {
            "name": self.metric, "before": _finite(self.before), "after": _finite(self.after), "drop": _finite(self.drop),
            "rows": self.rows, "flips": self.flips,
            "slices": [
                {"output": one.output, "axis": one.axis, "index": one.index, "noise": _finite(one.noise)}
                for one in self.slices
            ],
        }  # fmt: skip


def _finite(figure: float) -> float | None:
    return figure if math.isfinite(figure) else None


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """noise: what quantizing this layer alone adds to the worst output slice (see SliceFacts), None where not measured.
    kept_float: computes in float though it could be quantized. stored: computes in float, its weights are int8 in the file."""

    layer: Layer
    noise: float | None
    kept_float: bool
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A model that was made and judged. bytes: of its file. label: what a table calls it."""

    label: str
    recipe: Recipe
    bytes: int
    quality: Quality
    layers: tuple[LayerFacts, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def order(self) -> tuple[int, ...]:
        """Points of one scheme by what is wanted of them, the best first: the bytes of the file; with stored weights, which take
        as many bytes on codes as in float, before that the float32 weights and the weights that are computed with in float."""
        if not self.recipe.stored:
            return (self.bytes,)
        kept = [one for one in self.layers if one.kept_float]
        whole = sum(one.layer.weight_bytes for one in kept if not one.stored)
        return whole, sum(one.layer.weight_bytes for one in kept) - whole, self.bytes


#: Node name or tensor name -> what calibration found.
Ranges = Mapping[str, Range]
