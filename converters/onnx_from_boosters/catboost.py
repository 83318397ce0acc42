"""A CatBoost model as an ONNX model.

CatBoost's own export writes TreeEnsemble operators of ai.onnx.ml 2 that add in float32 and wrap probabilities in a
ZipMap; its JSON form holds the same trees with borders and leaves in full, so the trees are read from there.
"""

from __future__ import annotations

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.onnx_from_boosters.boosted import onnx_from_boosted
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET
from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.from_catboost import boosted_from_catboost
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.boosters.catboost import BINARY, MULTI, classes_of, document_of
from mlpack_edge.runtimes.boosters.shared import Booster


def onnx_from_catboost(booster: Booster, signature: Signature, opset: int = DEFAULT_OPSET) -> BuiltModel:
    """Convert a model (`catboost.CatBoost`): classes and probabilities, or values.

    signature: its inputs and columns, as `runtimes.boosters.catboost.signature_of` tells them, or one X of another dtype.
    Raises Unsupported for categorical, text and embedding features and for losses without a converter.
    """
    boosted = boosted_from_booster(booster)
    classes = classes_of(booster) if boosted.objective in BINARY + MULTI else None
    return onnx_from_boosted("CatBoost", boosted, signature, opset, classes)


def boosted_from_booster(booster: Booster) -> Boosted:
    """Parse a model."""
    return boosted_from_catboost(document_of(booster))
