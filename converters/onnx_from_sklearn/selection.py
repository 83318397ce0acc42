"""Feature selection: the columns that `get_support()` keeps, in the dtypes they come in."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope


def selected(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """sklearn.feature_selection._base.SelectorMixin._transform."""
    kept = np.flatnonzero(estimator.get_support()).tolist()
    if not kept:
        raise scope.refuse(estimator, "it keeps no column; the model would have no input")
    return frame.select(scope.graph, kept)


_SELECTORS = (
    "GenericUnivariateSelect", "SelectFdr", "SelectFpr", "SelectFromModel", "SelectFwe", "SelectKBest",
    "SelectPercentile", "SequentialFeatureSelector", "VarianceThreshold",
)  # fmt: skip
CONVERTERS: dict[str, Converter] = {f"sklearn.feature_selection.{name}": selected for name in _SELECTORS}
#: These predict, too, with the estimator they selected for.
TRANSFORMS: dict[str, Converter] = {f"sklearn.feature_selection.{name}": selected for name in ("RFE", "RFECV")}
