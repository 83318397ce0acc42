"""Meta-estimators give what scikit-learn gives, and name the part they cannot convert."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn import multiclass, multioutput
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import RFE, RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, RANSACRegressor, Ridge, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier

from mlpack_edge.core.errors import Unsupported
from tests.converters.fitted import DTYPES, assert_right, data, probes
from tests.converters.sklearn_parity import assert_same

LOGISTIC = LogisticRegression(max_iter=50)
TREE = DecisionTreeClassifier(max_depth=4, random_state=0)
NEAR = KNeighborsClassifier(5)
CLASSIFIERS = [
    VotingClassifier([("a", LOGISTIC), ("b", TREE), ("c", NEAR)]),
    VotingClassifier([("a", LOGISTIC), ("b", TREE), ("c", NEAR)], voting="soft", weights=[2, 1, 3]),
    VotingClassifier([("a", LOGISTIC), ("b", "drop"), ("c", TREE)], weights=[1, 5, 2]),
    StackingClassifier([("a", GaussianNB()), ("b", TREE)], LOGISTIC, cv=3),
    StackingClassifier([("a", LinearSVC(random_state=0)), ("b", TREE)], TREE, cv=3, passthrough=True),
    StackingClassifier([("a", NEAR), ("b", TREE)], LOGISTIC, cv=3, stack_method="predict"),
    multiclass.OneVsRestClassifier(LOGISTIC), multiclass.OneVsRestClassifier(TREE),
    multiclass.OneVsRestClassifier(LinearSVC(random_state=0)), multiclass.OneVsRestClassifier(Ridge()),
    multiclass.OneVsOneClassifier(LOGISTIC), multiclass.OneVsOneClassifier(TREE), multiclass.OneVsOneClassifier(SVC()),
    multiclass.OutputCodeClassifier(LOGISTIC, random_state=0), multiclass.OutputCodeClassifier(TREE, random_state=0),
    RFE(LOGISTIC, n_features_to_select=3), RFECV(LOGISTIC, cv=3, min_features_to_select=2),
    GridSearchCV(make_pipeline(StandardScaler(), LOGISTIC), {"logisticregression__C": [0.1, 1.0]}, cv=3),
]  # fmt: skip


def short(estimator: Any) -> str:
    return repr(estimator).replace("\n", "").replace(" ", "")[:70]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=short)
def test_classifiers(estimator: Any, dtype: str) -> None:
    assert_right(estimator, "wine", dtype, extreme=False, rtol=1e-4, atol=1e-4 if dtype == "float32" else 1e-7)


@pytest.mark.parametrize(
    "estimator",
    [CLASSIFIERS[0], CLASSIFIERS[1], CLASSIFIERS[3], CLASSIFIERS[4], *CLASSIFIERS[6:13]],
    ids=short,
)
def test_two_classes_with_names(estimator: Any) -> None:
    def names(x: Any, y: Any) -> Any:
        return np.where(y > 0, "ja", "nein")

    assert_right(estimator, "iris", "float64", target=names, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "estimator",
    [VotingRegressor([("a", Ridge()), ("b", KNeighborsRegressor())], weights=[1, 3]),
     StackingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=4, random_state=0))], cv=3),
     StackingRegressor([("a", Ridge()), ("b", KNeighborsRegressor())], Ridge(), cv=3, passthrough=True),
     RANSACRegressor(random_state=0), RFE(Ridge()), GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=3)],
    ids=short,
)  # fmt: skip
def test_regressors(estimator: Any, dtype: str) -> None:
    assert_right(estimator, "diabetes", dtype, extreme=False, rtol=1e-4 if dtype == "float32" else 1e-6)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "part",
    [HistGradientBoostingClassifier(max_iter=4), GradientBoostingClassifier(n_estimators=4, random_state=0),
     AdaBoostClassifier(n_estimators=4, random_state=0), BaggingClassifier(LOGISTIC, 3, random_state=0),
     RandomForestClassifier(4, random_state=0), LGBMClassifier(n_estimators=4, verbose=-1), XGBClassifier(n_estimators=4)],
    ids=short,
)  # fmt: skip
def test_scores_of_ensembles_inside(part: Any, dtype: str) -> None:
    """One against the rest and calibration ask for decision functions before probabilities."""
    for estimator in (multiclass.OneVsRestClassifier(part), CalibratedClassifierCV(part, cv=3)):
        for name in ("iris", "cancer"):
            assert_right(estimator, name, dtype, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("estimator", [VotingClassifier, StackingClassifier])
def test_stacks_and_votes_before_another_step(estimator: Any, dtype: str) -> None:
    parts = [("a", GaussianNB()), ("b", TREE)]
    x, y = data("iris", dtype)
    for labels, extra in ((y, {}), (y > 0, {}), (y, {"voting": "soft"} if estimator is VotingClassifier else {})):
        made = make_pipeline(StandardScaler(), estimator(parts, **extra), KNeighborsClassifier(1)).fit(x, labels)
        assert_same(made, probes(x, extreme=False), 1e-4, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_labels_a_row(dtype: str) -> None:
    """One `[batch, outputs]` label; of several outputs there are no probabilities in the model."""

    def flags(x: Any, y: Any) -> Any:
        return np.stack([y == 0, y == 1, x[:, 0] > 5.8], axis=1).astype(int)

    chains = [multioutput.ClassifierChain(LOGISTIC, order=[2, 0, 1]), multioutput.ClassifierChain(TREE)]
    chains.append(multioutput.ClassifierChain(LOGISTIC, chain_method="predict_proba"))
    for estimator in (*chains, multioutput.MultiOutputClassifier(TREE), multiclass.OneVsRestClassifier(LOGISTIC)):
        assert_right(estimator, "iris", dtype, extreme=False, target=flags, atol=1e-5)


def test_a_label_that_every_row_has() -> None:
    x, y = data("iris")
    estimator = multiclass.OneVsRestClassifier(GaussianNB())
    with pytest.warns(UserWarning, match="present in all training"):
        estimator.fit(x, np.stack([y * 0 + 1, y == 1], axis=1))
    assert_same(estimator, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_targets(dtype: str) -> None:
    def targets(x: Any, y: Any) -> Any:
        return np.stack([y, y + 3 * x[:, 0], x[:, 1]], axis=1)

    for estimator in (
        multioutput.MultiOutputRegressor(DecisionTreeRegressor(max_depth=3, random_state=0)),
        multioutput.RegressorChain(Ridge(), order=[1, 0, 2]),
    ):
        assert_right(estimator, "diabetes", dtype, extreme=False, target=targets)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inner", [LOGISTIC, TREE, SGDClassifier(random_state=0)], ids=short)
def test_moved_thresholds(inner: Any, dtype: str) -> None:
    for estimator in (
        FixedThresholdClassifier(inner), FixedThresholdClassifier(inner, threshold=0.3),
        FixedThresholdClassifier(inner, threshold=0.3, pos_label=0), TunedThresholdClassifierCV(inner, cv=3),
    ):  # fmt: skip
        assert_right(estimator, "cancer", dtype, extreme=False, rtol=1e-4, atol=1e-4 if dtype == "float32" else 1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "change",
    [{}, {"func": np.log, "inverse_func": np.exp}, {"func": np.log1p, "inverse_func": np.expm1},
     {"func": np.sqrt, "inverse_func": np.square}, {"transformer": StandardScaler()},
     {"transformer": MinMaxScaler()}, {"transformer": RobustScaler()}],
    ids=str,
)  # fmt: skip
def test_transformed_targets(change: dict[str, Any], dtype: str) -> None:
    estimator = TransformedTargetRegressor(Ridge(), **change)
    assert_right(estimator, "diabetes", dtype, extreme=False)


def test_two_transformed_targets() -> None:
    estimator = TransformedTargetRegressor(LinearRegression(), transformer=StandardScaler())
    assert_right(estimator, "diabetes", "float64", target=lambda x, y: np.stack([y, x[:, 0]], 1))


def test_an_inverse_without_a_converter_is_refused() -> None:
    for change in ({"transformer": QuantileTransformer(n_quantiles=10)}, {"func": np.log, "inverse_func": lambda v: v}):
        estimator = TransformedTargetRegressor(Ridge(), check_inverse=False, **change)
        with pytest.raises(Unsupported, match=r"TransformedTargetRegressor|model\.transformer_"):
            assert_right(estimator, "diabetes", "float64")


def test_frozen_and_self_trained() -> None:
    x, y = data("iris")
    assert_same(FrozenEstimator(GaussianNB().fit(x, y)), x)
    assert_same(make_pipeline(FrozenEstimator(StandardScaler().fit(x)), clone(TREE)).fit(x, y), x)
    some = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    assert_same(SelfTrainingClassifier(GaussianNB()).fit(x, some), x)


def test_parts_see_the_columns_by_name() -> None:
    """A pipeline that chooses columns, inside a vote, on a data frame."""
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True, as_frame=True)
    chosen = ColumnTransformer([("petals", StandardScaler(), ["petal length (cm)", "petal width (cm)"])])
    votes = VotingClassifier([("a", make_pipeline(chosen, LOGISTIC)), ("b", TREE)], voting="soft")
    assert_same(votes.fit(x, y), x)


def test_the_part_that_cannot_be_converted_is_named() -> None:
    x, y = data("iris")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = StackingClassifier([("a", TREE), ("b", KNeighborsClassifier(metric="canberra"))], cv=3).fit(x, y)
    with pytest.raises(Unsupported) as caught:
        assert_same(estimator, x)
    assert caught.value.data["path"] == "model.estimators_[1]"
    assert caught.value.data["class"] == "sklearn.neighbors.KNeighborsClassifier"
