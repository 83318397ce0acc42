"""What CatBoost decides for a row, the ONNX file decides; raw sums to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import catboost as cb
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpack_edge.converters.onnx_from_boosters.boosted import onnx_from_boosted
from mlpack_edge.converters.onnx_from_boosters.catboost import boosted_from_booster, onnx_from_catboost
from mlpack_edge.converters.trees.ensemble import walk
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.runtimes.boosters import catboost as reference
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.booster_parity import assert_booster_same, hard_rows, thresholds_of
from tests.converters.sklearn_parity import assert_same

FEW: dict[str, Any] = {"iterations": 15, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(400, 5)).astype(np.float32)
X[RANDOM.random(X.shape) < 0.1] = np.nan
X[:, 2] *= 1e8
X[:, 4] = np.nan_to_num(X[:, 4])  # NaN is new to this column when it comes at scoring time
Y = np.nansum(X / [1, 1, 1e8, 1, 1], axis=1)
THREE = np.digitize(Y, [-1, 1])


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    """Train, save as .cbm, load again."""

    def train(params: dict[str, Any], labels: Any, rows: Any = X, threshold: float | None = None) -> Any:
        model = cb.CatBoost({**FEW, "depth": 4, **params})
        groups = {"group_id": np.repeat(np.arange(20), 20)} if "Rank" in params["loss_function"] else {}
        model.fit(cb.Pool(rows, labels, **groups))
        if threshold is not None:
            model.get_metadata()["binclass_probability_threshold"] = str(threshold)
        model.save_model(str(tmp_path / "model.cbm"))
        return reference.load(tmp_path / "model.cbm")

    return train


def assert_exact(booster: Any, rtol: float = 0.0) -> None:
    """Float64 rows within `rtol`; float32 rows to the rounding of the output."""
    thresholds = thresholds_of(boosted_from_booster(booster).model)
    for dtype, slack in ((np.float64, 0.0), (np.float32, 6e-8)):
        rows = hard_rows(X.astype(dtype), thresholds)
        assert_booster_same(reference, onnx_from_catboost, booster, rows, rtol + slack, 0.0)


LOSSES = (
    "MAE", "Quantile:alpha=0.3", "MultiQuantile:alpha=0.2,0.5", "MAPE", "Huber:delta=1", "LogLinQuantile",
    "Expectile:alpha=0.3", "Lq:q=1.5", "LogCosh", "RMSPE",
)  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_regressions_are_equal_to_the_last_bit(saved: Any, loss: str) -> None:
    assert_exact(saved({"loss_function": loss}, Y + 10))


@pytest.mark.parametrize("policy", ["SymmetricTree", "Depthwise", "Lossguide"])
@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
def test_every_tree_shape_and_missing_value_mode_is_equal(saved: Any, policy: str, nan_mode: str) -> None:
    assert_exact(saved({"loss_function": "RMSE", "grow_policy": policy, "nan_mode": nan_mode}, Y))


def test_several_outputs_and_rankings_are_equal(saved: Any) -> None:
    assert_exact(saved({"loss_function": "MultiRMSE"}, np.c_[Y, abs(Y)]))
    assert_exact(saved({"loss_function": "YetiRank"}, THREE))


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        ("Logloss", (Y > 0).astype(int)),
        ("Logloss", np.where(Y > 0, "yes", "né")),
        ("Logloss", Y > 0),
        ("Logloss", (Y > 0) * 1.5),
        ("CrossEntropy", (Y > 0) * 0.7),
        ("MultiClass", THREE),
        ("MultiClass", np.array(["a", "é", "c"])[THREE]),
        ("MultiClassOneVsAll", THREE + 5),
        ("Poisson", abs(Y)),
        ("Tweedie:variance_power=1.5", abs(Y)),
        ("RMSEWithUncertainty", Y),
    ],
)
def test_predictions_through_a_link_are_equal(saved: Any, loss: str, labels: Any) -> None:
    assert_exact(saved({"loss_function": loss}, labels), rtol=1e-14)


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_the_stored_probability_threshold_decides_the_class(saved: Any, threshold: float) -> None:
    booster = saved({"loss_function": "Logloss"}, (Y > 0).astype(int), threshold=threshold)
    labels = booster.predict(X, prediction_type="Class")
    positive = booster.predict(X, prediction_type="Probability")[:, 1]
    assert (labels != (positive > 0.5)).any()
    assert_exact(booster, rtol=1e-14)


def test_a_model_without_trees_gives_its_bias_for_every_row() -> None:
    model = cb.CatBoostRegressor(**{**FEW, "iterations": 30}).fit(X, Y)
    model.shrink(1)
    one = boosted_from_booster(model)
    bare = replace(one, model=replace(one.model, roots=one.model.roots[:0]), bias=(2.5,))
    built = onnx_from_boosted("CatBoost", bare, reference.signature_of(model), 21)
    made = run(open_session(built.model.SerializeToString()), {"X": X})["prediction"]
    np.testing.assert_array_equal(made, np.full(len(X), 2.5, np.float32))


def test_several_labels_a_row_are_refused(saved: Any) -> None:
    booster = saved({"loss_function": "MultiLogloss"}, np.c_[Y > 0, Y > 1].astype(int))
    with pytest.raises(Unsupported, match="MultiLogloss"):
        onnx_from_catboost(booster, reference.signature_of(booster))


def test_categorical_features_are_refused_by_name() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["a"] = RANDOM.choice(["x", "y"], len(frame))
    model = cb.CatBoostRegressor(cat_features=["a"], **FEW).fit(frame, Y)
    with pytest.raises(Unsupported, match="'a'"):
        onnx_from_catboost(model, reference.signature_of(model))


def test_the_parser_agrees_with_the_specification_walk(saved: Any) -> None:
    booster = saved({"loss_function": "RMSE"}, Y)
    boosted = boosted_from_booster(booster)
    rows = hard_rows(X, thresholds_of(boosted.model))
    sums = walk(boosted.model, rows)[:, 0] * boosted.scale + boosted.bias[0]
    np.testing.assert_allclose(sums, booster.predict(rows), rtol=1e-13)


@pytest.mark.parametrize("content", [b"", b"CBM1", b"CBM1\xff\xff\xff\x7f", b"no model"])
def test_damaged_files_are_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.cbm").write_bytes(content)
    with pytest.raises(BadInput):
        reference.load(tmp_path / "model.cbm")


BREAST, IRIS, DIABETES = (load(return_X_y=True) for load in (load_breast_cancer, load_iris, load_diabetes))


def constant(column: int) -> Any:
    rows = DIABETES[0].copy()
    rows[:, column] = 1.0
    return rows, DIABETES[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (cb.CatBoostClassifier(**FEW), BREAST),
        (cb.CatBoostClassifier(**FEW), (IRIS[0], np.array(["a", "é", "c"])[IRIS[1]])),
        (cb.CatBoostClassifier(**FEW), IRIS),
        (cb.CatBoostClassifier(**FEW), (BREAST[0], BREAST[1] == 1)),
        (cb.CatBoostRegressor(**FEW), DIABETES),
        (cb.CatBoostRegressor(**FEW), constant(0)),
        (cb.CatBoostRegressor(ignored_features=[9], **FEW), constant(9)),
        (cb.CatBoostRegressor(loss_function="Poisson", **FEW), DIABETES),
        (cb.CatBoostRegressor(loss_function="RMSEWithUncertainty", **FEW), DIABETES),
        (make_pipeline(StandardScaler(), cb.CatBoostClassifier(**FEW)), BREAST),
    ],
)
def test_wrappers_and_pipelines_are_equal(estimator: Any, data: Any, dtype: str) -> None:
    rows, labels = data
    assert_same(estimator.fit(rows, labels), rows.astype(dtype), rtol=3e-7)
