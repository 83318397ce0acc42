"""How much of scikit-learn is converted right: every estimator of `all_estimators()`, one by one. Prints JSON.

    python benchmarks/sklearn_coverage.py [--only NAME ...] [--out FILE]

Two columns. `defaults`: each estimator with its default constructor, fitted on 200 rows of 8 float32 features; this
is how the usual road (skl2onnx 1.20 with scikit-learn 1.9.1) was measured: 98 of the 151 that can be fitted.
`wrapped`: the wrappers that a default constructor cannot make, around a sensible inner estimator.

Each fitted estimator is converted once for float32 and once for float64 input and run on the rows it was fitted on,
on fresh rows, on zeros and small rows, and on rows scaled by 1e3, 1e6 and 1e9, at batch 0, 1 and many. `right`:
labels equal on every row,
numbers within tolerance. `refused`: Unsupported, naming the class. `wrong`: a model was written and it differs.
Exit code 1 where fewer than 115 of the defaults are right, or anything is wrong, or a refusal does not name the class.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import sklearn
from sklearn import ensemble, linear_model, multiclass, multioutput
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import loads, open_session, run
from mlpack_edge.runtimes.sklearn.estimator import run_estimator

KINDS = ("classifier", "regressor", "transformer", "cluster")
NEEDED, BASELINE = 115, {"right": 98, "fitted": 151}
Estimator = Any
Array = Any


def training(kind: str) -> tuple[Array, Array]:
    """200 rows of 8 non-negative float32 features, and a target that is positive for a regressor."""
    rng = np.random.default_rng(0)
    x = rng.random((200, 8), np.float32)
    score = x[:, 0] + x[:, 1] * x[:, 2]
    y = (score + 0.1).astype(np.float32) if kind == "regressor" else np.digitize(score, [0.5, 0.9])
    return x, y


def probes(x: Array, dtype: str) -> dict[str, Array]:
    """Rows to compare on, by what they are."""
    rng = np.random.default_rng(1)
    fresh = rng.random((150, x.shape[1]))
    small = np.concatenate([np.zeros((1, x.shape[1])), fresh[:20] * 1e-3, fresh[:20] * 1e-9])
    groups = {"fitted": x, "fresh": fresh, "zero and small": small}
    groups |= {f"times {scale:g}": fresh[:20] * scale for scale in (1e3, 1e6, 1e9)}
    return {name: rows.astype(dtype) for name, rows in groups.items()}


def wrapped() -> Iterator[tuple[str, Estimator, str]]:
    """(column entry, estimator, kind) for what default constructors cannot make."""
    logistic, tree = LogisticRegression(), DecisionTreeClassifier(max_depth=4, random_state=0)
    ridge, deep = Ridge(), DecisionTreeRegressor(max_depth=4, random_state=0)
    pair = [("a", logistic), ("b", tree)]
    both = [("a", ridge), ("b", deep)]
    pipe = make_pipeline(StandardScaler(), logistic)
    classifiers = [
        multioutput.ClassifierChain(logistic), multioutput.MultiOutputClassifier(logistic),
        multiclass.OneVsRestClassifier(logistic), multiclass.OneVsOneClassifier(logistic),
        multiclass.OutputCodeClassifier(logistic, random_state=0), SelfTrainingClassifier(GaussianNB()),
        FixedThresholdClassifier(logistic, threshold=0.4), TunedThresholdClassifierCV(logistic),
        ensemble.StackingClassifier(pair), ensemble.StackingClassifier(pair, passthrough=True),
        ensemble.VotingClassifier(pair), ensemble.VotingClassifier(pair, voting="soft"),
        CalibratedClassifierCV(SVC(), ensemble=False), CalibratedClassifierCV(tree, method="isotonic"),
        ensemble.BaggingClassifier(logistic, random_state=0), ensemble.AdaBoostClassifier(tree, random_state=0),
        RFE(logistic), FrozenEstimator(logistic), GridSearchCV(pipe, {"logisticregression__C": [0.1, 1.0]}),
        RandomizedSearchCV(tree, {"max_depth": [2, 3]}, n_iter=2), pipe,
    ]  # fmt: skip
    for estimator in classifiers:
        yield type(estimator).__name__, estimator, "classifier"
    regressors = [
        multioutput.RegressorChain(ridge), multioutput.MultiOutputRegressor(deep),
        ensemble.StackingRegressor(both), ensemble.StackingRegressor(both, passthrough=True),
        ensemble.VotingRegressor(both), linear_model.MultiTaskLasso(0.01), linear_model.MultiTaskLassoCV(),
        linear_model.MultiTaskElasticNet(0.01), linear_model.MultiTaskElasticNetCV(), CCA(2), PLSCanonical(2),
        IsotonicRegression(), ensemble.BaggingRegressor(ridge, random_state=0), RFE(ridge),
        ensemble.AdaBoostRegressor(ridge, random_state=0), make_pipeline(StandardScaler(), ridge),
    ]  # fmt: skip
    for estimator in regressors:
        yield type(estimator).__name__, estimator, "regressor"
    transformers = [
        CCA(2), PLSCanonical(2), PLSSVD(2), RFE(logistic), RFECV(logistic), SelectFromModel(logistic),
        SequentialFeatureSelector(logistic), GaussianRandomProjection(3, random_state=0),
        SparseRandomProjection(3, random_state=0), ensemble.StackingClassifier(pair), ensemble.VotingClassifier(pair),
        FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]),
        ColumnTransformer([("a", StandardScaler(), [0, 2]), ("b", "passthrough", [1])]),
    ]  # fmt: skip
    for estimator in transformers:
        yield type(estimator).__name__, estimator, "transformer"
    yield "LocalOutlierFactor", LocalOutlierFactor(novelty=True), "cluster"


def fit(estimator: Estimator, kind: str, name: str, target: str) -> tuple[Estimator, Array]:
    """The fitted estimator and the rows it saw. `target`: "plain", or "several" for estimators of several outputs."""
    x, y = training("regressor" if kind == "regressor" else "classifier")
    if name == "IsotonicRegression" and target == "several":
        x = x[:, :1]
    elif name in ("FixedThresholdClassifier", "TunedThresholdClassifierCV"):
        y = (y > 0).astype(int)
    elif target == "several" and (name.startswith(("MultiOutput", "MultiTask", "PLS", "CCA")) or "Chain" in name):
        y = np.stack([y, y[::-1]], axis=1)
        y = (y > 0).astype(int) if kind == "classifier" else y
    if name == "FrozenEstimator":
        return FrozenEstimator(clone(estimator.estimator).fit(x, y)), x
    if kind == "cluster":
        return clone(estimator).fit(x), x
    return clone(estimator).fit(x, y), x


def own_noise(expected: Array, exact: Array, moved: Array, role: str) -> Array:
    """How far scikit-learn is from itself on these rows, element by element; the model may be as far.

    exact: what it says of the same rows in float64: where it computes in float32, its own rounding, of which the
    largest among the rows counts for all of them (of one component, or among all scores of classes). moved: what it
    says of rows moved by one unit in the last place: what is ill-conditioned there (a Gaussian process without noise)
    counts up to 1e-4.
    """
    if role == "label":
        return np.zeros(expected.shape)
    a, wide, near_by = (part.astype(np.float64) for part in (expected, exact, moved))
    noise = np.nan_to_num(np.abs(wide - a), nan=0.0)
    if role in ("transformed", "probabilities", "scores"):
        axis = 0 if role == "transformed" else None
        noise = noise.max(axis=axis, keepdims=True, initial=0.0) + 0.0 * noise
    return noise + np.minimum(np.nan_to_num(np.abs(near_by - wide), nan=0.0), 1e-4)


def difference(expected: Array, noise: Array, made: Array, role: str, size: float) -> str:
    """ "" where the two agree, else how they differ. size: of the numbers this estimator gives for fitted rows."""
    if expected.shape != made.shape:
        return f"shape {made.shape}, not {expected.shape}"
    if role == "label":
        flips = int((expected != made).sum())
        return f"{flips} of {expected.size} labels" if flips else ""
    a, b = expected.astype(np.float64), made.astype(np.float64)
    with np.errstate(invalid="ignore"):
        largest = np.abs(a).max(axis=1, keepdims=True) if a.ndim == 2 and a.size else np.abs(a)
        near = np.abs(a - b) <= 1e-6 + 1e-5 * np.maximum(np.abs(a), size) + 1e-6 * largest + 4 * noise
    good = near | (a == b) | (np.isnan(a) & np.isnan(b))
    if good.all():
        return ""
    gap = np.nanmax(np.where(good, 0.0, np.abs(a - b)))
    return f"{int((~good).sum())} of {a.size} {role} numbers, by up to {gap:.3g}"


def numbers(result: Array) -> Array:
    """A result of scikit-learn as an array, also a sparse one."""
    return np.asarray(result.toarray() if hasattr(result, "toarray") else result)


def judge(estimator: Estimator, x: Array, kind: str) -> tuple[str, str]:
    """(right | refused | wrong, detail) for one fitted estimator."""
    subject = FeatureUnion([("part", estimator)]) if kind == "transformer" else estimator
    for dtype in ("float32", "float64"):
        signature = Signature((TensorSpec("X", dtype, ("batch", x.shape[1])),), ())
        try:
            built = onnx_from_sklearn(subject, signature)
        except Unsupported as refusal:
            named = refusal.data.get("class", "") not in ("", "sklearn.pipeline.FeatureUnion")
            detail = f"{refusal.message}: {refusal.why}"
            return ("refused" if named else "refused without its class"), detail
        fault = loads(built.model.SerializeToString())
        if fault:
            return "wrong", f"ONNX Runtime does not open it: {fault}"
        session = open_session(built.model.SerializeToString())
        sizes: dict[str, float] = {}
        for group, rows in probes(x, dtype).items():
            try:
                expected = run_estimator(subject, built.signature, {"X": rows})
                wide = rows.astype(np.float64)
                exact = run_estimator(subject, built.signature, {"X": wide})
                moved = run_estimator(subject, built.signature, {"X": np.nextafter(wide, np.inf)})
            except (ValueError, IndexError, OverflowError):
                continue  # scikit-learn itself refuses these rows
            for count in (len(rows), 1, 0):
                some = {"X": rows[:count]}
                try:
                    made = run(session, some)
                except onnxruntime.capi.onnxruntime_pybind11_state.Fail as fault_of_run:
                    return "wrong", f"{dtype}, {group} rows, batch {count}: {fault_of_run}"
                for spec in built.signature.outputs:
                    parts = [numbers(part[spec.name]) for part in (expected, exact, moved)]
                    noise = own_noise(*parts, spec.role)
                    if group == "fitted" and spec.role != "label":
                        sizes.setdefault(spec.name, float(np.nanmedian(np.abs(parts[0]))))
                    size = sizes.get(spec.name, 0.0)
                    what = difference(parts[0][:count], noise[:count], made[spec.name], spec.role, size)
                    if what:
                        return "wrong", f"{dtype}, {group} rows, batch {count}: {what}"
    return "right", ""


def measure(name: str, estimator: Estimator, kind: str, column: str) -> dict[str, str]:
    record = {"column": column, "kind": kind, "estimator": name}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            fitted, x = fit(estimator, kind, name, "several" if column == "wrapped" else "plain")
        except (ValueError, TypeError, AttributeError, IndexError, NotImplementedError) as fault:
            return record | {"result": "n/a(fit)", "detail": str(fault).splitlines()[0][:200]}
        result, detail = judge(fitted, x, kind)
    return record | {"result": result, "detail": detail}


def candidates() -> Iterator[tuple[str, Estimator, str, str]]:
    for kind in KINDS:
        for name, maker in all_estimators(kind):
            try:
                yield name, maker(), kind, "defaults"
            except TypeError:
                yield name, None, kind, "defaults"
    for name, estimator, kind in wrapped():
        yield name, estimator, kind, "wrapped"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of estimators")
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    options = parser.parse_args()
    results = []
    for name, estimator, kind, column in candidates():
        if options.only and name not in options.only:
            continue
        if estimator is None:
            results.append(
                {"column": column, "kind": kind, "estimator": name, "result": "n/a(fit)", "detail": "made of parts"}
            )
            continue
        results.append(measure(name, estimator, kind, column))
        print(f"{column} {kind} {name}: {results[-1]['result']} {results[-1]['detail']}", file=sys.stderr)
    counts = {
        column: dict(Counter(r["result"] for r in results if r["column"] == column))
        for column in ("defaults", "wrapped")
    }
    fitted = sum(count for result, count in counts["defaults"].items() if result != "n/a(fit)")
    wrong = [r for r in results if r["result"] in ("wrong", "refused without its class")]
    right = counts["defaults"].get("right", 0)
    passed = not wrong and (right >= NEEDED or bool(options.only))
    report = {
        "benchmark": "sklearn_coverage", "scikit-learn": sklearn.__version__, "skl2onnx alone": BASELINE,
        "right": right, "fitted": fitted, "needed": NEEDED, "wrong": len(wrong), "passed": passed,
        "counts": counts, "results": results,
    }  # fmt: skip
    text = json.dumps(report, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
