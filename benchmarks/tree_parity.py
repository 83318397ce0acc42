"""Do ONNX files of tree ensembles decide what the library decides, on rows made to be hard?

python benchmarks/tree_parity.py [--rows 100000] [--only TEXT] > tree_parity.json

Each model is fitted on rows whose columns run from thousandths to 1e9 (some of them with missing values, or with numbered
categories), converted, and run on 100,000 rows in float32 and in float64. In one row of ten every second number lies
on a split threshold of the model, or one unit in the last place beside it, in the dtype of the input; one row of a
hundred holds numbers far outside. Counted are labels that differ, and the greatest relative error of any score.
Wanted: no label flips, and 1e-6. Exit code 1 where a case misses that.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import logging
import platform
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import catboost
import lightgbm
import numpy as np
import onnxruntime
import sklearn
import xgboost
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.converters.sources.sklearn_columns import explore
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import open_session, run
from mlpack_edge.runtimes.sklearn.estimator import run_estimator

WIDTH, FITTED = 8, 3000
#: Columns 6 and 7 hold numbered categories in the cases that say so.
CATEGORIES = (6, 7)
QUIET: dict[str, Any] = {"verbose": 0, "allow_writing_files": False, "thread_count": 1}
MOST_RELATIVE = 1e-6
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """classes: 2, 3, or 0 for a regression."""

    name: str
    model: Any
    classes: int = 2
    missing: bool = False
    categories: bool = False


CASES = [
    Case("DecisionTree", DecisionTreeClassifier(min_samples_leaf=3), 3),
    Case("RandomForest, full", RandomForestClassifier(100, random_state=0)),
    Case("RandomForest, even votes", RandomForestClassifier(10, random_state=0)),
    Case("RandomForest, depth 8", RandomForestClassifier(100, max_depth=8, random_state=0), 3),
    Case("RandomForest, missing", RandomForestClassifier(50, random_state=0), 3, missing=True),
    Case("RandomForestRegressor", RandomForestRegressor(50, random_state=0), 0),
    Case("ExtraTrees, mixed leaves", ExtraTreesClassifier(100, min_samples_leaf=4, random_state=0)),
    Case("ExtraTreesRegressor", ExtraTreesRegressor(50, random_state=0), 0),
    Case("GradientBoosting", GradientBoostingClassifier(random_state=0)),
    Case("GradientBoosting, 3 classes", GradientBoostingClassifier(n_estimators=50, random_state=0), 3),
    Case("GradientBoostingRegressor", GradientBoostingRegressor(loss="huber", random_state=0), 0),
    Case("HistGradientBoosting", HistGradientBoostingClassifier(random_state=0)),
    Case("HistGradientBoosting, missing", HistGradientBoostingClassifier(random_state=0), 3, missing=True),
    Case(
        "HistGradientBoosting, categories",
        HistGradientBoostingClassifier(random_state=0, categorical_features=CATEGORIES),
        missing=True,
        categories=True,
    ),
    Case("HistGradientBoostingRegressor", HistGradientBoostingRegressor(random_state=0), 0, missing=True),
    Case("HistGradientBoosting, poisson", HistGradientBoostingRegressor(loss="poisson"), 0, categories=True),
    Case("IsolationForest", IsolationForest(random_state=0, contamination=0.1), 0),
    Case("AdaBoost", AdaBoostClassifier(random_state=0), 3),
    Case("Bagging", BaggingClassifier(n_estimators=25, max_features=0.7, random_state=0), 3),
    Case("XGBoost", xgboost.XGBClassifier(n_estimators=100), missing=True),
    Case("XGBoost, 3 classes", xgboost.XGBClassifier(n_estimators=50), 3),
    Case("XGBoost, regression", xgboost.XGBRegressor(n_estimators=100), 0, missing=True),
    Case("XGBoost, dart", xgboost.XGBClassifier(n_estimators=50, booster="dart", rate_drop=0.2), missing=True),
    Case("XGBoost, forest", xgboost.XGBRFClassifier(n_estimators=50), 3),
    Case("XGBoost, gblinear", xgboost.XGBRegressor(n_estimators=20, booster="gblinear"), 0),
    Case("XGBoost, base score", xgboost.XGBRegressor(objective="count:poisson", base_score=3.7), 0, missing=True),
    Case("XGBoost, logistic", xgboost.XGBRegressor(objective="reg:logistic"), missing=True),
    Case("XGBoost, missing is 0", xgboost.XGBClassifier(n_estimators=50, missing=0.0), 3),
    Case(
        "XGBoost, categories",
        xgboost.XGBClassifier(
            n_estimators=50, feature_types=["q"] * 6 + ["c", "q"], enable_categorical=True, max_cat_to_onehot=4
        ),
        missing=True,
    ),
    Case("LightGBM", lightgbm.LGBMClassifier(verbose=-1), missing=True),
    Case("LightGBM, 3 classes", lightgbm.LGBMClassifier(verbose=-1, n_estimators=50), 3),
    Case("LightGBM, regression", lightgbm.LGBMRegressor(verbose=-1), 0, missing=True),
    Case(
        "LightGBM, forest",
        lightgbm.LGBMClassifier(verbose=-1, boosting_type="rf", bagging_freq=1, bagging_fraction=0.6),
        missing=True,
    ),
    Case("LightGBM, dart", lightgbm.LGBMClassifier(verbose=-1, boosting_type="dart"), 3, missing=True),
    Case("LightGBM, linear trees", lightgbm.LGBMRegressor(verbose=-1, linear_tree=True), 0, missing=True),
    Case("LightGBM, zero is missing", lightgbm.LGBMClassifier(verbose=-1, zero_as_missing=True), missing=True),
    Case(
        "LightGBM, categories",
        lightgbm.LGBMClassifier(verbose=-1, categorical_feature=list(CATEGORIES), min_data_per_group=5, n_jobs=1),
        missing=True,
        categories=True,
    ),
    Case("CatBoost", catboost.CatBoostClassifier(iterations=200, **QUIET), missing=True),
    Case("CatBoost, 3 classes", catboost.CatBoostClassifier(iterations=100, **QUIET), 3),
    Case("CatBoost, regression", catboost.CatBoostRegressor(iterations=200, **QUIET), 0, missing=True),
    Case("CatBoost, lossguide", catboost.CatBoostRegressor(iterations=100, grow_policy="Lossguide", **QUIET), 0),
]


def rows_of(case: Case, count: int, seed: int) -> Array:
    """float64 rows: columns from 1e-3 to 1e9 in scale, epoch seconds among them."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, WIDTH)) * 10.0 ** np.array([-3, -1, 0, 2, 5, 9, 0, 0])
    rows[:, 4] = 1.7e9 + np.floor(rng.random(count) * 1e5)
    rows[:, 6] = rng.integers(0, 40, count) * 3 - 7 if case.categories else rng.integers(0, 9, count)
    rows[:, 7] = rng.integers(0, 5, count) if case.categories else rng.random(count)
    if case.missing:
        rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def target_of(case: Case, rows: Array, seed: int) -> Array:
    """Something learnable with noise in it, so that votes are split and leaves are mixed."""
    rng = np.random.default_rng(seed)
    known = np.nan_to_num(rows)
    score = known[:, 0] * 1e3 + known[:, 5] / 1e9 + (known[:, 4] > 1.70005e9) + np.sin(known[:, 6]) + known[:, 2]
    score = score + rng.normal(size=len(rows)) * 0.7
    if not case.classes:
        return np.exp(score / 3)
    return np.digitize(score, np.quantile(score, np.linspace(0, 1, case.classes + 1)[1:-1]))


