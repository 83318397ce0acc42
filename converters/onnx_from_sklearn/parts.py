"""What a meta-estimator asks of its parts, in the words scikit-learn asks it."""

from __future__ import annotations

from mlpack_edge.converters.frame import Prediction
from mlpack_edge.converters.onnx_from_sklearn.scope import Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, tensor
from mlpack_edge.core.errors import Unsupported


def is_regressor(estimator: Estimator) -> bool:
    from sklearn.base import is_regressor as asked

    return bool(asked(estimator))


def scores_of_part(scope: Scope, made: Prediction) -> Tensor:
    """Its `decision_function` in float64 (Unsupported where its converter gives none)."""
    if made.scores is None:
        raise Unsupported("a part's decision function is needed, and its converter gives none")
    return tensor(scope.graph, made.scores, "float64")


def probabilities_of_part(scope: Scope, made: Prediction) -> Tensor:
    """Its `predict_proba` in float64 (Unsupported where its converter gives none)."""
    if made.probabilities is None:
        raise Unsupported("a part's probabilities are needed, and its converter gives none")
    return tensor(scope.graph, made.probabilities, "float64")


def predicted(scope: Scope, made: Prediction) -> Tensor:
    """Its `predict` as numbers in float64: values, or labels that are numbers."""
    value = made.value if made.value is not None else made.label
    if value is None or value.dtype == "string":
        raise Unsupported("a part's predictions are needed as numbers, and they are text")
    return tensor(scope.graph, value, "float64")


def by_method(scope: Scope, method: str, made: Prediction) -> Tensor:
    """What the method of that name gives."""
    if method == "predict_proba":
        return probabilities_of_part(scope, made)
    if method == "decision_function":
        return scores_of_part(scope, made)
    if method == "predict":
        return predicted(scope, made)
    raise Unsupported(f"the method {method} of a part has no converter")


def binary_score(scope: Scope, part: Estimator, made: Prediction) -> Tensor:
    """sklearn.multiclass._predict_binary, `[batch]`: value, decision function, or probability of the second class."""
    if is_regressor(part):
        return predicted(scope, made).vector()
    if hasattr(part, "decision_function"):
        return scores_of_part(scope, made).vector()
    return probabilities_of_part(scope, made).take([1]).vector()


def binary_threshold(part: Estimator) -> float:
    """sklearn.multiclass._threshold_for_binary_predict."""
    from sklearn.base import is_classifier

    return 0.0 if hasattr(part, "decision_function") and is_classifier(part) else 0.5
