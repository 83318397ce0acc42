"""Which output is held against labels: by role, by what is alone, else a question to the user; and how labels are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.judging.judge import Judge
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Category, TensorSpec
from tests.converters.quantization.judging.answering import echo, numbered, output

Array = NDArray[Any]
DRAW = np.random.default_rng(3)
SCORES = DRAW.dirichlet(np.ones(3), 60).astype(np.float32)
LARGEST = SCORES.argmax(axis=1)
NAMES = np.array(["ant", "bee", "cow"])


def before(
    labels: Array, metric: str | None, *outputs: TensorSpec, classes: tuple[Category, ...] = (), **answers: Array
) -> tuple[str, float]:
    """The metric that was taken, and the float model's figure."""
    model = echo(*outputs, classes=classes, **answers)
    with Judge(model, numbered(60, labels), metric) as judge:
        quality = judge.judge(model)
    assert quality.drop == 0
    assert quality.before == quality.after
    return quality.metric, quality.before


def refused(*arguments: Any, **answers: Any) -> str:
    with pytest.raises(BadInput) as caught:
        before(*arguments, **answers)
    fault = caught.value
    return f"{fault.message} | {fault.why} | {fault.hint}"


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LARGEST, ()), (LARGEST.astype(np.int8), (0, 1, 2)), (LARGEST.astype(np.float64), (0, 1, 2)),
        (NAMES[LARGEST], ("ant", "bee", "cow")), (NAMES[LARGEST].astype(object), ("ant", "bee", "cow")),
        (LARGEST.astype(np.str_), (0, 1, 2)), (LARGEST[:, None], (0, 1, 2)), (LARGEST + 5, (5, 6, 7)),
        (LARGEST * 0.5, (0.0, 0.5, 1.0)),
    ],
    ids=["places", "small integers", "float places", "texts", "objects", "numbers as texts", "a column", "from 5 on", "halves"],
)  # fmt: skip
@pytest.mark.parametrize("role", ["probabilities", "scores", ""])
def test_classes_are_the_largest_column_under_the_names_of_the_signature(
    labels: Array, classes: tuple[Category, ...], role: str
) -> None:
    assert before(labels, None, output("y", 3, role=role), classes=classes, y=SCORES) == ("accuracy", 1.0)
    assert before(labels, "f1", output("y", 3, role=role), classes=classes, y=SCORES) == ("f1", 1.0)
    assert before(labels, "auc", output("y", 3, role=role), classes=classes, y=SCORES)[1] > 0.9


@pytest.mark.parametrize(
    ("made", "labels", "dtype"),
    [(LARGEST, LARGEST, "int64"), (NAMES[LARGEST].astype(object), NAMES[LARGEST], "string"), (LARGEST > 0, LARGEST > 0, "bool")],
    ids=["numbers", "texts", "truth values"],
)  # fmt: skip
def test_a_label_goes_before_the_columns_it_was_made_of(made: Array, labels: Array, dtype: str) -> None:
    """The columns say something else here: the label is what users of the model read."""
    specs = output("label", role="label", dtype=dtype), output("y", 3, role="probabilities")
    assert before(labels, "accuracy", *specs, label=made, y=SCORES[::-1]) == ("accuracy", 1.0)


@pytest.mark.parametrize(
    ("numbers", "role", "threshold"),
    [(SCORES[:, :1], "proportions", 0.5), (SCORES[:, 0], "", 0.5), (SCORES[:, :1] * 8 - 2, "", 0.0), (SCORES[:, :1] - 0.3, "scores", 0.0)],
    ids=["a proportion", "within 0..1", "a logit", "a decision function"],
)  # fmt: skip
def test_one_number_a_row_names_two_classes(numbers: Array, role: str, threshold: float) -> None:
    labels = numbers.reshape(-1) > threshold
    spec = output("y", *numbers.shape[1:], role=role)
    assert before(labels, "accuracy", spec, y=numbers) == ("accuracy", 1.0)
    assert before(np.where(labels, "yes", "no"), "accuracy", spec, classes=("no", "yes"), y=numbers)[1] == 1.0
    assert before(labels, "auc", spec, y=numbers) == ("auc", 1.0)


