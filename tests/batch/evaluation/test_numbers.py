"""Figures of regressions against scikit-learn's on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.model_selection import cross_val_predict

from mlpack_edge.core.errors import BadInput
from tests.batch.evaluation.scored import judged, metric, model, signature, table


@pytest.fixture(scope="module")
def diabetes() -> dict[str, Any]:
    """The disease's progress after a year for 442 patients, and what two models say of it."""
    features, truth = load_diabetes(return_X_y=True)
    made = {
        prefix + "value": cross_val_predict(estimator, features, truth, cv=3).astype(np.float32)
        for prefix, estimator in (("", LinearRegression()), ("challenger_", Ridge(1.0)))
    }
    return {"truth": truth, "sex": features[:, 1] > 0, **made}


def test_errors_agree_with_scikit_learn(tmp_path: Path, diabetes: dict[str, Any]) -> None:
    scores = table(tmp_path / "s.parquet", diabetes)
    report = judged(scores=scores, label="truth", segments=["sex"], model=model(tmp_path / "m.onnx", signature(value=True)))  # fmt: skip
    truth, value = diabetes["truth"], diabetes["value"].astype(np.float64)
    assert report["task"] == "regression" and report["positive"] is None
    expected = {
        "mae": mean_absolute_error(truth, value),
        "rmse": root_mean_squared_error(truth, value),
        "bias": float((value - truth).mean()),
    }
    assert {one["name"]: one["value"] for one in report["metrics"]} == pytest.approx(expected, rel=1e-12)
    assert all(one["ci95"][0] < one["value"] < one["ci95"][1] for one in report["metrics"])
    assert [item["value"] for item in report["segments"]] == ["false", "true"]
    mine = diabetes["sex"]
    assert metric(report["segments"][1]["metrics"], "mae")["value"] == pytest.approx(
        mean_absolute_error(truth[mine], value[mine])
    )


def test_a_challenger_is_compared_row_by_row(tmp_path: Path, diabetes: dict[str, Any]) -> None:
    told = model(tmp_path / "m.onnx", signature(value=True))
    scores = table(tmp_path / "s.parquet", diabetes)
    report = judged(scores=scores, label="truth", model=told, challenger=told)
    errors = [np.abs(diabetes[name].astype(np.float64) - diabetes["truth"]) for name in ("value", "challenger_value")]
    apart = report["challenger"]["differences"]
    found = metric(apart, "mae")
    assert found["value"] == pytest.approx((errors[1] - errors[0]).mean())
    assert found["ci95"][0] < found["value"] < found["ci95"][1]
    roots = [np.sqrt((error**2).mean()) for error in errors]
    assert metric(apart, "rmse")["value"] == pytest.approx(roots[1] - roots[0])
    # The two models err alike, so their difference is known far better than either figure.
    own = metric(report["challenger"]["metrics"], "mae")["ci95"]
    assert found["ci95"][1] - found["ci95"][0] < 0.8 * (own[1] - own[0])


def test_the_interval_of_a_paired_rmse_is_that_of_resampling(tmp_path: Path, diabetes: dict[str, Any]) -> None:
    told = model(tmp_path / "m.onnx", signature(value=True))
    report = judged(scores=table(tmp_path / "s.parquet", diabetes), label="truth", model=told, challenger=told)
    low, high = metric(report["challenger"]["differences"], "rmse")["ci95"]
    squares = [(diabetes[name].astype(np.float64) - diabetes["truth"]) ** 2 for name in ("value", "challenger_value")]
    drawn = np.random.default_rng(1).integers(0, 442, (2000, 442))
    resampled = np.sqrt(squares[1][drawn].mean(axis=1)) - np.sqrt(squares[0][drawn].mean(axis=1))
    assert (high - low) == pytest.approx(2 * 1.96 * resampled.std(), rel=0.1)


def test_no_error_at_all_is_said(tmp_path: Path) -> None:
    value = np.arange(40, dtype=np.float32)
    scores = table(tmp_path / "s.parquet", {"value": value, "truth": value})
    report = judged(scores=scores, label="truth", model=model(tmp_path / "m.onnx", signature(value=True)))
    assert metric(report["metrics"], "mae")["ci95"] == [0.0, 0.0]
    assert metric(report["metrics"], "rmse")["value"] == 0 and "no row is wrong" in metric(report["metrics"], "rmse")["reason"]  # fmt: skip


def test_missing_labels_are_counted_and_infinite_ones_refused(tmp_path: Path) -> None:
    value = np.arange(60, dtype=np.float32)
    told = model(tmp_path / "m.onnx", signature(value=True))
    truth = value.astype(np.float64) + 1
    truth[:20] = np.nan
    report = judged(scores=table(tmp_path / "s.parquet", {"value": value, "truth": truth}), label="truth", model=told)
    assert (report["rows"], report["labelled"], report["unlabelled"]) == (60, 40, 20)
    truth[30] = np.inf
    with pytest.raises(BadInput, match="1 labels in 'truth' are infinite"):
        judged(scores=table(tmp_path / "t.parquet", {"value": value, "truth": truth}), label="truth", model=told)


@pytest.mark.parametrize("truth", [["a"] * 40, [True] * 40])
def test_labels_that_are_no_numbers_are_refused(tmp_path: Path, truth: list[Any]) -> None:
    scores = table(tmp_path / "s.parquet", {"value": np.zeros(40, np.float32), "truth": truth})
    with pytest.raises(BadInput, match="the model answers with numbers"):
        judged(scores=scores, label="truth", model=model(tmp_path / "m.onnx", signature(value=True)))


def test_a_regression_has_no_positive_class(tmp_path: Path, diabetes: dict[str, Any]) -> None:
    scores = table(tmp_path / "s.parquet", diabetes)
    with pytest.raises(BadInput, match="--positive"):
        judged(scores=scores, label="truth", positive="1", model=model(tmp_path / "m.onnx", signature(value=True)))
