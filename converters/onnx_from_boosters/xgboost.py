"""An XGBoost booster as an ONNX model."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.onnx_from_boosters.boosted import onnx_from_boosted
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET
from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.from_xgboost import boosted_from_xgboost
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.boosters.shared import Booster
from mlpack_edge.runtimes.boosters.xgboost import document_of, kept_rounds, objective_of


def onnx_from_xgboost(booster: Booster, signature: Signature, opset: int = DEFAULT_OPSET) -> BuiltModel:
    """Convert a booster (`xgboost.Booster`): what `Booster.predict` gives, with the best iteration where one is stored.

    signature: its inputs and columns, as `runtimes.boosters.xgboost.signature_of` tells them, or one X of another dtype.
    Raises Unsupported for what has no converter.
    """
    boosted = boosted_from_booster(booster, kept_rounds(booster))
    return onnx_from_boosted("XGBoost", boosted, signature, opset)


def boosted_from_booster(
    booster: Booster, rounds: int | None, in_place: bool = False, missing: float | None = None
) -> Boosted:
    """Parse a booster. rounds, in_place, missing: see `boosted_from_xgboost`."""
    document = document_of(booster)
    base = base_margin(document, objective_of(booster)[1])
    return boosted_from_xgboost(document, base, rounds, in_place, missing)


def base_margin(document: dict[str, Any], outputs: int) -> NDArray[np.float32]:
    """The margin a model starts from, `[outputs]`: asked of XGBoost itself, with all trees taken out."""
    import xgboost

    bare = copy.copy(document)
    learner = bare["learner"] = copy.copy(document["learner"])
    # Without it, XGBoost takes the stored base score for an estimate yet to be made and leaves it as it is.
    learner["learner_model_param"] = {**learner["learner_model_param"], "boost_from_average": "0"}
    booster = learner["gradient_booster"]
    if booster["name"] == "gblinear":
        weights = np.zeros(len(booster["model"]["weights"])).tolist()
        learner["gradient_booster"] = {**booster, "model": {**booster["model"], "weights": weights}}
    elif booster["name"] == "dart":
        learner["gradient_booster"] = {**_without_trees(booster["gbtree"]), "name": "gbtree"}
    else:
        learner["gradient_booster"] = _without_trees(booster)
    empty = xgboost.Booster({"nthread": 1, "verbosity": 0})
    width = int(learner["learner_model_param"]["num_feature"])
    try:
        empty.load_model(bytearray(json.dumps(bare).encode("utf-8")))
        row = xgboost.DMatrix(
            np.full((1, width), np.nan, np.float32), nthread=1,
            feature_names=empty.feature_names, feature_types=empty.feature_types,
        )  # fmt: skip
        margin = empty.predict(row, output_margin=True)
    except xgboost.core.XGBoostError as fault:
        raise BadInput(
            "XGBoost cannot tell the base score of the model",
            "save it again with booster.save_model('model.json')",
            why=str(fault).splitlines()[0],
        ) from fault
    return np.asarray(margin, np.float32).reshape(outputs)


def _without_trees(booster: dict[str, Any]) -> dict[str, Any]:
    model = {**booster["model"], "trees": [], "tree_info": [], "iteration_indptr": [0]}
    model["gbtree_model_param"] = {**model["gbtree_model_param"], "num_trees": "0"}
    return {**booster, "model": model}
