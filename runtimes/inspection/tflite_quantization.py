"""How a TFLite file is quantized: which tensors carry scales, how many each, and how large they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Json = dict[str, Any]
Table = Any

NARROW = {"int8", "uint8", "int4", "uint4", "int2", "int16"}


@dataclass(slots=True)
class Census:
    """weights: stored elements by dtype. tensors: all tensors by dtype. activations: quantized tensors that are
    computed, by dtype. unscaled: operators that read 8-bit integers without a scale."""

    weights: Counter[str] = field(default_factory=Counter)
    tensors: Counter[str] = field(default_factory=Counter)
    activations: Counter[str] = field(default_factory=Counter)
    unscaled: Counter[str] = field(default_factory=Counter)
    per_tensor: int = 0
    per_channel: int = 0
    low: float = np.inf
    high: float = -np.inf

    def count(self, dtype: str, quantization: Table | None, is_stored: bool) -> None:
        """Count one tensor."""
        self.tensors[dtype] += 1
        scales = np.asarray([]) if quantization is None else np.asarray(quantization.ScaleAsNumpy()).ravel()
        if quantization is None or not int(quantization.ScaleLength()):
            return
        self.per_channel += scales.size > 1
        self.per_tensor += scales.size == 1
        self.low, self.high = min(self.low, float(scales.min())), max(self.high, float(scales.max()))
        if not is_stored and dtype in NARROW:
            self.activations[dtype] += 1

    def facts(self, borders: list[Json]) -> Json | None:
        """Null where nothing is quantized. borders: the file's inputs and outputs."""
        stored = {name: number for name, number in sorted(self.weights.items()) if name in NARROW and number}
        total = sum(self.weights.values()) or 1
        quantized = self.per_tensor + self.per_channel
        if not quantized or not (stored or self.activations):
            half = self.weights["float16"]
            return {"scheme": "fp16", "weights": {"float16": half}, "share": round(half / total, 4)} if half else None
        if not self.activations:
            scheme = "integer weights"
        elif all(item["dtype"] in NARROW for item in borders):
            scheme = "static, integers in and out"
        else:
            scheme = "static, not all of the inputs and outputs"
        return {
            "scheme": scheme,
            "weights": stored,
            "share": round(sum(stored.values()) / total, 4),
            "tensors": quantized,
            "activations": dict(sorted(self.activations.items())),
            "per_tensor": self.per_tensor,
            "per_channel": self.per_channel,
            "scales": {"min": _finite(self.low), "max": _finite(self.high)},
        }


def _finite(number: float) -> float | None:
    """JSON has no infinities."""
    return number if np.isfinite(number) else None
