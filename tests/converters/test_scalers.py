"""Scalers round as scikit-learn rounds: most tests here ask for equal bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from tests.converters.sklearn_parity import assert_same

X = load_breast_cancer().data[:, :6]
DTYPES = ["float32", "float64"]
SCALERS = [
    StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False), MinMaxScaler(),
    MinMaxScaler((-2, 5), clip=True), MaxAbsScaler(), MaxAbsScaler(clip=True), RobustScaler(), RobustScaler(with_centering=False),
    RobustScaler(with_scaling=False), RobustScaler(quantile_range=(5, 95), unit_variance=True),
]  # fmt: skip


def awkward(dtype: str) -> Any:
    """Rows with NaN, large and tiny numbers and both zeros."""
    rows = np.vstack([X, X * 1e9, -X * 1e-9, np.zeros((1, 6)), -np.zeros((1, 6)), np.full((1, 6), np.nan)])
    rows[::7, 2] = np.nan
    return rows.astype(dtype)


@pytest.mark.parametrize("fitted", DTYPES)
@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
@pytest.mark.parametrize("model", SCALERS, ids=str)
def test_scaled_bits_are_equal(model: Any, dtype: str, fitted: str) -> None:
    model.fit(X.astype(fitted))
    rows = awkward(dtype) if dtype != "int64" else (X * 1e6).astype(dtype)
    assert_same(model, rows, rtol=0, atol=0)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (20, 2), elements=st.floats(-1e9, 1e9, width=32)))
def test_standard_scaler_rounds_like_numpy_in_float32(rows: Any) -> None:
    assert_same(StandardScaler().fit(X[:, :2]), rows, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scaler", [StandardScaler(), RobustScaler(), MinMaxScaler(), MaxAbsScaler()], ids=str)
def test_a_tree_behind_a_scaler_takes_the_same_side_at_its_thresholds(scaler: Any, dtype: str) -> None:
    """Rows whose scaled values are thresholds of the tree, and their neighbours in the last places of the input."""
    target = load_breast_cancer().target
    train = (X + 1.6e9).astype(dtype) if dtype == "float64" else X.astype(dtype)
    model = make_pipeline(scaler, DecisionTreeClassifier(random_state=0)).fit(train, target)
    tree = model[-1].tree_
    on = []
    for feature, threshold in zip(tree.feature, tree.threshold, strict=True):
        if feature >= 0:
            point = scaler.inverse_transform(np.full((1, 6), threshold))[0, feature].astype(dtype)
            for step in range(-3, 4):
                row = train[step].copy()
                row[feature] = point + step * np.spacing(point)
                on.append(row)
    assert_same(model, np.vstack([on, train]))


@pytest.mark.parametrize("model", [StandardScaler(), MinMaxScaler()], ids=str)
def test_a_single_feature_before_a_product_stays_in_float64(model: Any) -> None:
    """A factor of one column beside a MatMul would be rounded to float32 by ONNX Runtime."""
    rows = X[:, :1]
    pipeline = make_pipeline(model, LinearRegression()).fit(rows, X[:, 1])
    assert_same(pipeline, rows, rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalizer(norm: str, dtype: str) -> None:
    rows = np.nan_to_num(awkward(dtype)[:-1])
    assert_same(Normalizer(norm).fit(rows), rows, rtol=1e-6 if dtype == "float32" else 1e-15, atol=0)


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
@pytest.mark.parametrize("threshold", [0.0, 0.1, np.float64(0.1), 3])
def test_binarizer(threshold: Any, dtype: str) -> None:
    rows = np.array([[0.1, np.float32(0.1), -0.0], [3, np.nextafter(3, 4), np.nextafter(0.1, 1)]] * 2).astype(dtype)
    assert_same(Binarizer(threshold=threshold).fit(rows), rows, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
@pytest.mark.parametrize(
    "model",
    [PolynomialFeatures(), PolynomialFeatures(3), PolynomialFeatures(3, interaction_only=True), PolynomialFeatures((2, 4)),
     PolynomialFeatures((0, 2), include_bias=False), PolynomialFeatures(8, interaction_only=True), PolynomialFeatures(1)],
    ids=str,
)  # fmt: skip
def test_polynomial_features_multiply_in_the_librarys_order(model: Any, dtype: str) -> None:
    rows = X.astype(dtype)
    assert_same(model.fit(rows), rows, rtol=0, atol=0)


@pytest.mark.parametrize("fitted", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
@pytest.mark.parametrize("standardize", [True, False])
def test_power_transformer(method: str, standardize: bool, dtype: str, fitted: str) -> None:
    train = (X[:, :4] + 0.01).astype(fitted)
    train[:, 3] = 1 / train[:, 3]
    rows = np.vstack([train, train * (100 if dtype == "float64" else 2), train / 1000])
    if method == "yeo-johnson":
        rows = np.vstack([rows, -rows, np.zeros((2, 4))])
    rows[3, 1] = np.nan
    model = PowerTransformer(method, standardize=standardize).fit(train)
    exact = dtype == "float64"
    assert_same(model, rows.astype(dtype), rtol=1e-12 if exact else 2e-5, atol=1e-12 if exact else 2e-5)


@pytest.mark.parametrize("lambdas", [[0.0, 2.0, 1.0, -3.0], [1e-17, 2 + 1e-16, 5.0, 2 - 1e-9]])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_power_transformer_at_the_exponents_where_the_formula_changes(method: str, lambdas: list[float]) -> None:
    rows = np.abs(np.random.default_rng(0).normal(size=(200, 4))) + 1e-6
    model = PowerTransformer(method, standardize=False).fit(rows)
    model.lambdas_ = np.array(lambdas)
    assert_same(model, rows if method == "box-cox" else np.vstack([rows, -rows]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("fitted", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", ["uniform", "normal"])
@pytest.mark.parametrize("count", [10, 300])
def test_quantile_transformer(output: str, count: int, dtype: str, fitted: str) -> None:
    """Repeated values give repeated quantiles; rows lie on quantiles, next to them and beyond."""
    train = np.column_stack([X[:300, 0], np.round(X[:300, 1]), X[:300, 2] * 1e9, np.ones(300)]).astype(fitted)
    model = QuantileTransformer(n_quantiles=count, output_distribution=output).fit(train)
    on = model.quantiles_.astype(dtype)
    rows = np.vstack(
        [on, np.nextafter(on, np.inf), np.nextafter(on, -np.inf), train.astype(dtype), on * 0 - 1e12, on * 0 + 1e12]
    )
    rows[5, 1] = np.nan
    assert_same(
        model,
        rows.astype(dtype),
        rtol=1e-12 if dtype == "float64" else 1e-6,
        atol=1e-14 if dtype == "float64" else 1e-7,
    )
