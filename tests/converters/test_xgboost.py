"""What XGBoost decides for a row, the ONNX file decides: to the last bit in margins, in every label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpack_edge.converters.onnx_from_boosters.xgboost import boosted_from_booster, onnx_from_xgboost
from mlpack_edge.converters.sources.sklearn_columns import explore
from mlpack_edge.converters.trees.ensemble import walk
from mlpack_edge.converters.trees.from_xgboost import boosted_from_xgboost
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.runtimes.boosters import xgboost as reference
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.booster_parity import assert_booster_same, hard_rows, thresholds_of
from tests.converters.sklearn_parity import assert_same

FEW: dict[str, Any] = {"n_estimators": 15, "n_jobs": 1}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(400, 5)).astype(np.float32)
X[RANDOM.random(X.shape) < 0.1] = np.nan
X[:, 2] *= 1e8
Y = np.nansum(X / [1, 1, 1e8, 1, 1], axis=1)
THREE = np.digitize(Y, [-1, 1])


def train(params: dict[str, Any], labels: Any, rows: Any = X, rounds: int = 15, **data: Any) -> Any:
    matrix = xgb.DMatrix(rows, labels, nthread=1, **data)
    return xgb.train({"nthread": 1, "max_depth": 4, "verbosity": 0, **params}, matrix, rounds)


def assert_exact(booster: Any, rows: Any = X, **tolerance: float) -> None:
    """Float32 and float64 rows, on thresholds and beside them."""
    model = boosted_from_booster(booster, None).model
    thresholds = thresholds_of(model) if hasattr(model, "feature") else {}
    for dtype in (np.float32, np.float64):
        assert_booster_same(
            reference, onnx_from_xgboost, booster, hard_rows(rows.astype(dtype), thresholds), **tolerance
        )


EXACT: dict[str, Any] = {"rtol": 0.0, "atol": 0.0}


@pytest.mark.parametrize(
    ("params", "labels"),
    [
        ({"objective": "reg:squarederror"}, Y),
        ({"objective": "reg:squaredlogerror"}, abs(Y)),
        ({"objective": "reg:pseudohubererror"}, Y),
        ({"objective": "reg:absoluteerror"}, Y),
        ({"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]}, Y),
        ({"objective": "rank:pairwise", "lambdarank_num_pair_per_sample": 2}, THREE),
        ({"objective": "binary:hinge"}, Y > 0),
        ({"objective": "binary:logitraw"}, Y > 0),
        ({"objective": "reg:squarederror", "num_parallel_tree": 3, "subsample": 0.5}, Y),
        ({"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.3}, Y),
        ({"objective": "reg:squarederror", "booster": "gblinear"}, Y),
        ({"objective": "reg:squarederror", "base_score": 1e6}, Y),
        ({"objective": "reg:squarederror"}, np.c_[Y, abs(Y)]),
        ({"objective": "reg:squarederror", "booster": "gblinear"}, np.c_[Y, abs(Y) + 5]),
        ({"objective": "reg:squarederror", "multi_strategy": "multi_output_tree"}, np.c_[Y, abs(Y)]),
    ],
)
def test_margins_are_equal_to_the_last_bit(params: dict[str, Any], labels: Any) -> None:
    assert_exact(
        train(params, labels, **({"qid": np.repeat(np.arange(20), 20)} if "rank" in str(params) else {})), **EXACT
    )


@pytest.mark.parametrize(
    ("params", "labels"),
    [
        ({"objective": "binary:logistic"}, Y > 0),
        ({"objective": "binary:logistic", "base_score": 0.3}, Y > 0),
        ({"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.3}, Y > 0),
        ({"objective": "binary:logistic"}, np.c_[Y > 0, abs(Y) > 1]),
        ({"objective": "reg:logistic"}, (Y > 0) * 0.8),
        ({"objective": "count:poisson"}, abs(Y)),
        ({"objective": "reg:gamma"}, abs(Y) + 0.1),
        ({"objective": "reg:tweedie"}, abs(Y)),
        ({"objective": "survival:cox"}, abs(Y) + 0.1),
        ({"objective": "multi:softprob", "num_class": 3}, THREE),
        ({"objective": "multi:softmax", "num_class": 3}, THREE),
        ({"objective": "multi:softprob", "num_class": 3, "booster": "gblinear"}, THREE),
    ],
)
def test_predictions_through_a_link_are_equal(params: dict[str, Any], labels: Any) -> None:
    """The same float32 exponential, so the same bits; softmax of multi:softmax is scipy's, in the wrapper."""
    assert_exact(train(params, labels), rtol=3e-7 if params["objective"] == "multi:softmax" else 0.0, atol=0.0)


