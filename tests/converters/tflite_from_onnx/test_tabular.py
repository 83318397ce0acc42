"""Pipelines of scalers and models: large offsets lose no digits, and no row branches elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, RobustScaler, StandardScaler

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.converters.tflite_from_onnx.convert import Lowered, tflite_from_onnx
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.tflite_from_onnx.lowered import kinds, run_tflite

Array = NDArray[Any]


def rows(count: int = 400) -> tuple[Array, Array]:
    """Columns with offsets of up to a million times their spread, float32, and three classes."""
    random = np.random.default_rng(0)
    plain = random.normal(size=(count, 5))
    labels = (plain[:, 0] + plain[:, 1] * plain[:, 2] > 0).astype(int) + (plain[:, 3] > 1)
    spread = np.array([1.0, 1e3, 1e-3, 50.0, 1.0])
    return (plain * spread + np.array([1e5, 1e6, 0.0, -1e6, 3.0])).astype(np.float32), labels


def lowered_and_compared(model: Any, x: Array, dtype: str, atol: float) -> Lowered:
    built = onnx_from_sklearn(model, Signature((TensorSpec("X", dtype, ("batch", x.shape[1])),), ()))
    made = tflite_from_onnx(built.model, built.signature)
    session = open_session(built.model.SerializeToString())
    for count in (len(x), 1, 7):
        wanted = run(session, {"X": x[:count].astype(dtype)})
        for delegate in (True, False):
            given = run_tflite(made.data, {"X": x[:count]}, delegate)
            for name, values in wanted.items():
                if values.dtype.kind == "f":
                    np.testing.assert_allclose(given[name], values, rtol=1e-6, atol=atol, err_msg=name)
                else:
                    np.testing.assert_array_equal(given[name], values, err_msg=name)
    return made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(max_iter=50),
        Ridge(),
        MLPClassifier((8,), max_iter=20, random_state=0),
        GaussianNB(),
        KNeighborsClassifier(5),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
def test_models_behind_a_scaler_keep_their_digits(model: Any, dtype: str) -> None:
    """(x - 1e6) / 1e3 in float32 would be off by 3e-5, folded into the weights by as much again."""
    x, labels = rows()
    lowered_and_compared(make_pipeline(StandardScaler(), model).fit(x.astype(dtype), labels), x, dtype, 2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "steps",
    [[StandardScaler()], [MinMaxScaler()], [RobustScaler()], [SimpleImputer(), StandardScaler()]],
    ids=["standard", "min-max", "robust", "imputed"],
)
def test_no_row_branches_elsewhere_behind_a_scaler(steps: list[Any], dtype: str) -> None:
    """The trees ask the input itself, so no scaler is left in the file; its numbers are the same to the bit."""
    x, labels = rows()
    if len(steps) > 1:
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    forest = make_pipeline(*steps, RandomForestClassifier(10, random_state=0)).fit(x.astype(dtype), labels)
    made = lowered_and_compared(forest, x, dtype, 1e-7)
    assert not {"MUL", "SUB"}.intersection(kinds(made.data))


def test_boosted_trees_behind_bins() -> None:
    """What is no order of numbers (bins) is computed in the file."""
    x, labels = rows()
    steps = KBinsDiscretizer(4, strategy="uniform"), GradientBoostingClassifier(n_estimators=5, random_state=0)
    lowered_and_compared(make_pipeline(*steps).fit(x, labels), x, "float32", 1e-6)
