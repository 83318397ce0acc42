"""Run a CatBoost model file as the reference: the same named inputs and outputs as its ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import Category, Signature
from mlpack_edge.runtimes.boosters import shared as boosters
from mlpack_edge.runtimes.boosters.shared import Array, Booster

BINARY, MULTI = ("Logloss", "CrossEntropy"), ("MultiClass", "MultiClassOneVsAll")
#: What `CatBoostRegressor.predict` gives for some losses by itself; raw values for the others.
PREDICTION_TYPES = {"Poisson": "Exponent", "Tweedie": "Exponent", "RMSEWithUncertainty": "RMSEWithUncertainty"}


def load(path: Path) -> Booster:
    """Open a .cbm model, whatever its suffix (BadInput where CatBoost refuses it, MissingExtra without CatBoost)."""
    try:
        import catboost
    except ModuleNotFoundError as fault:
        raise missing_extra("catboost", "CatBoost models") from fault
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    model = catboost.CatBoost()
    try:
        model.load_model(str(path), format="cbm")
    except catboost.CatBoostError as fault:
        raise BadInput(
            f"CatBoost cannot open {path}", "save it again with model.save_model('model.cbm')", why=str(fault)
        ) from fault
    return model


def document_of(booster: Booster) -> dict[str, Any]:
    """The model as a JSON document (BadInput where CatBoost does not write it)."""
    import catboost

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        try:
            booster.save_model(str(path), format="json")
        except catboost.CatBoostError as fault:
            raise BadInput(
                "CatBoost cannot write the model as JSON", "save it again with this version of CatBoost", why=str(fault)
            ) from fault
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def loss_of(document: dict[str, Any]) -> str:
    """The name of the loss, without its parameters."""
    loss = document["model_info"]["params"]["loss_function"]
    return str(loss["type"] if isinstance(loss, dict) else loss).split(":")[0]


def names_of(document: dict[str, Any]) -> list[str]:
    """The float features by place; CatBoost calls unnamed ones by their number."""
    ordered = sorted(document["features_info"]["float_features"], key=lambda item: int(item["flat_feature_index"]))
    return [str(item.get("feature_id") or f"x{item['flat_feature_index']}") for item in ordered]


def classes_of(booster: Booster) -> tuple[Category, ...]:
    """The class labels the model stores."""
    return tuple(np.asarray(booster.classes_).tolist())


def signature_of(booster: Booster, dtype: str = "float32") -> Signature:
    """Inputs, outputs and columns; numbers come in as `dtype`, floats leave as float32 where every input is float32.

    Labels are the model's own, which CatBoost keeps in the file.
    """
    document = document_of(booster)
    loss = loss_of(document)
    bias = document["scale_and_bias"][1]
    outputs = len(bias) if isinstance(bias, list) else 1
    specs = boosters.value_outputs(dtype, outputs)
    classes: tuple[Category, ...] = ()
    if loss in BINARY + MULTI:
        classes = classes_of(booster)
        kind = np.asarray(classes).dtype.kind
        label = {"b": "bool", "i": "int64", "u": "int64", "f": "float64"}.get(kind, "string")
        specs = boosters.classifier_outputs(dtype, len(classes), label)
    return boosters.tabular_signature(names_of(document), dtype, {}, [], specs, classes)


def run_booster(booster: Booster, signature: Signature, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What `CatBoost.predict` gives, on one thread: classes and probabilities, or a regressor's values."""
    if boosters.rows_of(feeds) == 0:
        return boosters.empty(signature)
    rows = boosters.matrix(signature, feeds)
    if any(spec.role == "label" for spec in signature.outputs):
        label = booster.predict(rows, prediction_type="Class", thread_count=1)
        probabilities = booster.predict(rows, prediction_type="Probability", thread_count=1)
        return boosters.named(signature, {"label": np.asarray(label), "probabilities": probabilities})
    kind = PREDICTION_TYPES.get(loss_of(document_of(booster)), "RawFormulaVal")
    value = booster.predict(rows, prediction_type=kind, thread_count=1)
    return boosters.named(signature, {"value": np.asarray(value)})
