"""At which numbers the trees of scikit-learn change their answer, by input feature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: An object of an untyped library (scikit-learn ships no type hints).
Estimator = Any
Numbers = NDArray[np.float64]


def thresholds_by_feature(step: Estimator) -> Iterator[tuple[int, Numbers]]:
    """The split thresholds of scikit-learn trees by input feature."""
    features, thresholds = [], []
    for tree, used in _trees(step):
        inner = tree.children_left >= 0
        chosen = tree.feature[inner]
        features.append(used[chosen] if used is not None else chosen)
        thresholds.append(tree.threshold[inner])
    for predictor, places in _histogram_trees(step):
        nodes = predictor.nodes
        inner = (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)
        features.append(places[nodes["feature_idx"][inner].astype(int)])
        thresholds.append(nodes["num_threshold"][inner])
    if not features:
        return
    every, value = np.concatenate(features), np.concatenate(thresholds).astype(np.float64)
    for feature in np.unique(every):
        yield int(feature), np.unique(value[every == feature])


def _trees(step: Estimator) -> Iterator[tuple[Any, NDArray[np.int64] | None]]:
    """(tree, the input features its own are) of a tree or of an ensemble of trees."""
    if hasattr(step, "tree_"):
        yield step.tree_, None
        return
    parts = getattr(step, "estimators_", None)
    if parts is None:
        return
    chosen = getattr(step, "estimators_features_", None)
    # numpy would take a pipeline for a sequence of its steps
    for index, part in enumerate(parts.ravel() if isinstance(parts, np.ndarray) else parts):
        if hasattr(part, "tree_"):
            used = None if chosen is None or index >= len(chosen) else np.asarray(chosen[index], np.int64)
            yield part.tree_, used


def _histogram_trees(step: Estimator) -> Iterator[tuple[Any, NDArray[np.int64]]]:
    """(predictor, input feature of each of its features): categorical columns are moved first inside."""
    predictors = getattr(step, "_predictors", None)
    if predictors is None:
        return
    categorical = getattr(step, "is_categorical_", None)
    count = int(step.n_features_in_)
    mask = np.zeros(count, bool) if categorical is None else np.asarray(categorical, bool)
    places = np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)])
    for stage in predictors:
        for predictor in stage:
            yield predictor, places
