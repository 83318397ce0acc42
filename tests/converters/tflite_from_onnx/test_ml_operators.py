"""Operators of ai.onnx.ml as other converters write them, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, lower
from tests.converters.tflite_from_onnx.test_trees import ml_model

Array = NDArray[Any]
ML = "ai.onnx.ml"
ROWS = np.array([[0.5, -1.0, 2.0], [0.0, 0.0, 0.0], [3.0, 2.0, 7.5], [-4.0, 1.0, 1e-3]], np.float32)


def check(node: Any, outputs: dict[str, Any], rows: Array = ROWS, ml: int = 3) -> None:
    model = ml_model([node], rows.dtype.name, rows.shape[1], outputs, ml)
    assert_lowered(model, {"x": rows}, {"x": rows[:1]}, {"x": rows[:2]})


def ml_node(kind: str, outputs: list[str] | None = None, **attributes: Any) -> Any:
    return helper.make_node(kind, ["x"], outputs or ["y"], domain=ML, **attributes)


REAL = {"y": ("float32", ("batch", 3))}


def test_scaler() -> None:
    check(ml_node("Scaler", offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, 1.0]), REAL)
    check(ml_node("Scaler", offset=[1.0], scale=[2.0]), REAL)


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(norm: str) -> None:
    check(ml_node("Normalizer", norm=norm), REAL, np.abs(ROWS) if norm == "MAX" else ROWS)


def test_imputer_of_nan_and_of_a_number() -> None:
    holed = ROWS.copy()
    holed[0, 1] = np.nan
    check(ml_node("Imputer", imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=float("nan")), REAL, holed)
    check(ml_node("Imputer", imputed_value_floats=[5.0], replaced_value_float=0.0), REAL)


def test_binarizer() -> None:
    check(ml_node("Binarizer", threshold=0.5), REAL)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("classes", [2, 3])
def test_linear_classifier(transform: str, classes: int) -> None:
    numbers = np.random.default_rng(0).normal(size=(classes, 4)).astype(np.float32)
    node = ml_node(
        "LinearClassifier", ["l", "y"], coefficients=numbers[:, :3].ravel().tolist(),
        intercepts=numbers[:, 3].tolist(), classlabels_ints=list(range(5, 5 + classes)), post_transform=transform,
    )  # fmt: skip
    check(node, {"l": ("int64", ("batch",)), "y": ("float32", ("batch", classes))})


def test_linear_regressor() -> None:
    node = ml_node("LinearRegressor", coefficients=[1.0, 2.0, 3.0, -1.0, 0.5, 0.25], intercepts=[1.0, -1.0], targets=2)
    check(node, {"y": ("float32", ("batch", 2))})


def test_array_feature_extractor() -> None:
    node = helper.make_node("ArrayFeatureExtractor", ["x", "i"], ["y"], domain=ML)
    model = ml_model([node], "float32", 3, {"y": ("float32", ("batch", 2))}, 3, {"i": np.array([2, 0], np.int64)})
    assert_lowered(model, {"x": ROWS}, {"x": ROWS[:1]})


def test_label_encoder_of_numbers() -> None:
    """Whole keys in a small range, keys far apart, floats with NaN among them; the default for the rest."""
    whole = np.array([[3, -1, 0], [7, 5, 10**12]], np.int64)
    for keys in ([0, 3, 7], [-5, 3, 10**12]):
        check(
            ml_node("LabelEncoder", keys_int64s=keys, values_floats=[1.5, 2.5, 3.5], default_float=9.0), REAL, whole, 4
        )
    holed = np.array([[0.5, np.nan, 1.0], [-0.0, 2.0, np.inf]], np.float32)
    keys = numpy_helper.from_array(np.array([0.5, np.nan, 0.0], np.float32))
    values = numpy_helper.from_array(np.array([1.0, 2.0, 3.0], np.float32))
    default = numpy_helper.from_array(np.array([-1.0], np.float32))
    check(ml_node("LabelEncoder", keys_tensor=keys, values_tensor=values, default_tensor=default), REAL, holed, 4)


def test_one_hot_encoder() -> None:
    rows = np.array([[1], [2], [9]], np.int64)
    check(ml_node("OneHotEncoder", cats_int64s=[2, 1, 4], zeros=1), {"y": ("float32", ("batch", 1, 3))}, rows)
    with pytest.raises(Unsupported, match="OneHotEncoder"):
        lower(
            ml_model(
                [ml_node("OneHotEncoder", cats_int64s=[1], zeros=0)], "int64", 1, {"y": ("float32", ("batch", 1, 1))}
            )
        )


def test_an_operator_without_a_lowering_is_refused_by_name() -> None:
    node = ml_node(
        "SVMRegressor",
        coefficients=[1.0],
        support_vectors=[1.0, 2.0, 3.0],
        n_supports=1,
        rho=[0.5],
        kernel_type="RBF",
        kernel_params=[0.1, 0.0, 3.0],
    )
    with pytest.raises(Unsupported, match="SVMRegressor"):
        lower(ml_model([node], "float32", 3, {"y": ("float32", ("batch", 1))}, 3))


def test_a_key_that_float32_does_not_hold_is_refused() -> None:
    """0.1 of float32 is another number than 0.1 of float64."""
    given = {"keys": [0.1, 2.0], "values": [1.0, 2.0], "default": [0.0]}
    tensors = {f"{name}_tensor": numpy_helper.from_array(np.array(numbers)) for name, numbers in given.items()}
    with pytest.raises(Unsupported, match="LabelEncoder"):
        lower(ml_model([ml_node("LabelEncoder", **tensors)], "float64", 1, {"y": ("float64", ("batch", 1))}, 4))
