"""What LightGBM decides for a row, the ONNX file decides; raw sums to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import onnx
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from mlpack_edge.converters.frame import Prediction, frame_of
from mlpack_edge.converters.onnx_from_boosters.lightgbm import boosted_from_booster, onnx_from_lightgbm
from mlpack_edge.converters.onnx_from_sklearn.walk import convert_estimator
from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.converters.sources.sklearn_columns import explore
from mlpack_edge.converters.trees.ensemble import walk
from mlpack_edge.converters.trees.from_lightgbm import ZERO, boosted_from_lightgbm
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.runtimes.boosters import lightgbm as reference
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.booster_parity import assert_booster_same, hard_rows, thresholds_of
from tests.converters.sklearn_parity import assert_same

FEW: dict[str, Any] = {"n_estimators": 15, "n_jobs": 1, "verbose": -1}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(400, 5))
X[RANDOM.random(X.shape) < 0.1] = np.nan
X[RANDOM.random(X.shape) < 0.1] = 0
X[:, 2] *= 1e8
Y = np.nansum(X / [1, 1, 1e8, 1, 1], axis=1)
THREE = np.digitize(Y, [-1, 1])
#: Numbers around the border at which LightGBM takes a number for zero.
NEAR_ZERO = (0.0, -0.0, 1e-36, -1e-36, ZERO, -ZERO, 2e-35, -2e-35)


def train(params: dict[str, Any], labels: Any, rows: Any = X, rounds: int = 15, **data: Any) -> Any:
    common = {"num_threads": 1, "num_leaves": 9, "min_data_in_leaf": 5, "verbose": -1}
    return lgb.train({**common, **params}, lgb.Dataset(rows, labels, **data), rounds)


def rows_for(booster: Any, rows: Any, dtype: Any) -> Any:
    made = hard_rows(rows.astype(dtype), thresholds_of(boosted_from_booster(booster).model))
    for start, value in enumerate(NEAR_ZERO):
        made[start::50, start % made.shape[1]] = value
    return made


def assert_exact(booster: Any, rows: Any = X, rtol: float = 0.0) -> None:
    """Float64 rows within `rtol`; float32 rows to the rounding of the output."""
    assert_booster_same(reference, onnx_from_lightgbm, booster, rows_for(booster, rows, np.float64), rtol, 0.0)
    assert_booster_same(reference, onnx_from_lightgbm, booster, rows_for(booster, rows, np.float32), rtol + 6e-8, 0.0)


@pytest.mark.parametrize(
    "params",
    [{"objective": name} for name in ("regression", "regression_l1", "huber", "fair", "quantile", "mape")]
    + [{"objective": name, "reg_sqrt": True} for name in ("regression", "fair")]
    + [
        {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        {"objective": "regression", "boosting": "dart"},
        {"objective": "regression", "data_sample_strategy": "goss"},
        {"objective": "regression", "zero_as_missing": True},
        {"objective": "regression", "use_missing": False},
    ],
)
def test_sums_are_equal_to_the_last_bit(params: dict[str, Any]) -> None:
    assert_exact(train(params, Y))


@pytest.mark.parametrize(
    ("params", "labels"),
    [
        ({"objective": "binary"}, Y > 0),
        ({"objective": "binary", "sigmoid": 0.7123456789}, Y > 0),
        ({"objective": "binary", "is_unbalance": True}, Y > 1),
        ({"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, Y > 0),
        ({"objective": "binary", "zero_as_missing": True}, Y > 0),
        ({"objective": "binary", "use_missing": False}, Y > 0),
        ({"objective": "multiclass", "num_class": 3}, THREE),
        ({"objective": "multiclassova", "num_class": 3, "sigmoid": 2.0}, THREE),
        ({"objective": "poisson"}, abs(Y)),
        ({"objective": "gamma"}, abs(Y) + 0.1),
        ({"objective": "tweedie"}, abs(Y)),
        ({"objective": "cross_entropy"}, (Y > 0) * 0.7),
        ({"objective": "cross_entropy_lambda"}, (Y > 0) * 0.7),
    ],
)
def test_predictions_through_a_link_are_equal(params: dict[str, Any], labels: Any) -> None:
    assert_exact(train(params, labels), rtol=1e-14)


@pytest.mark.parametrize(
    ("params", "labels"),
    [
        ({"objective": "regression"}, Y),
        ({"objective": "binary"}, Y > 0),
        ({"objective": "multiclass", "num_class": 3}, THREE),
    ],
)
def test_linear_leaves_are_equal_and_fall_back_where_a_column_is_missing(params: dict[str, Any], labels: Any) -> None:
    rows = X / [1, 1, 1e8, 1, 1]
    booster = train({**params, "linear_tree": True}, labels, rows)
    assert boosted_from_booster(booster).linear
    made = rows_for(booster, rows, np.float64)
    assert_booster_same(reference, onnx_from_lightgbm, booster, made, 1e-9, 1e-9)
    assert_booster_same(reference, onnx_from_lightgbm, booster, made.astype(np.float32), 1e-6, 1e-6)


def test_an_infinite_value_reaches_only_the_linear_leaves_that_use_it() -> None:
    rows = X / [1, 1, 1e8, 1, 1]
    booster = train({"objective": "regression", "linear_tree": True}, Y, rows, rounds=2)
    made = rows.copy()
    made[::3, 2] = np.inf
    made[1::3, 4] = -np.inf
    expected = booster.predict(made)
    assert np.isfinite(expected).any()
    assert_booster_same(reference, onnx_from_lightgbm, booster, made, 1e-9, 1e-9)


@pytest.mark.parametrize("one_hot", [1, 50])
def test_category_codes_go_as_lightgbm_sends_them(one_hot: int) -> None:
    """Negative, fractional, unseen and missing codes; -0.5 is category 0, as a C cast makes it."""
    rows = X.copy()
    rows[:, 1] = RANDOM.integers(0, 40, len(rows))
    rows[:, 3] = RANDOM.integers(0, 3, len(rows))
    labels = np.isin(rows[:, 1], [0, 1, 4, 5, 31, 32, 33]) * 2.0 + (rows[:, 3] == 0) + np.nan_to_num(X[:, 0])
    params = {"objective": "regression", "min_data_per_group": 5, "cat_smooth": 1, "max_cat_to_onehot": one_hot}
    booster = train(params, labels, rows, categorical_feature=[1, 3])
    assert boosted_from_booster(booster).truncated == (1, 3)
    for dtype in (np.float64, np.float32):
        hard = rows_for(booster, rows, dtype)
        for start, code in enumerate((-1, 2.7, 31.999, -0.5, 99, 3e9, 32, -0.0, np.nan)):
            hard[start::20, 1] = code
            hard[start + 9 :: 20, 3] = code
        assert_booster_same(reference, onnx_from_lightgbm, booster, hard, 6e-8, 0.0)


def test_data_frame_categories_go_in_by_value() -> None:
    """Text and integer categories; unknown ones and missing text are missing values."""
    frame = pd.DataFrame({
        "city": pd.Categorical(RANDOM.choice(["u", "v", "zé", "日本", "y"], 400)), "b": X[:, 0],
        "size": pd.Categorical(RANDOM.choice([3, 5, 9], 400)),
    })  # fmt: skip
    labels = frame["city"].isin(["y", "日本"]).to_numpy() + (frame["size"] == 5).to_numpy() + np.nan_to_num(X[:, 0])
    booster = train({"objective": "regression", "min_data_per_group": 5, "cat_smooth": 1}, labels, frame)
    city = frame["city"].astype(object).to_numpy().copy()
    city[::9], city[1::9] = "new", ""
    size = frame["size"].astype("int64").to_numpy().copy()
    size[::8] = 77
    feeds = {"city": city[:, None], "b": X[:, :1], "size": size[:, None]}
    assert_booster_same(reference, onnx_from_lightgbm, booster, feeds, 0.0, 0.0)


def test_categories_whose_columns_the_file_does_not_tell_are_refused() -> None:
    """A constant category column leaves no trace in the model text but its list of values."""
    frame = pd.DataFrame({
        "a": pd.Categorical(["x"] * 400), "b": X[:, 0], "c": pd.Categorical(RANDOM.choice(list("uv"), 400))
    })  # fmt: skip
    booster = train({"objective": "regression"}, Y, frame)
    with pytest.raises(Unsupported, match="does not tell which"):
        reference.signature_of(booster)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([*NEAR_ZERO, 1e-40, -1e-40]), st.booleans())
def test_thresholds_near_zero_are_read_as_lightgbm_reads_zero(threshold: float, zero_as_missing: bool) -> None:
    """Whatever the threshold of a node, numbers up to 1e-35 go where 0 goes."""
    booster = train({"objective": "regression", "zero_as_missing": zero_as_missing}, Y, rounds=1)
    lines = booster.model_to_string().splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("threshold="))
    lines[at] = "threshold=" + " ".join(repr(threshold) for _ in lines[at].split())
    start = next(index for index, line in enumerate(lines) if line.startswith("tree_sizes="))
    del lines[start]
    changed = lgb.Booster(model_str="\n".join(lines) + "\n")
    rows = np.random.default_rng(1).choice([*NEAR_ZERO, 1.0, -1.0, np.nan, 1e-40], size=(300, 5))
    assert_booster_same(reference, onnx_from_lightgbm, changed, rows, 0.0, 0.0)


def test_trees_that_are_no_trees_are_bad_input() -> None:
    """A file can send a node back to the root."""
    lines = train({"objective": "regression"}, Y, rounds=1).model_to_string().splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("left_child="))
    lines[at] = "left_child=0 " + lines[at].split(" ", 1)[1]
    with pytest.raises(BadInput):
        boosted_from_lightgbm("\n".join(lines))


def test_ordered_categories() -> None:
    """LightGBM splits their codes as numbers; beside unordered ones, unknown values and missing ones."""
    frame = pd.DataFrame({
        "b": X[:, 0],
        "size": pd.Categorical(RANDOM.choice(["s", "m", "l", "xl"], 400), ["s", "m", "l", "xl"], ordered=True),
        "city": pd.Categorical(RANDOM.choice(["x", "y", "z"], 400)),
    })  # fmt: skip
    labels = frame["size"].cat.codes.to_numpy() * 1.5 + frame["city"].cat.codes.to_numpy() + X[:, 0]
    booster = train({"objective": "regression", "min_data_per_group": 5, "cat_smooth": 1}, labels, frame)
    size, city = (frame[name].astype(object).to_numpy().copy() for name in ("size", "city"))
    size[::9], size[1::9], city[2::9] = "new", "", ""
    feeds = {"b": X[:, :1], "size": size[:, None], "city": city[:, None]}
    assert_booster_same(reference, onnx_from_lightgbm, booster, feeds, 0.0, 0.0)
    assert len(np.unique(booster.predict(frame.assign(b=0.0)))) > 6  # the trees look at both
    assert reference.signature_of(booster).columns[1].categories == ("s", "m", "l", "xl")


def test_ordered_categories_beside_whole_numbers_are_refused() -> None:
    """The file does not tell which of the two columns the values belong to."""
    frame = pd.DataFrame({"a": pd.Categorical(RANDOM.choice(list("xyz"), 400), ordered=True), "b": X[:, 0] > 0})
    with pytest.raises(Unsupported, match="ordered") as caught:
        reference.signature_of(train({"objective": "regression"}, Y, frame.astype({"b": int})))
    assert "as_unordered" in caught.value.hint


def test_the_parser_agrees_with_the_specification_walk() -> None:
    booster = train({"objective": "regression"}, Y)
    rows = rows_for(booster, X, np.float64)
    boosted = boosted_from_booster(booster)
    np.testing.assert_allclose(walk(boosted.model, rows)[:, 0], booster.predict(rows), rtol=1e-14)


def test_a_saved_file_opens_whatever_its_suffix(tmp_path: Path) -> None:
    booster = train({"objective": "binary", "sigmoid": 0.7123456789}, Y > 0, rounds=4)
    booster.save_model(tmp_path / "model.bin")
    assert_exact(reference.load(tmp_path / "model.bin"), rtol=1e-14)


@pytest.mark.parametrize("content", [b"", b"tree\nversion=v4\n", b"\xff\xfe\x00", b"no model"])
def test_damaged_files_are_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.txt").write_bytes(content)
    with pytest.raises(BadInput):
        reference.load(tmp_path / "model.txt")


BREAST, IRIS, DIABETES = (load(return_X_y=True) for load in (load_breast_cancer, load_iris, load_diabetes))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (lgb.LGBMClassifier(**FEW), BREAST),
        (lgb.LGBMClassifier(sigmoid=0.7123456789, **FEW), BREAST),
        (lgb.LGBMClassifier(**FEW), (IRIS[0], np.array(["a", "é", "c"])[IRIS[1]])),
        (lgb.LGBMClassifier(**FEW), (BREAST[0], BREAST[1] == 1)),
        (lgb.LGBMClassifier(objective="cross_entropy", **FEW), BREAST),
        (lgb.LGBMClassifier(objective="multiclassova", **FEW), IRIS),
        (lgb.LGBMClassifier(boosting_type="rf", bagging_freq=1, bagging_fraction=0.6, **FEW), BREAST),
        (lgb.LGBMClassifier(zero_as_missing=True, **FEW), BREAST),
        (lgb.LGBMRegressor(**FEW), DIABETES),
        (lgb.LGBMRegressor(linear_tree=True, **FEW), DIABETES),
        (make_pipeline(SimpleImputer(), lgb.LGBMRegressor(**FEW)), DIABETES),
    ],
)
def test_wrappers_and_pipelines_are_equal(estimator: Any, data: Any, dtype: str) -> None:
    rows, labels = data
    assert_same(estimator.fit(rows, labels), rows.astype(dtype), rtol=3e-7, atol=1e-9)


def test_the_wrapper_predicts_with_the_best_iteration() -> None:
    rows, labels = DIABETES
    model = lgb.LGBMRegressor(n_estimators=60, learning_rate=0.5, n_jobs=1, verbose=-1)
    stop = lgb.early_stopping(3, verbose=False)
    model.fit(rows[:300], labels[:300], eval_X=rows[300:], eval_y=labels[300:], callbacks=[stop])
    assert 0 < model.best_iteration_ < 60
    assert_same(model, rows, rtol=0, atol=0)


@pytest.mark.parametrize("boosting", ["gbdt", "rf"])
def test_a_booster_predicts_with_its_best_iteration(boosting: str) -> None:
    booster = train({"objective": "regression", "boosting": boosting, "bagging_freq": 1, "bagging_fraction": 0.6}, Y)
    everything = booster.predict(X)
    booster.best_iteration = 4
    assert (booster.predict(X) != everything).any()
    assert_exact(booster)


def test_ranker_scores_are_equal() -> None:
    rows, labels = IRIS
    assert_same(lgb.LGBMRanker(**FEW).fit(rows, labels, group=[10] * 15), rows, rtol=0, atol=0)


def squares(labels: Any, made: Any) -> Any:
    return made - labels, np.ones_like(labels)


def test_an_own_objective_gives_raw_values_of_a_regressor_and_no_classes() -> None:
    rows, labels = DIABETES
    assert_same(lgb.LGBMRegressor(objective=squares, **FEW).fit(rows, labels), rows, rtol=0, atol=0)
    rows, labels = BREAST
    model = lgb.LGBMClassifier(objective=squares, **FEW).fit(rows, labels)
    with pytest.raises(Unsupported) as refusal:
        assert_same(model, rows)
    assert refusal.value.data["class"] == "lightgbm.sklearn.LGBMClassifier"


WRAPPERS_OF_CATEGORIES = [
    lgb.LGBMRegressor(min_data_per_group=5, cat_smooth=1, **FEW),
    lgb.LGBMClassifier(min_data_per_group=5, cat_smooth=1, **FEW),
]


@pytest.mark.parametrize("estimator", WRAPPERS_OF_CATEGORIES, ids=lambda made: type(made).__name__)
def test_wrappers_fitted_on_data_frame_categories_take_raw_values(estimator: Any) -> None:
    """Text and integers go in as they are; a value outside the categories is missing."""
    frame = pd.DataFrame({
        "city": pd.Categorical(RANDOM.choice(list("uvwxyz"), 400)), "b": X[:, 0].astype(np.float64),
        "size": pd.Categorical(RANDOM.choice([3, 5, 9], 400)),
    })  # fmt: skip
    labels = frame["city"].isin(["y", "u"]).to_numpy() + (frame["size"] == 5).to_numpy() + np.nan_to_num(X[:, 0])
    estimator.fit(frame, labels if "Regressor" in type(estimator).__name__ else labels > 1)
    raw = frame.assign(city=frame["city"].astype(object), size=frame["size"].astype("int64"))
    raw.loc[::7, "city"] = "new"
    raw.loc[::9, "size"] = 7
    assert_same(estimator, raw, rtol=3e-7)
    facts = explore(estimator, list(raw.columns), 3)
    assert [fact.kind for fact in facts] == ["categorical", "numeric", "categorical"]
    assert facts[1].hint().edges.size


def test_scores_of_a_classifier_are_its_decision_function() -> None:
    """Stacking and calibration read them; a random forest's are not divided by its trees."""
    rows, labels = BREAST
    model = lgb.LGBMClassifier(boosting_type="rf", bagging_freq=1, bagging_fraction=0.6, **FEW).fit(rows, labels)
    graph = Graph()
    frame = frame_of(Value("X", "float64", rows.shape[1]))
    made = convert_estimator(graph, model, frame, "model")
    assert isinstance(made, Prediction) and made.scores is not None
    graph.nodes.append(onnx.helper.make_node("Identity", [made.scores.name], ["scores"]))
    info = onnx.helper.make_tensor_value_info
    whole = graph.model(
        [info("X", onnx.TensorProto.DOUBLE, ["batch", rows.shape[1]])],
        [info("scores", onnx.TensorProto.DOUBLE, ["batch"])],
    )
    given_scores = run(open_session(whole.SerializeToString()), {"X": rows})["scores"]
    np.testing.assert_array_equal(given_scores, model.decision_function(rows))
