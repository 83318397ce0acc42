"""Fitted estimators on real data, and the rows a predictor is held to."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.converters.sklearn_parity import assert_same

Array = Any
DTYPES = ("float32", "float64")


def data(name: str, dtype: str = "float64") -> tuple[Array, Array]:
    """(rows, target) of a data set of scikit-learn, the rows as `dtype`."""
    loaders = {"iris": load_iris, "wine": load_wine, "cancer": load_breast_cancer, "diabetes": load_diabetes}
    x, y = loaders[name](return_X_y=True)
    return x.astype(dtype), y


def probes(x: Array, extreme: bool = True) -> Array:
    """Fitted rows, rows near them, zeros, and rows of magnitude 1e3 to 1e9."""
    rng = np.random.default_rng(0)
    near = x[:40] + rng.normal(0, 1, (40, x.shape[1])) * x.std(axis=0)
    groups = [x[::2], near, np.zeros((1, x.shape[1]))]
    if extreme:
        groups += [near[:8] * scale for scale in (1e3, 1e6, 1e9)]
    return np.concatenate(groups).astype(x.dtype)


def assert_right(
    estimator: Any,
    name: str,
    dtype: str,
    *,
    extreme: bool = True,
    target: Any = None,
    rtol: float = 0.0,
    atol: float = 0.0,
) -> onnx.ModelProto:
    """Fit on the data set, alone and behind a StandardScaler, and hold both against their ONNX models.

    float32 leaves as float32: it is held to 1e-5. Returns the model of the estimator alone.
    """  # fmt: skip
    x, y = data(name, dtype)
    y = target(x, y) if callable(target) else y
    rtol = rtol or (1e-5 if dtype == "float32" else 1e-7)
    atol = atol or (1e-5 if dtype == "float32" else 1e-9)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # convergence, overflow at 1e9: the library's own
        fitted = clone(estimator).fit(x, y)
        piped = make_pipeline(StandardScaler(), clone(estimator)).fit(x, y)
        rows = probes(x, extreme)
        made = assert_same(fitted, rows, rtol, atol)
        assert_same(piped, rows, rtol, atol)
    return made