def hard_rows(case: Case, model: Any, count: int, dtype: str) -> Array:
    """Rows to judge by: ordinary ones, one in ten on thresholds or beside them, one in a hundred far outside."""
    rng = np.random.default_rng(1)
    rows = rows_of(case, count, 2).astype(dtype)
    facts = explore(model, None, WIDTH)
    near = np.arange(0, count, 10)
    for column in range(WIDTH):
        known = np.concatenate([*facts[column].edges, np.empty(0)])
        known = known[np.isfinite(known)]
        if not known.size or (case.categories and column in CATEGORIES):
            continue
        chosen = near[rng.random(len(near)) < 0.5]
        with np.errstate(over="ignore"):
            edge = rng.choice(known, len(chosen)).astype(dtype)
            to = rng.choice(np.array([-np.inf, 0, np.inf]), len(chosen))
            rows[chosen, column] = np.nextafter(edge, np.where(to == 0, edge, to).astype(dtype))
    far = np.arange(5, count, 100)
    rows[far, rng.integers(0, 6, len(far))] = rng.choice([-1e30, -1e9, 0, 1e-30, 1e9, 1e30], len(far))
    if case.categories:
        rows[far, 6] = rng.choice([-1, 0.5, 1e6, 300, -1e9], len(far))
    return rows


def judged(case: Case, dtype: str, count: int) -> dict[str, Any]:
    """Fit, convert, run both on the hard rows, count."""
    rows = rows_of(case, FITTED, 0).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = case.model.fit(rows, target_of(case, rows, 0))
    built = onnx_from_sklearn(model, Signature((TensorSpec("X", dtype, ("batch", WIDTH)),), ()))
    feeds = {"X": hard_rows(case, model, count, dtype)}
    made = run(open_session(built.model.SerializeToString()), feeds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = run_estimator(model, built.signature, feeds)
    flips, relative = 0, 0.0
    for spec in built.signature.outputs:
        a, b = expected[spec.name], made[spec.name]
        if spec.role == "label":
            flips += int((a != b).sum())
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        floor = 1e-12 * float(np.abs(a).max(initial=1e-300))
        relative = max(relative, float((np.abs(a - b) / np.maximum(np.abs(a), floor)).max(initial=0)))
    passed = flips == 0 and relative <= MOST_RELATIVE
    return {
        "case": case.name, "dtype": dtype, "rows": count, "label_flips": flips, "max_relative": relative,
        "passed": passed,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    asked = parser.parse_args()
    lightgbm.register_logger(
        logging.getLogger("lightgbm")
    )  # it prints its warnings otherwise, and does so from threads of its own
    found = [
        judged(case, dtype, asked.rows) for case in CASES if asked.only in case.name for dtype in ("float32", "float64")
    ]
    versions = {
        "machine": platform.machine(), "scikit-learn": sklearn.__version__, "xgboost": xgboost.__version__,
        "lightgbm": lightgbm.__version__, "catboost": catboost.__version__, "onnxruntime": onnxruntime.__version__,
    }  # fmt: skip
    passed = all(case["passed"] for case in found)
    print(json.dumps({"versions": versions, "passed": passed, "cases": found}, indent=1))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
