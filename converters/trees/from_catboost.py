"""A CatBoost model, in its JSON form, as an ensemble.

Mirrors CatBoost 1.2: a float feature is cast to float32 and compared as x > border; leaves are added in float64,
tree after tree, then scaled and shifted. Oblivious trees (one split a level) and the asymmetric trees of the
Depthwise and Lossguide policies are read; NaN goes as `nan_value_treatment` says.
"""

from __future__ import annotations

import math
from typing import Any

from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.ensemble import LEQ
from mlpack_edge.converters.trees.nodes import Nodes
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.runtimes.boosters.catboost import loss_of, names_of

#: A parsed JSON object.
Json = dict[str, Any]


def boosted_from_catboost(document: Json) -> Boosted:
    """Parse what `model.save_model(path, format="json")` writes.

    Raises Unsupported for categorical, text and embedding features and for losses it does not know, BadInput for a
    damaged document.
    """
    try:
        return _boosted(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as fault:
        raise BadInput(
            "this is not the JSON form of a CatBoost model",
            "load the model with CatBoost and save it again",
            why=f"{type(fault).__name__}: {fault}",
        ) from fault


def _boosted(document: Json) -> Boosted:
    info = document["features_info"]
    for kind in ("categorical", "text", "embedding"):
        found = info.get(f"{kind}_features") or ()
        if found:
            first = found[0].get("feature_id") or found[0]["flat_feature_index"]
            raise Unsupported(
                f"CatBoost's {kind} feature {first!r} cannot be converted: its hashes and statistics have no ONNX form",
                "encode it in a pipeline before the model (OrdinalEncoder, OneHotEncoder, TargetEncoder)",
            )
    floats = info["float_features"]
    scale, bias = document["scale_and_bias"]
    bias = [float(value) for value in (bias if isinstance(bias, list) else [bias])]
    columns = {int(item["feature_index"]): int(item["flat_feature_index"]) for item in floats}
    missing_above = {int(item["feature_index"]): item["nan_value_treatment"] == "AsTrue" for item in floats}
    nodes = Nodes(len(bias))
    for tree in document.get("oblivious_trees", ()):
        nodes.root(_oblivious(nodes, tree, columns, missing_above))
    for tree in document.get("trees", ()):
        nodes.root(_asymmetric(nodes, tree, columns, missing_above))
    return Boosted(
        model=nodes.ensemble("float32", [0.0] * len(bias)),
        objective=loss_of(document),
        parameter=_border(document),
        outputs=len(bias),
        features=max(int(item["flat_feature_index"]) for item in floats) + 1,
        names=tuple(names_of(document)),
        scale=float(scale),
        bias=tuple(bias),
    )


def _border(document: Json) -> float:
    """The margin above which a row is of the second class: the logit of the stored probability threshold, or 0."""
    threshold = float(document["model_info"].get("binclass_probability_threshold", 0.5))
    if not 0 < threshold < 1:
        raise Unsupported(f"the probability threshold {threshold} leaves one class only", "set one between 0 and 1")
    return -math.log(1 / threshold - 1)


def _split(nodes: Nodes, split: Json, columns: dict[int, int], missing_above: dict[int, bool]) -> int:
    """x > border as "not x <= border": the true child is the one below the border."""
    if split["split_type"] != "FloatFeature":
        raise Unsupported(f"CatBoost's split on a {split['split_type']} has no converter")
    feature = int(split["float_feature_index"])
    return nodes.split(columns[feature], LEQ, float(split["border"]), not missing_above[feature])


def _oblivious(nodes: Nodes, tree: Json, columns: dict[int, int], missing_above: dict[int, bool]) -> int:
    """Bit `level` of a leaf's number says whether the split of that level held; the last split is the root here."""
    splits = tree.get("splits") or []
    values = [float(value) for value in tree["leaf_values"]]
    made = [nodes.leaf(*values[at : at + nodes.width]) for at in range(0, len(values), nodes.width)]
    if len(made) != 2 ** len(splits):
        raise ValueError(f"{len(made)} leaves for {len(splits)} splits")
    for split in splits:
        above = []
        for below_leaf, above_leaf in zip(made[::2], made[1::2], strict=True):
            node = _split(nodes, split, columns, missing_above)
            nodes.join(node, below_leaf, above_leaf)
            above.append(node)
        made = above
    return made[0]


def _asymmetric(nodes: Nodes, tree: Json, columns: dict[int, int], missing_above: dict[int, bool]) -> int:
    if "split" not in tree:
        value = tree["value"]
        return nodes.leaf(*(float(item) for item in (value if isinstance(value, list) else [value])))
    node = _split(nodes, tree["split"], columns, missing_above)
    children = [_asymmetric(nodes, tree[side], columns, missing_above) for side in ("left", "right")]
    nodes.join(node, *children)
    return node