def test_aft_survival_times_are_equal() -> None:
    matrix = xgb.DMatrix(X, nthread=1, label_lower_bound=abs(Y), label_upper_bound=abs(Y) + 1)
    assert_exact(xgb.train({"nthread": 1, "objective": "survival:aft", "max_depth": 3}, matrix, 10), **EXACT)


@pytest.mark.parametrize("one_hot", [1, 100])
def test_category_codes_go_as_xgboost_sends_them(one_hot: int) -> None:
    """Negative, fractional, unseen and missing codes, with partition and one-hot splits."""
    rows = X.copy()
    rows[:, 1] = RANDOM.integers(0, 40, len(rows))
    rows[:, 3] = RANDOM.integers(0, 3, len(rows))
    labels = np.isin(rows[:, 1], [1, 4, 5, 31, 32, 33]) + rows[:, 3] + np.nan_to_num(X[:, 0]) > 1
    booster = train(
        {"objective": "binary:logistic", "max_cat_to_onehot": one_hot}, labels, rows,
        feature_types=["q", "c", "q", "c", "q"], enable_categorical=True,
    )  # fmt: skip
    boosted = boosted_from_booster(booster, None)
    assert boosted.truncated == (1, 3)
    for dtype in (np.float32, np.float64):
        hard = hard_rows(rows.astype(dtype), thresholds_of(boosted.model))
        for start, code in enumerate((-1, 2.7, 31.999, -0.5, 99, 3e9, 32, -0.0, np.nan)):
            hard[start::20, 1] = code
            hard[start + 9 :: 20, 3] = code
        model = assert_booster_same(reference, onnx_from_xgboost, booster, hard, **EXACT)
        (trees,) = (node for node in model.graph.node if node.op_type == "TreeEnsemble")
        read = next(item.ints for item in trees.attribute if item.name == "nodes_featureids")
        assert one_hot > 1 or max(read) >= 5, "sets that are looked up read columns guarded for the cast to int32"


def test_data_frame_categories_go_in_by_value() -> None:
    """Text and integer categories; unknown ones and missing text are missing values."""
    frame = pd.DataFrame({
        "city": pd.Categorical(RANDOM.choice(list("uvwxyz"), 400)), "b": X[:, 0],
        "size": pd.Categorical(RANDOM.choice([3, 5, 9], 400)),
    })  # fmt: skip
    labels = frame["city"].isin(["y", "u"]).to_numpy() + (frame["size"] == 5).to_numpy() + np.nan_to_num(X[:, 0])
    booster = train({"objective": "reg:squarederror"}, labels, frame, enable_categorical=True)
    city = frame["city"].astype(object).to_numpy().copy()
    city[::9], city[1::9] = "new", ""
    size = frame["size"].astype("int64").to_numpy().copy()
    size[::8] = 77
    feeds = {"city": city[:, None], "b": X[:, :1].astype(np.float64), "size": size[:, None]}
    assert_booster_same(reference, onnx_from_xgboost, booster, feeds, **EXACT)


