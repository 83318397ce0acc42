"""The reference answers under the outputs of a file that was made elsewhere, or says clearly that it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.boosters.shared import named
from mlpack_edge.runtimes.sklearn.estimator import run_estimator

ROWS = np.random.default_rng(0).normal(size=(20, 2))
TARGET = ROWS[:, 0] * 3
INPUT = TensorSpec("X", "float64", ("batch", 2))


def _asking(*outputs: TensorSpec) -> Signature:
    return Signature((INPUT,), outputs)


def test_an_output_without_a_role_is_the_only_thing_the_estimator_gives() -> None:
    signature = _asking(TensorSpec("variable", "float64", ("batch", 2)))
    scaler = StandardScaler().fit(ROWS)
    np.testing.assert_array_equal(run_estimator(scaler, signature, {"X": ROWS})["variable"], scaler.transform(ROWS))
    ridge = Ridge().fit(ROWS, TARGET)
    made = run_estimator(ridge, _asking(TensorSpec("variable", "float64", ("batch", 1))), {"X": ROWS})
    np.testing.assert_array_equal(made["variable"][:, 0], ridge.predict(ROWS))


@pytest.mark.parametrize("role", ["", "transformed"])
def test_an_output_that_a_classifier_cannot_answer_is_named(role: str) -> None:
    model = LogisticRegression().fit(ROWS, TARGET > 0)
    with pytest.raises(Unsupported, match="'y' cannot be compared with what LogisticRegression gives"):
        run_estimator(model, _asking(TensorSpec("y", "float64", ("batch", 2), role)), {"X": ROWS})


def test_a_booster_answers_a_single_output_without_a_role_and_refuses_another() -> None:
    value = np.array([1.5, 2.5])
    assert named(_asking(TensorSpec("y", "float64", ("batch",))), {"value": value})["y"].tolist() == [1.5, 2.5]
    with pytest.raises(Unsupported, match="the model gives value"):
        named(_asking(TensorSpec("y", "int64", ("batch",), "label")), {"value": value})


def test_the_numbers_of_a_booster_are_not_cut_to_the_whole_ones_of_a_file() -> None:
    made = named(_asking(TensorSpec("y", "int64", ("batch",), "value")), {"value": np.array([1.5])})
    assert made["y"].tolist() == [1.5]
