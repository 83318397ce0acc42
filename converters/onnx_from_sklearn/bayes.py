"""Naive Bayes: the joint log likelihood of each class, its highest, and its softmax."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.predictions import answered_dtype, features, label_highest
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, beside, const, taken


def _prediction(scope: Scope, estimator: Estimator, frame: Frame, joint: Tensor) -> Prediction:
    """sklearn.naive_bayes._BaseNB.predict and predict_proba."""
    dtype = answered_dtype(estimator, frame)
    probabilities = (joint.rounded(dtype) - joint.logsumexp().rounded(dtype)).rounded(dtype).exp().rounded(dtype)
    return Prediction(
        label=label_highest(scope, joint, estimator.classes_),
        probabilities=probabilities.value(len(estimator.classes_)),
    )


def gaussian(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """GaussianNB._joint_log_likelihood, a class at a time as there."""
    x = features(scope, frame)
    columns = []
    for prior, mean, variance in zip(estimator.class_prior_, estimator.theta_, estimator.var_, strict=True):
        offset = np.log(prior) - 0.5 * np.sum(np.log(2.0 * np.pi * variance))
        distance = ((x - mean[None, :]) ** 2 / variance[None, :]).sum()
        columns.append(distance * -0.5 + float(offset))
    return _prediction(scope, estimator, frame, beside(columns))


def multinomial(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    x = features(scope, frame)
    joint = x @ np.ascontiguousarray(estimator.feature_log_prob_.T) + estimator.class_log_prior_[None, :]
    return _prediction(scope, estimator, frame, joint)


def complement(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    joint = features(scope, frame) @ np.ascontiguousarray(estimator.feature_log_prob_.T)
    if len(estimator.classes_) == 1:
        joint = joint + estimator.class_log_prior_[None, :]
    return _prediction(scope, estimator, frame, joint)


def bernoulli(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """BernoulliNB; a float32 row is compared with the threshold in float32, as numpy does with a Python number."""
    x = features(scope, frame)
    if estimator.binarize is not None:
        threshold = estimator.binarize
        if frame.dtype == "float32" and not isinstance(threshold, np.float64):
            threshold = np.float32(threshold)
        x = (x > float(threshold)).cast("float64")
    absent = np.log(1 - np.exp(estimator.feature_log_prob_))
    joint = x @ np.ascontiguousarray((estimator.feature_log_prob_ - absent).T)
    return _prediction(scope, estimator, frame, joint + (estimator.class_log_prior_ + absent.sum(axis=1))[None, :])


def categorical(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """CategoricalNB: numbers are cut to integers; a category never seen stops the run, as it stops scikit-learn."""
    codes = features(scope, frame).cast("int64")
    joint = const(scope.graph, np.asarray(estimator.class_log_prior_, np.float64)[None, :])
    for index, table in enumerate(estimator.feature_log_prob_):
        code = codes.take([index]).vector()
        joint = joint + taken(scope.graph, np.ascontiguousarray(table.T), code)
    return _prediction(scope, estimator, frame, joint)


CONVERTERS: dict[str, Converter] = {
    "sklearn.naive_bayes.GaussianNB": gaussian,
    "sklearn.naive_bayes.MultinomialNB": multinomial,
    "sklearn.naive_bayes.ComplementNB": complement,
    "sklearn.naive_bayes.BernoulliNB": bernoulli,
    "sklearn.naive_bayes.CategoricalNB": categorical,
}
