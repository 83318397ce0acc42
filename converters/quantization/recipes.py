"""Which ways to quantize are tried for what the command line asks, and what is refused before any is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mlpack_edge.converters.quantization.lite_norms import steps_of
from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.subject import Subject
from mlpack_edge.converters.quantization.values import Json, Method, Recipe
from mlpack_edge.converters.quantization.workbench import Workbench
from mlpack_edge.core.errors import BadInput, Unsupported

#: What scheme "dynamic" is where nothing computes on codes.
ONLY_STORED = "none of its products computes on codes in this scheme: the file would be that of weights int8"


def recipes_of(payload: Json, calibrated: bool) -> list[Recipe]:
    """What is tried, in its order. calibrated: whether there are rows to calibrate on."""
    scheme, bits = payload["scheme"], payload["bits"]
    kept = frozenset(payload["keep_float"])
    codes: Literal["uint8", "int8"] = "int8" if payload["arm"] or payload["to"] == "tflite" else "uint8"
    method: Method = "minmax" if payload["method"] == "auto" else payload["method"]
    # LiteRT's kernels widen before they multiply: nothing saturates there.
    found = [
        Recipe(
            "static", codes, method=method, exact_sums=payload["to"] == "onnx", integer_only=payload["integer_only"],
            stored=not payload["integer_only"],
        )
    ] if calibrated else []  # fmt: skip
    if payload["io"] == "float" and not payload["integer_only"]:
        found += [Recipe("dynamic", stored=True), Recipe("weights"), Recipe("weights", weights="int4"), Recipe("fp16")]
    wanted = {8: "int8", 4: "int4", None: None}[bits]
    return [
        replace(one, kept_float=kept, float_weights=kept if one.stored else frozenset())
        for one in found
        if scheme in ("auto", one.scheme) and (one.scheme != "weights" or wanted in (None, one.weights))
    ]


def possible(
    subject: Subject, prepared: Prepared, bench: Workbench, recipes: Sequence[Recipe], payload: Json
) -> tuple[list[Recipe], list[Recipe]]:
    """(the recipes that have layers, those among the others that would only store what scheme "weights" stores). What is kept
    float of a layer that was taken apart is each of its steps.

    Raises Unsupported where none has any, BadInput where a layer to keep float is not there.
    """
    known = [one for one in recipes if bench.layers(one) or bench.stored(one)]
    if known:
        _refuse_unknown(payload["keep_float"], bench, known)
    if payload["integer_only"]:
        known = [replace(one, kept_float=_with_steps(one.kept_float, subject, prepared)) for one in known]
    found = [one for one in known if bench.layers(one)]
    stored = [one for one in known if one.scheme == "dynamic" and not _computes(bench, one)]
    found = [one for one in found if one not in stored]
    if not found and stored:
        raise Unsupported(
            f"{subject.name} has nothing that --scheme dynamic computes with codes",
            "--scheme weights stores its weights as int8 and computes in float; --scheme auto tries what there is",
            why=ONLY_STORED,
        )
    if not found:
        raise _nothing(subject, prepared, payload)
    return found, stored


def _with_steps(names: frozenset[str], subject: Subject, prepared: Prepared) -> frozenset[str]:
    return frozenset(step for name in names for step in steps_of(name, prepared.model, subject.built.model))


def _computes(bench: Workbench, recipe: Recipe) -> bool:
    return any(layer.name not in recipe.kept_float for layer in bench.layers(recipe))


def how_of(payload: Json) -> Json:
    """What shapes a file beside its recipe, for its lineage: of the options, the recipe knows all but the types of the borders."""
    return {"io": payload["io"]} if payload["io"] != "float" else {}


def _refuse_unknown(names: list[str], bench: Workbench, recipes: list[Recipe]) -> None:
    """--keep-float names a layer that there is (BadInput)."""
    known = list(
        dict.fromkeys(layer.name for recipe in recipes for layer in (*bench.layers(recipe), *bench.stored(recipe)))
    )
    for name in names:
        if name not in known:
            more = f" and {len(known) - 20} more" if len(known) > 20 else ""
            raise BadInput(
                f"--keep-float {name}: no layer that could be quantized is called so",
                f"its layers are {', '.join(known[:20])}{more}",
            )


def _nothing(subject: Subject, prepared: Prepared, payload: Json) -> Unsupported:
    """Trees, tables of categories and the like: no large constants that are multiplied."""
    kinds = {node.op_type for node in prepared.model.graph.node}
    trees = sorted(kind for kind in kinds if kind.startswith("TreeEnsemble"))
    if trees:
        return Unsupported(
            f"{subject.name} has nothing to quantize: it is made of trees ({', '.join(trees)})",
            f"mlpack convert {subject.name} --to tflite makes trees smaller and keeps every threshold",
            why="a threshold that is rounded sends rows down another branch; there are no products that could be cheaper",
        )
    if payload["scheme"] != "auto":
        return Unsupported(
            f"{subject.name} has nothing that --scheme {payload['scheme']} quantizes",
            "--scheme auto tries the others",
            why=f"its operators are {', '.join(sorted(kinds)[:20])}",
        )
    return Unsupported(
        f"{subject.name} has nothing to quantize",
        "leave it as it is: mlpack convert",
        why=f"no operator of it multiplies by constants large enough to count; it has {', '.join(sorted(kinds)[:20])}",
    )