def test_values_are_taken_of_the_role_or_of_what_is_alone() -> None:
    truth = SCORES[:, 0] * 1.1
    expected = pytest.approx(float(np.abs(truth - SCORES[:, 0]).mean()), rel=1e-6)
    assert before(truth, "mae", output("y", 1), y=SCORES[:, :1])[1] == expected
    assert before(truth, "mae", output("a"), output("b", role="value"), a=truth * 9, b=SCORES[:, 0])[1] == expected
    assert before(truth, None, output("y", role="value"), y=SCORES[:, 0])[0] == "rmse"
    assert before(SCORES, "r2", output("y", 3), y=SCORES) == ("r2", 1.0)


def test_logits_become_probabilities_for_logloss() -> None:
    logits = np.log(SCORES) + 5
    spec = output("logits", 3)
    as_shares = before(LARGEST, "logloss", output("y", 3, role="probabilities"), y=SCORES)
    assert before(LARGEST, "logloss", spec, logits=logits)[1] == pytest.approx(as_shares[1], rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "answers", "said"),
    [
        (("a", None, output("y", 7, 9)), {"y": np.zeros((60, 7, 9), np.float32)}, ["--metric", "y (float32 [N, 7, 9], meaning unknown)"]),
        (("a", "accuracy", output("y", 7, 9)), {"y": np.zeros((60, 7, 9), np.float32)}, ["no output fits", "one score a class", "mae"]),
        (("a", None, output("y")), {"y": SCORES[:, 0]}, ["classes or values", "accuracy, f1, auc, logloss, mae, rmse, r2"]),
        (("a", "mae", output("y"), output("z")), {"y": SCORES[:, 0], "z": SCORES[:, 1]}, ["several outputs could be meant", "z (float32"]),
        (("a", "auc", output("y", 3), output("z", 3)), {"y": SCORES * 9, "z": SCORES * 9}, ["several outputs could be meant"]),
        (("a", "accuracy", output("y", 3, role="label", dtype="int64")), {"y": LARGEST[:, None].repeat(3, 1)}, ["several labels a row"]),
        (("a", "logloss", output("y", 3, role="scores")), {"y": SCORES * 9}, ["needs probabilities", "add up to 1"]),
        (("a", "logloss", output("y")), {"y": SCORES[:, 0] * 9}, ["needs probabilities"]),
        (("a", "mae", output("y", role="value")), {"y": SCORES[:, 0]}, ["no numbers"]),
    ],
    ids=lambda item: item[0] if isinstance(item, list) else "",
)  # fmt: skip
def test_what_cannot_be_told_is_asked_for(
    arguments: tuple[Any, ...], answers: dict[str, Array], said: list[str]
) -> None:
    text = refused(np.full(60, arguments[0]), *arguments[1:], **answers)
    assert all(part in text for part in said), text


def test_a_label_that_is_no_class_is_refused_with_its_row() -> None:
    labels = NAMES[LARGEST].astype(object)
    labels[41] = "dog"
    text = refused(labels, None, output("y", 3), classes=("ant", "bee", "cow"), y=SCORES)
    assert "label 'dog' in row 41 is none of the model's classes" in text
    assert "its classes are ant, bee, cow" in text
    assert "label '3' in row 0" in refused(LARGEST * 0 + 3, None, output("y", 3), y=SCORES)
    assert "label 'ant'" in refused(NAMES[LARGEST * 0], None, output("y", 3), classes=(0, 1, 2), y=SCORES)


@pytest.mark.parametrize("gap", [None, np.nan])
def test_a_missing_label_is_refused_with_its_row(gap: Any) -> None:
    labels = LARGEST.astype(object)
    labels[13] = gap
    assert "row 13 has no label" in refused(labels, None, output("y", 3), y=SCORES)
    if gap is not None:
        assert "row 13 has no label" in refused(labels.astype(float), None, output("y", 3), y=SCORES)
        assert "row 13 has no label" in refused(labels.astype(float), "mae", output("y"), y=SCORES[:, 0])


def test_texts_for_a_model_that_answers_with_numbers_are_refused() -> None:
    spec = output("label", role="label", dtype="int64")
    assert "the labels are texts" in refused(NAMES[LARGEST], "accuracy", spec, label=LARGEST)


def test_another_number_of_targets_is_refused() -> None:
    assert "3 labels a row, and the model gives 1" in refused(SCORES, "mae", output("y"), y=SCORES[:, 0])
    assert "one label a row" in refused(SCORES, "accuracy", output("y", 3), y=SCORES)
