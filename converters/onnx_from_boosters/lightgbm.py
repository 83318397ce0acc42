"""A LightGBM booster as an ONNX model."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.onnx_from_boosters.boosted import onnx_from_boosted
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET
from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.from_lightgbm import boosted_from_lightgbm
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.boosters.shared import Booster


def onnx_from_lightgbm(booster: Booster, signature: Signature, opset: int = DEFAULT_OPSET) -> BuiltModel:
    """Convert a booster (`lightgbm.Booster`): what `Booster.predict` gives.

    signature: its inputs and columns, as `runtimes.boosters.lightgbm.signature_of` tells them, or one X of another dtype.
    Raises Unsupported for what has no converter.
    """
    return onnx_from_boosted("LightGBM", boosted_from_booster(booster), signature, opset)


def boosted_from_booster(booster: Booster) -> Boosted:
    """Parse a booster: the iterations up to the best one where training stopped early, as `predict` uses them."""
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return boosted_from_lightgbm(text, _sigmoid(booster))


def _sigmoid(booster: Booster) -> float | None:
    """The exact sigmoid parameter of a booster in memory; None where the model text has it.

    The text holds six digits, and a booster that was pickled knows no more than the text while its parameters still
    say otherwise: a few predictions tell which of the two it uses.
    """
    given = booster.params.get("sigmoid")
    if given is None or float(f"{float(given):.6g}") == float(given):
        return None
    rows = np.random.default_rng(0).normal(size=(64, booster.num_feature()))
    raw = np.asarray(booster.predict(rows, raw_score=True, num_threads=1), np.float64)
    made = np.asarray(booster.predict(rows, num_threads=1), np.float64)
    candidates = (float(given), float(f"{float(given):.6g}"))
    errors = [float(np.abs(1 / (1 + np.exp(-value * raw)) - made).max()) for value in candidates]
    return candidates[int(np.argmin(errors))]