def test_category_names_outside_ascii_are_refused() -> None:
    """XGBoost stores them cut, so the file does not hold them."""
    frame = pd.DataFrame({"city": pd.Categorical(["a", "zé", "日"] * 20), "b": np.arange(60.0)})
    booster = train({}, np.arange(60.0), frame, 2, enable_categorical=True)
    with pytest.raises(Unsupported, match="outside ASCII"):
        reference.signature_of(booster)


def test_the_best_iteration_of_a_stopped_training_is_used(tmp_path: Path) -> None:
    first, second = xgb.DMatrix(X[:250], Y[:250]), xgb.DMatrix(X[250:], Y[250:])
    booster = xgb.train(
        {"nthread": 1, "eta": 0.9}, first, 60, evals=[(second, "v")], early_stopping_rounds=3, verbose_eval=False
    )
    booster.save_model(tmp_path / "model.json")
    loaded = reference.load(tmp_path / "model.json")
    assert 0 < booster.best_iteration < booster.num_boosted_rounds() - 1
    assert_exact(loaded, **EXACT)
    built = onnx_from_xgboost(loaded, reference.signature_of(loaded))
    made = run(open_session(built.model.SerializeToString()), {"X": X})["prediction"]
    best = booster.predict(xgb.DMatrix(X), iteration_range=(0, booster.best_iteration + 1))
    np.testing.assert_array_equal(made, best)


@settings(max_examples=30, deadline=None)
@given(st.floats(-(2.0**-21), 2.0**-21, width=32))
def test_margins_around_zero_take_the_class_that_float32_probabilities_give(margin: float) -> None:
    """p > 0.5 is decided in float32: margins up to about 9e-8 still give exactly one half."""
    booster = train({"objective": "binary:logistic", "base_score": 0.5}, Y > 0, rounds=1)
    document = json.loads(booster.save_raw("json"))
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["split_conditions"] = [
        margin if child == -1 else condition
        for child, condition in zip(tree["left_children"], tree["split_conditions"], strict=True)
    ]
    booster.load_model(bytearray(json.dumps(document).encode()))
    assert_booster_same(reference, onnx_from_xgboost, booster, X[:5], **EXACT)


def test_a_model_without_trees_gives_its_base_for_every_row() -> None:
    assert_exact(train({"objective": "binary:logistic", "base_score": 0.3}, Y > 0, rounds=0), **EXACT)


@pytest.mark.parametrize("edit", [{"left_children": 0}, {"right_children": 0}, {"split_indices": "x"}])
def test_trees_that_are_no_trees_are_bad_input(edit: dict[str, Any]) -> None:
    """A file can send a node back to the root; XGBoost may load it."""
    booster = train({"objective": "reg:squarederror", "base_score": 0.5}, Y, rounds=1)
    document = json.loads(booster.save_raw("json"))
    for key, value in edit.items():
        document["learner"]["gradient_booster"]["model"]["trees"][0][key][1] = value
    with pytest.raises(BadInput):
        boosted_from_xgboost(document, np.zeros(1, np.float32))


