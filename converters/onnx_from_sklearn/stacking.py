"""Votes, averages and stacks of estimators."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Block, Frame, Prediction, frame_of
from mlpack_edge.converters.onnx_from_sklearn.parts import by_method, predicted, probabilities_of_part
from mlpack_edge.converters.onnx_from_sklearn.predictions import classification, label_highest, regression
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope, pick_label
from mlpack_edge.converters.tensor import Tensor, beside, taken


def _parts(scope: Scope, estimator: Estimator, frame: Frame) -> list[Prediction]:
    return [scope.predict(part, frame, f".estimators_[{index}]") for index, part in enumerate(estimator.estimators_)]


def _weights(estimator: Estimator) -> list[float]:
    weights = estimator._weights_not_none
    return [1.0] * len(estimator.estimators_) if weights is None else [float(weight) for weight in weights]


def _weighted(parts: list[Tensor], weights: list[float]) -> Tensor:
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * weight
    return total


def voting_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """VotingClassifier; its parts know the classes by their numbers."""
    if isinstance(estimator.le_, list) or np.ndim(estimator.classes_) != 1:
        raise scope.refuse(estimator, "several labels a row")
    made, weights, count = _parts(scope, estimator, frame), _weights(estimator), len(estimator.classes_)
    if estimator.voting == "soft":
        shares = [probabilities_of_part(scope, part) for part in made]
        return classification(scope, estimator, _weighted(shares, weights) / sum(weights))
    votes = [taken(scope.graph, np.eye(count), _number(scope, part)) for part in made]
    return Prediction(label=label_highest(scope, _weighted(votes, weights), estimator.classes_))


def _number(scope: Scope, made: Prediction) -> Tensor:
    """The number of the class, int64 `[batch]`."""
    return predicted(scope, made).vector().cast("int64")


def voting_classifier_columns(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """VotingClassifier.transform: the probabilities of each part, or with hard voting its class number."""
    made = _parts(scope, estimator, frame)
    if estimator.voting == "hard":
        return frame_of(beside([_number(scope, part) for part in made]).value(len(made)))
    if not estimator.flatten_transform:
        raise scope.refuse(estimator, "flatten_transform=False gives three dimensions")
    shares = beside([probabilities_of_part(scope, part) for part in made])
    return frame_of(shares.value(len(made) * len(estimator.classes_)))


def voting_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """VotingRegressor: the weighted mean."""
    weights = _weights(estimator)
    values = [predicted(scope, part).vector() for part in _parts(scope, estimator, frame)]
    return regression(_weighted(values, weights) / sum(weights))


def voting_regressor_columns(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """VotingRegressor.transform: the value of each part."""
    values = [predicted(scope, part).vector() for part in _parts(scope, estimator, frame)]
    return frame_of(beside(values).value(len(values)))


def stacked_columns(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """StackingClassifier.transform and StackingRegressor.transform: what the last estimator sees.

    With two classes the first of two probabilities is left out, as there.
    """
    classes = getattr(estimator, "classes_", None)
    if classes is not None and (isinstance(classes, list) or isinstance(estimator._label_encoder, list)):
        raise scope.refuse(estimator, "several labels a row")
    blocks, place = [], 0
    for method, part, made in zip(
        estimator.stack_method_, estimator.estimators_, _parts(scope, estimator, frame), strict=True
    ):
        column = by_method(scope, method, made)
        width = 1
        if column.rank == 2:
            known = {"predict_proba": made.probabilities, "decision_function": made.scores}.get(method, made.value)
            width = known.width or 1 if known is not None else len(part.classes_)
        if method == "predict_proba" and classes is not None and len(classes) == 2:
            column, width = column.take([1]), 1
        blocks.append(Block(column.column().value(width), tuple(f"stack{place + i}" for i in range(width))))
        place += width
    if estimator.passthrough:
        if frame.is_text:
            raise scope.refuse(estimator, "passthrough of text")
        blocks.extend(frame.blocks)
    return Frame(tuple(blocks))


def stacking_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """StackingClassifier: the last estimator knows the classes by their numbers."""
    seen = stacked_columns(scope, estimator, frame)
    made = scope.predict(estimator.final_estimator_, seen, ".final_estimator_")
    label = pick_label(scope.graph, _number(scope, made).name, estimator.classes_)
    return Prediction(label, made.probabilities, made.scores)


def stacking_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """StackingRegressor."""
    seen = stacked_columns(scope, estimator, frame)
    made = scope.predict(estimator.final_estimator_, seen, ".final_estimator_")
    return Prediction(value=made.value if made.value is not None else made.label)


CONVERTERS: dict[str, Converter] = {
    "sklearn.ensemble.VotingClassifier": voting_classifier,
    "sklearn.ensemble.VotingRegressor": voting_regressor,
    "sklearn.ensemble.StackingClassifier": stacking_classifier,
    "sklearn.ensemble.StackingRegressor": stacking_regressor,
}
TRANSFORMS: dict[str, Converter] = {
    "sklearn.ensemble.VotingClassifier": voting_classifier_columns,
    "sklearn.ensemble.VotingRegressor": voting_regressor_columns,
    "sklearn.ensemble.StackingClassifier": stacked_columns,
    "sklearn.ensemble.StackingRegressor": stacked_columns,
}
