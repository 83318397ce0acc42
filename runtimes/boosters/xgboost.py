"""Run an XGBoost model file as the reference: the same named inputs and outputs as its ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import Category, Signature, TensorSpec
from mlpack_edge.runtimes.boosters import shared as boosters
from mlpack_edge.runtimes.boosters.shared import Array, Booster

CLASSIFIERS = {"binary:logistic", "binary:hinge", "multi:softprob", "multi:softmax"}


def load(path: Path) -> Booster:
    """Open a JSON or UBJSON model, by content (BadInput where XGBoost refuses it, MissingExtra without XGBoost)."""
    try:
        import xgboost
    except ModuleNotFoundError as fault:
        raise missing_extra("xgboost", "XGBoost models") from fault
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    _look_over(path, data)
    booster = xgboost.Booster({"nthread": 1, "verbosity": 0})
    try:
        booster.load_model(bytearray(data))
    except (xgboost.core.XGBoostError, ValueError) as fault:
        lines = str(fault).strip().splitlines()
        raise BadInput(
            f"XGBoost cannot open {path}", "save it again with booster.save_model('model.json')",
            why=lines[0] if lines else "",
        ) from fault  # fmt: skip
    return booster


def _look_over(path: Path, data: bytes) -> None:
    """Refuse here what XGBoost aborts the process for: text that is no JSON object, bytes that are no UBJSON object.

    A UBJSON object starts with the length of its first key, "learner" or "Config".
    """
    hint = "save it again with booster.save_model('model.json')"
    if data[:1] == b"{" and data[1:2] in (b"L", b"l", b"I", b"i", b"U"):
        return
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise BadInput(f"{path} is neither JSON nor UBJSON", hint, why=str(fault)) from fault
    if not isinstance(document, dict) or not isinstance(document.get("learner"), dict):
        raise BadInput(f"{path} is JSON, but no model of XGBoost", hint, why="it has no object 'learner'")


def objective_of(booster: Booster) -> tuple[str, int]:
    """The objective's name and the number of outputs of a row."""
    learner = json.loads(booster.save_config())["learner"]
    model = learner["learner_model_param"]
    outputs = max(int(model["num_class"]), int(model.get("num_target", 1)), 1)
    return str(learner["objective"]["name"]), outputs


def kept_rounds(booster: Booster) -> int | None:
    """The rounds a prediction uses: up to the best one where training stopped early, else all (None).

    XGBoost's own scikit-learn wrappers predict with the best iteration, which the file stores as an attribute.
    """
    best = booster.attr("best_iteration")
    return None if best is None else int(best) + 1


def document_of(booster: Booster) -> dict[str, Any]:
    """The model as a JSON document."""
    document: dict[str, Any] = json.loads(booster.save_raw("json"))
    return document


def categories_of(document: dict[str, Any]) -> dict[int, tuple[Category, ...]]:
    """The values of columns that were data-frame categories; XGBoost 3.1 and later keep them in the model.

    Raises Unsupported for names outside ASCII: XGBoost (`_data_utils.py`, `npstr_to_arrow_strarr`) counts characters
    where it stores bytes, so that what is in the file is cut and shifted.
    """
    learner = document["learner"]
    booster = learner["gradient_booster"]
    model = booster.get("gbtree", booster).get("model", {})
    kinds = learner.get("feature_types") or ()
    found: dict[int, tuple[Category, ...]] = {}
    for index, entry in enumerate(model.get("cats", {}).get("enc", ())):
        if not entry["values"] or index >= len(kinds) or kinds[index] != "c":
            continue
        if "offsets" in entry:
            text = bytes(int(byte) & 0xFF for byte in entry["values"])
            if not text.isascii():
                raise Unsupported(
                    f"the categories of column {index} hold text outside ASCII, which XGBoost stores cut and shifted",
                    "encode the column in the pipeline (OrdinalEncoder), or name the categories in ASCII",
                )
            found[index] = tuple(text[a:b].decode("ascii") for a, b in pairwise(map(int, entry["offsets"])))
        else:
            found[index] = tuple(int(value) for value in entry["values"])
    return found


def signature_of(booster: Booster, dtype: str = "float32") -> Signature:
    """Inputs, outputs and columns; numbers come in as `dtype`, and predictions leave as float32."""
    objective, outputs = objective_of(booster)
    names = booster.feature_names or [f"x{index}" for index in range(booster.num_features())]
    coded = [index for index, kind in enumerate(booster.feature_types or ()) if kind == "c"]
    specs = boosters.value_outputs("float32", outputs)
    classes: tuple[int, ...] = ()
    if objective in CLASSIFIERS and (outputs == 1 or objective.startswith("multi:")):
        classes = tuple(range(max(outputs, 2)))
        specs = boosters.classifier_outputs("float32", len(classes))
    elif objective == "binary:logitraw" and outputs == 1:
        specs = (
            TensorSpec("label", "int64", ("batch",), "label"),
            TensorSpec("scores", "float32", ("batch",), "scores"),
        )
    return boosters.tabular_signature(names, dtype, categories_of(document_of(booster)), coded, specs, classes)


def run_booster(booster: Booster, signature: Signature, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What `Booster.predict` gives, on one thread. Labels: p > 0.5, the margin > 0, or the largest probability."""
    import xgboost

    if boosters.rows_of(feeds) == 0:
        return boosters.empty(signature)
    rows = boosters.table(signature, feeds)
    named = {} if hasattr(rows, "columns") else {"feature_names": booster.feature_names}
    booster.set_param({"nthread": 1})
    end = kept_rounds(booster) or 0
    try:
        data = xgboost.DMatrix(
            rows, nthread=1, enable_categorical=True,
            feature_types=None if hasattr(rows, "columns") else booster.feature_types, **named,
        )  # fmt: skip
        made = booster.predict(data, iteration_range=(0, end))
        margin = booster.predict(data, iteration_range=(0, end), output_margin=True)
    except xgboost.core.XGBoostError as fault:
        raise BadInput("XGBoost refuses the rows", why=str(fault).strip().splitlines()[0]) from fault
    return boosters.named(signature, _by_role(objective_of(booster)[0], signature, made, margin))


def _by_role(objective: str, signature: Signature, made: Array, margin: Array) -> dict[str, Array]:
    roles = {spec.role for spec in signature.outputs}
    if "label" not in roles:
        return {"value": made}
    if "scores" in roles:
        return {"label": made > 0, "scores": made}
    if objective == "multi:softmax":
        powers = np.exp(margin - margin.max(axis=1, keepdims=True))
        return {"label": made, "probabilities": powers / powers.sum(axis=1, keepdims=True)}
    if objective == "multi:softprob":
        return {"label": made.argmax(axis=1), "probabilities": made}
    return {"label": made > 0.5, "probabilities": boosters.binary(made)}
