"""What the scikit-learn wrappers of boosters know of their columns: thresholds and categories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.ensemble import LEQ, LT, Ensemble
from mlpack_edge.core.errors import Unsupported

#: An object of an untyped library (scikit-learn ships no type hints).
Estimator = Any


def boosted_of(step: Estimator) -> Boosted | None:
    """The parsed booster inside a wrapper of XGBoost, LightGBM or CatBoost.

    None for other estimators, and where there is no converter: the conversion then says so, with the step's path.
    """
    try:
        return _parsed(step)
    except Unsupported:
        return None


def _parsed(step: Estimator) -> Boosted | None:
    library = type(step).__module__.split(".")[0]
    if library == "xgboost" and hasattr(step, "get_booster"):
        from mlpack_edge.converters.onnx_from_boosters import xgboost as onnx_from_xgboost

        return onnx_from_xgboost.boosted_from_booster(step.get_booster(), None)
    if library == "lightgbm" and hasattr(step, "booster_"):
        from mlpack_edge.converters.onnx_from_boosters import lightgbm as onnx_from_lightgbm

        return onnx_from_lightgbm.boosted_from_booster(step.booster_)
    if library == "catboost":
        from mlpack_edge.converters.onnx_from_boosters import catboost as onnx_from_catboost

        return onnx_from_catboost.boosted_from_booster(step)
    return None


def booster_thresholds(boosted: Boosted) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """By column, the distinct finite thresholds, ascending."""
    model = boosted.model
    if not isinstance(model, Ensemble):
        return
    numeric = (model.feature >= 0) & np.isin(model.mode, (LEQ, LT))
    for feature in np.unique(model.feature[numeric]):
        found = np.unique(model.threshold[numeric & (model.feature == feature)])
        yield int(feature), found[np.isfinite(found)]