def test_the_parser_agrees_with_the_specification_walk() -> None:
    booster = train({"objective": "reg:squarederror"}, Y)
    boosted = boosted_from_booster(booster, None)
    rows = hard_rows(X, thresholds_of(boosted.model))
    margin = booster.predict(xgb.DMatrix(rows))
    np.testing.assert_allclose(walk(boosted.model, rows)[:, 0], margin, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", ["json", "ubj", "txt"])
def test_files_open_by_content(tmp_path: Path, suffix: str) -> None:
    booster = train({"objective": "reg:squarederror"}, Y, rounds=3)
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(booster.save_raw("json" if suffix != "ubj" else "ubj"))
    assert_booster_same(reference, onnx_from_xgboost, reference.load(path), X, **EXACT)


@pytest.mark.parametrize("content", [b"", b"{", b'{"learner": 3}', b"\x00" * 50])
def test_damaged_files_are_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(BadInput):
        reference.load(tmp_path / "model.json")


BREAST, IRIS, DIABETES = (load(return_X_y=True) for load in (load_breast_cancer, load_iris, load_diabetes))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (xgb.XGBClassifier(**FEW), BREAST),
        (xgb.XGBClassifier(**FEW), IRIS),
        (xgb.XGBClassifier(objective="multi:softmax", **FEW), IRIS),
        (xgb.XGBClassifier(objective="binary:hinge", **FEW), BREAST),
        (xgb.XGBClassifier(objective="binary:logitraw", **FEW), BREAST),
        (xgb.XGBClassifier(booster="dart", rate_drop=0.3, **FEW), IRIS),
        (xgb.XGBClassifier(booster="gblinear", **FEW), BREAST),
        (xgb.XGBClassifier(**FEW), (IRIS[0], np.c_[IRIS[1] > 0, IRIS[1] > 1].astype(int))),
        (xgb.XGBRFClassifier(**FEW), BREAST),
        (xgb.XGBRegressor(**FEW), DIABETES),
        (xgb.XGBRegressor(objective="reg:logistic", **FEW), BREAST),
        (xgb.XGBRegressor(booster="dart", rate_drop=0.3, **FEW), DIABETES),
        (xgb.XGBRegressor(**FEW), (DIABETES[0], np.c_[DIABETES[1], DIABETES[1] ** 2])),
        (xgb.XGBRFRegressor(**FEW), DIABETES),
        (make_pipeline(StandardScaler(), xgb.XGBClassifier(**FEW)), BREAST),
    ],
)
def test_wrappers_and_pipelines_are_equal(estimator: Any, data: Any, dtype: str) -> None:
    rows, labels = data
    assert_same(estimator.fit(rows, labels), rows.astype(dtype), rtol=3e-7)


def test_the_wrapper_takes_its_own_missing_value() -> None:
    rows, labels = BREAST[0].copy(), BREAST[1]
    rows[RANDOM.random(rows.shape) < 0.1] = -999
    assert_same(xgb.XGBClassifier(missing=-999, **FEW).fit(rows, labels), rows.astype(np.float32))


def test_the_wrapper_predicts_with_the_best_iteration() -> None:
    rows, labels = DIABETES
    model = xgb.XGBRegressor(n_estimators=60, learning_rate=0.9, early_stopping_rounds=3, n_jobs=1)
    model.fit(rows[:300], labels[:300], eval_set=[(rows[300:], labels[300:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    assert_same(model, rows)


def test_ranker_scores_are_equal() -> None:
    rows, labels = IRIS
    assert_same(xgb.XGBRanker(**FEW).fit(rows, labels, qid=np.repeat(np.arange(15), 10)), rows)


def test_a_classifier_of_an_own_objective_is_refused() -> None:
    def squares(labels: Any, made: Any) -> Any:
        return made - labels, np.ones_like(labels)

    rows, labels = BREAST
    model = xgb.XGBClassifier(objective=squares, **FEW).fit(rows, labels)
    with pytest.raises(Unsupported) as refusal:
        assert_same(model, rows)
    assert refusal.value.data["class"] == "xgboost.sklearn.XGBClassifier"


def test_an_unknown_objective_is_refused_by_name() -> None:
    booster = train({"objective": "reg:squarederror"}, Y, rounds=1)
    boosted = boosted_from_booster(booster, None)
    from dataclasses import replace

    from mlpack_edge.converters.onnx_from_boosters.boosted import onnx_from_boosted

    with pytest.raises(Unsupported, match="reg:new"):
        onnx_from_boosted("XGBoost", replace(boosted, objective="reg:new"), reference.signature_of(booster), 21)


WRAPPERS_OF_CATEGORIES = [
    xgb.XGBRegressor(enable_categorical=True, **FEW),
    xgb.XGBClassifier(enable_categorical=True, booster="dart", rate_drop=0.4, **FEW),
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
