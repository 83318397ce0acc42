"""Many classes, labels or targets out of simpler estimators."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mlpack_edge.converters.frame import Block, Frame, Prediction, frame_of
from mlpack_edge.converters.onnx_from_sklearn.distances import distances
from mlpack_edge.converters.onnx_from_sklearn.dummy import repeated
from mlpack_edge.converters.onnx_from_sklearn.parts import (
    binary_score,
    binary_threshold,
    by_method,
    is_regressor,
    predicted,
    probabilities_of_part,
    scores_of_part,
)
from mlpack_edge.converters.onnx_from_sklearn.predictions import label_above, label_highest
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import beside


def constant(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """sklearn.multiclass._ConstantPredictor: a class that every row or none of the training had."""
    value = np.asarray(estimator.y_, np.float64)
    label = scope.graph.vector(repeated(scope, frame, np.asarray(estimator.y_, np.int64)))
    shares = repeated(scope, frame, np.hstack([1 - value, value]))
    return Prediction(label, shares, scope.graph.vector(repeated(scope, frame, value)))


def one_vs_rest(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """OneVsRestClassifier; with several labels a row, 0 or 1 in each column."""
    suffixes = [f".estimators_[{index}]" for index in range(len(estimator.estimators_))]
    parts = list(zip(estimator.estimators_, suffixes, strict=True))
    made = [scope.predict(part, frame, suffix) for part, suffix in parts]
    columns = [binary_score(scope, part, answer) for (part, _), answer in zip(parts, made, strict=True)]
    count = len(columns)
    whole = beside(columns)
    threshold = binary_threshold(estimator.estimators_[0])
    kind = estimator.label_binarizer_.y_type_
    if kind == "multiclass":
        label = label_highest(scope, whole, estimator.classes_)
    elif kind.startswith("multilabel"):
        label = (whole > threshold).cast("int64").value(count)
    else:
        label = label_above(scope, columns[0], estimator.classes_, threshold)
    shown = None
    if all(answer.probabilities is not None for answer in made):
        shares = beside([probabilities_of_part(scope, answer).take([1]) for answer in made])
        shares = beside([1.0 - shares, shares]) if count == 1 else shares
        if not estimator.multilabel_:
            total = shares.sum()
            shares = shares / total.equals(0.0).where(1.0, total)
        shown = shares.value(max(count, 2))
    scores = None
    if all(answer.scores is not None for answer in made):
        scores = beside([scores_of_part(scope, answer).column() for answer in made])
        scores = scores.vector() if count == 1 else scores
    return Prediction(label, shown, scores.value(count) if scores is not None else None)


def one_vs_one(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """OneVsOneClassifier: votes of the pairs, ties by the sum of confidences."""
    if estimator.pairwise_indices_ is not None:
        raise scope.refuse(estimator, "its parts take precomputed kernels")
    chosen, sure = [], []
    for index, part in enumerate(estimator.estimators_):
        if is_regressor(part):
            raise scope.refuse(estimator, "its parts are regressors")
        made = scope.predict(part, frame, f".estimators_[{index}]")
        chosen.append(predicted(scope, made).column())
        sure.append(binary_score(scope, part, made).column())
    count = len(estimator.classes_)
    places = np.array(list(combinations(range(count), 2)))
    first, second = np.eye(count)[places[:, 0]], np.eye(count)[places[:, 1]]
    voted = beside(chosen)
    votes = voted.equals(0.0).cast("float64") @ first + voted.equals(1.0).cast("float64") @ second
    confidence = beside(sure) @ (second - first)
    scores = votes + confidence / ((confidence.abs() + 1.0) * 3.0)
    if count == 2:
        above = scores.take([1]).vector()
        label = label_above(scope, above, estimator.classes_, binary_threshold(estimator.estimators_[0]))
        return Prediction(label=label, scores=above.value())
    return Prediction(label=label_highest(scope, scores, estimator.classes_), scores=scores.value(count))


def output_code(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """OutputCodeClassifier: the class whose code is nearest to what the parts say."""
    columns = []
    for index, part in enumerate(estimator.estimators_):
        columns.append(binary_score(scope, part, scope.predict(part, frame, f".estimators_[{index}]")))
    book = np.asarray(estimator.code_book_, np.float64)
    reach = distances(scope, beside(columns), book, "euclidean", ranked=True)
    return Prediction(label=label_highest(scope, -reach, estimator.classes_))


def chain(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """ClassifierChain and RegressorChain: each part sees the rows, in float64, and what the parts before it said.

    The labels of a ClassifierChain are floats, as there. Of several outputs no probabilities are given.
    """
    method = getattr(estimator, "chain_method_", "predict")
    rows = frame_of(frame.dense(scope.graph, "float64"), frame.names)
    blocks, answers = list(rows.blocks), []
    for index, part in enumerate(estimator.estimators_):
        made = scope.predict(part, Frame(tuple(blocks)), f".estimators_[{index}]")
        answer = by_method(scope, method, made)
        if method == "predict_proba":
            answer = answer.take([1])
        blocks.append(Block(answer.column().value(1), (f"chain{index}",)))
        answers.append(predicted(scope, made).column())
    inverse = np.argsort(np.asarray(estimator.order_))
    whole = beside([answers[place] for place in inverse]).value(len(answers))
    return Prediction(value=whole) if method == "predict" and is_regressor(estimator) else Prediction(label=whole)


def multi_output_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """MultiOutputRegressor: a part a target."""
    columns = [
        predicted(scope, scope.predict(part, frame, f".estimators_[{index}]"))
        for index, part in enumerate(estimator.estimators_)
    ]
    return Prediction(value=beside(columns).value(len(columns)))


def multi_output_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """MultiOutputClassifier: the labels `[batch, outputs]`; of several outputs no probabilities are given."""
    labels = []
    for index, part in enumerate(estimator.estimators_):
        label = scope.predict(part, frame, f".estimators_[{index}]").label
        assert label is not None
        labels.append(label)
    if len({label.dtype for label in labels}) > 1:
        raise scope.refuse(estimator, "the labels of its outputs are of different types")
    columns = [scope.graph.column(label) for label in labels]
    return Prediction(label=scope.graph.concat(columns))


CONVERTERS: dict[str, Converter] = {
    "sklearn.multiclass._ConstantPredictor": constant,
    "sklearn.multiclass.OneVsRestClassifier": one_vs_rest,
    "sklearn.multiclass.OneVsOneClassifier": one_vs_one,
    "sklearn.multiclass.OutputCodeClassifier": output_code,
    "sklearn.multioutput.ClassifierChain": chain,
    "sklearn.multioutput.RegressorChain": chain,
    "sklearn.multioutput.MultiOutputRegressor": multi_output_regressor,
    "sklearn.multioutput.MultiOutputClassifier": multi_output_classifier,
}
