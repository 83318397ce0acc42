"""Encoders give what scikit-learn gives, for every kind of category and for values never seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, TargetEncoder

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.sklearn_parity import assert_same, feeds_of_frame, signature_of_frame

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
RNG = np.random.default_rng(0)
WORDS = ["a", "b", "été", "日本", "ſ", "a\0", " a", "B", "zebra", "Ω"]


def table(count: int = 200, missing: bool = False) -> Any:
    """Text, integers (some beyond 2**53), floats with -0.0, booleans; few values each, some of them rare."""
    chance = np.array([30, 20, 15, 10, 8, 6, 5, 3, 2, 1]) / 100
    text = RNG.choice(WORDS, count, p=chance).astype(object)
    floats = RNG.choice([-1.5, -0.0, 0.0, 0.1, 1e9, 2.5], count)
    if missing:
        text[RNG.random(count) < 0.2] = np.nan
        floats[RNG.random(count) < 0.2] = np.nan
    return pandas.DataFrame(
        {
            "text": text,
            "whole": RNG.choice([3, -7, 2**53, 2**53 + 1, 12], count, p=[0.5, 0.3, 0.1, 0.05, 0.05]),
            "float": floats,
            "flag": RNG.random(count) < 0.3,
        }
    )


def unknown_rows() -> Any:
    return pandas.DataFrame(
        {
            "text": ["", "A", "a ", "never", "a"],
            "whole": [4, 2**53 + 2, 3, 0, 3],
            "float": [1e300, 0.1, -1e300, 0.10000000000000002, 0.1],
            "flag": [True, False, True, False, True],
        }
    )


def with_unknown(rows: Any) -> Any:
    return pandas.concat([unknown_rows(), rows], ignore_index=True)


ONE_HOT = [
    {}, {"drop": "first"}, {"drop": "if_binary"}, {"min_frequency": 10}, {"max_categories": 3},
    {"min_frequency": 0.1, "drop": "first"}, {"dtype": np.float32}, {"dtype": np.int64}, {"max_categories": 2, "drop": "if_binary"},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
@pytest.mark.parametrize("unknown", ["error", "ignore", "infrequent_if_exist", "warn"])
@pytest.mark.parametrize("parameters", ONE_HOT, ids=str)
@pytest.mark.parametrize("missing", [False, True])
def test_one_hot(parameters: dict[str, Any], unknown: str, missing: bool) -> None:
    rows = table(missing=missing)
    model = OneHotEncoder(handle_unknown=unknown, **parameters).fit(rows)
    seen = rows if unknown == "error" else with_unknown(rows)
    assert_same(model, seen, rtol=0, atol=0, missing=missing)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_one_hot_row_that_scikit_learn_refuses_has_no_number(dtype: Any) -> None:
    rows = table()
    model = make_pipeline(OneHotEncoder(dtype=dtype), LogisticRegression()).fit(rows, rows["flag"].astype(int))
    built = onnx_from_sklearn(model, signature_of_frame(rows))
    made = run(open_session(built.model.SerializeToString()), feeds_of_frame(unknown_rows()))
    assert np.isnan(made["probabilities"][:4]).all()
    assert np.isfinite(made["probabilities"][4]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("fitted", ["float32", "float64", "int64"])
def test_one_hot_of_a_matrix_compares_as_numpy_promotes(dtype: str, fitted: str) -> None:
    values = np.array([0, 1, 2, 2**24 + 1, -5]) if "int64" in (dtype, fitted) else np.array([0.1, -0.0, 1e9, 7, 3])
    train = RNG.choice(values, (50, 3)).astype(fitted)
    model = OneHotEncoder(handle_unknown="ignore").fit(train)
    rows = np.vstack([RNG.choice(values, (50, 3)), np.full((1, 3), 99)]).astype(dtype)
    assert_same(model, rows, rtol=0, atol=0)


@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_one_hot_of_many_categories(unknown: str) -> None:
    """Past the width up to which a table of rows is used."""
    rows = pandas.DataFrame({"c": [f"v{i}" for i in range(150)] * 2, "d": list(range(100)) * 3})
    model = OneHotEncoder(handle_unknown=unknown, drop=["v7", 50]).fit(rows)
    assert_same(model, rows, rtol=0, atol=0)
    built = onnx_from_sklearn(model, signature_of_frame(rows))
    strange = {"c": np.array([["new"]], object), "d": np.array([[-1]])}
    made = run(open_session(built.model.SerializeToString()), strange)["transformed"]
    assert (np.isnan(made) if unknown == "error" else made == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=20), st.lists(TEXT, min_size=1, max_size=20))
def test_any_text_is_a_category_of_its_own(texts: list[str], others: list[str]) -> None:
    rows, new = (pandas.DataFrame({"c": np.array(items, object)}, dtype=object) for items in (texts, texts + others))
    assert_same(OneHotEncoder(handle_unknown="ignore").fit(rows), new, rtol=0, atol=0)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(rows)
    assert_same(ordinal, new, rtol=0, atol=0)


def test_an_ordinal_row_that_scikit_learn_refuses_has_no_number() -> None:
    rows = table()
    built = onnx_from_sklearn(OrdinalEncoder().fit(rows), signature_of_frame(rows))
    made = run(open_session(built.model.SerializeToString()), feeds_of_frame(unknown_rows()))["transformed"]
    assert np.isnan(made[:, 0]).tolist() == [True, True, True, True, False]


def test_given_categories_keep_their_order() -> None:
    rows = table()[["text"]]
    model = OneHotEncoder(categories=[WORDS[::-1]], drop=["zebra"]).fit(rows)
    assert_same(model, rows, rtol=0, atol=0)


ORDINAL = [
    {}, {"handle_unknown": "use_encoded_value", "unknown_value": -1},
    {"handle_unknown": "use_encoded_value", "unknown_value": np.nan},
    {"encoded_missing_value": -9, "handle_unknown": "use_encoded_value", "unknown_value": -1},
    {"min_frequency": 10, "handle_unknown": "use_encoded_value", "unknown_value": 77}, {"max_categories": 3},
    {"dtype": np.int32, "encoded_missing_value": -3}, {"dtype": np.float32},
]  # fmt: skip


@pytest.mark.parametrize("parameters", ORDINAL, ids=str)
@pytest.mark.parametrize("missing", [False, True])
def test_ordinal(parameters: dict[str, Any], missing: bool) -> None:
    rows = table(missing=missing)
    model = OrdinalEncoder(**parameters).fit(rows)
    seen = with_unknown(rows) if "unknown_value" in parameters else rows
    assert_same(model, seen, rtol=0, atol=0, missing=missing)


@pytest.mark.parametrize("target", ["binary", "continuous", "multiclass"])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("smooth", ["auto", 5.0])
def test_target_means(target: str, missing: bool, smooth: Any) -> None:
    rows = table(missing=missing)
    y = {"binary": RNG.integers(0, 2, 200), "continuous": RNG.normal(size=200), "multiclass": RNG.integers(0, 4, 200)}[
        target
    ]
    model = TargetEncoder(target_type=target, smooth=smooth).fit(rows, y)
    assert_same(model, with_unknown(rows), rtol=1e-15, atol=0, missing=True)


@pytest.mark.parametrize("encode", ["ordinal", "onehot", "onehot-dense"])
@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
@pytest.mark.parametrize("fitted", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("kept", [None, np.float32])
def test_bins_of_values_on_and_next_to_the_edges(
    encode: str, strategy: str, fitted: str, dtype: str, kept: Any
) -> None:
    train = np.column_stack([RNG.normal(size=300), RNG.gamma(1, size=300) * 1e9, RNG.integers(0, 4, 300)]).astype(
        fitted
    )
    model = KBinsDiscretizer(
        [5, 3, 2], encode=encode, strategy=strategy, dtype=kept, quantile_method="averaged_inverted_cdf"
    ).fit(train)
    edges = np.concatenate(model.bin_edges_).astype(np.float64)
    on = np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), -edges, [-1e30, 1e30, 0.0]])
    on = on if dtype != "int64" else np.clip(on, -1e15, 1e15)
    rows = np.column_stack([on] * 3).astype(dtype)
    assert_same(model, rows, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:Feature 1 is constant:UserWarning")
def test_a_constant_feature_has_one_bin() -> None:
    rows = np.column_stack([np.arange(20.0), np.ones(20)])
    model = KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf").fit(rows)
    assert_same(model, rows, rtol=0, atol=0)


@pytest.mark.parametrize("model", [OneHotEncoder(), OrdinalEncoder(encoded_missing_value=-1), TargetEncoder()], ids=str)
def test_none_among_texts_is_missing(model: Any) -> None:
    """As data frames held missing text before pandas 3."""
    rows = pandas.DataFrame(
        {"c": np.array(["x", None, "y"] * 9, object), "d": np.array(["é", "z", None] * 9, object)}, dtype=object
    )
    assert_same(model.fit(rows, np.arange(27.0)), rows, rtol=1e-15, atol=0, missing=True)


def test_categories_that_a_tensor_cannot_hold_are_refused() -> None:
    for mixed in (["x", None, np.nan], ["x", "", np.nan], ["x", "", None]):
        rows = pandas.DataFrame({"c": np.array(mixed, object)}, dtype=object)
        with pytest.raises(Unsupported) as fault:
            assert_same(OneHotEncoder().fit(rows), rows)
        assert "more than one of NaN, None and the empty text" in fault.value.why
