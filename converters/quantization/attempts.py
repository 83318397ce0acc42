"""Try the schemes one after the other: calibrate once, search each, keep the files of those that keep the budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mlpack_edge.converters.opening import Stage
from mlpack_edge.converters.quantization.calibration.calibrate import Calibration, calibrate
from mlpack_edge.converters.quantization.judged_rows import Rows
from mlpack_edge.converters.quantization.judging.judge import Judge
from mlpack_edge.converters.quantization.narrowed import narrowed
from mlpack_edge.converters.quantization.prepared import Prepared, prepare
from mlpack_edge.converters.quantization.progress import Progress
from mlpack_edge.converters.quantization.search.search import search
from mlpack_edge.converters.quantization.static.layers import columns_of, tensors_of
from mlpack_edge.converters.quantization.subject import Subject
from mlpack_edge.converters.quantization.values import Json, Method, Point, Recipe
from mlpack_edge.converters.quantization.workbench import Workbench
from mlpack_edge.core.errors import BadInput, CheckFailed, MlpackError, Unsupported
from mlpack_edge.runtimes.row_streams.stream import RowStream

#: In the order in which ranges are found where nobody chose: extremes lose nothing where rows are ordinary.
METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy", "mse")
#: Of the time that is left, what the search of scheme "static" may take where others follow: most models end there.
_STATIC_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Attempts:
    """points: whatever was judged, with the file of each that keeps the budget (None for others)."""

    points: tuple[tuple[Point, Path | None], ...]
    calibration: Json | None
    notes: tuple[str, ...]


def attempt(subject: Subject, rows: Rows, payload: Json, deadline: float, stage: Stage) -> Attempts:
    """Candidates of all schemes that were asked for, searched within `payload["max_drop"]` until `deadline` (monotonic).

    Raises Unsupported where the model has nothing to quantize, or the only scheme asked for cannot be had; BadInput where
    a layer to keep float is not there.
    """
    stage(f"preparing {subject.name}")
    narrow = narrowed(subject.built.model)
    prepared = prepare(replace(subject.built, model=narrow) if narrow is not None else subject.built)
    recipes = recipes_of(payload, rows.calibration is not None)
    bench = Workbench(subject, prepared, payload["io"], how_of(payload))
    # Scheme "dynamic" is asked for where there are tables and convolutions alone, too: it stores them.
    recipes = [one for one in recipes if bench.layers(one) or (one.scheme == "dynamic" and bench.stored(one))]
    if not recipes:
        raise _nothing(subject, prepared, payload)
    _refuse_unknown(payload["keep_float"], bench, recipes)
    notes = list(prepared.notes)
    if narrow is not None:
        notes.append(f"{subject.name} computes in float64; what is quantized of it computes in float32")
    calibration = None
    static = next((recipe for recipe in recipes if recipe.scheme == "static"), None)
    if static is not None and rows.calibration is not None:
        calibration = _calibrated(prepared, static, rows.calibration, payload, stage)
        bench.ranges = {method: calibration.ranges(method) for method in calibration.methods}
        bench.refused = calibration.refused
        notes += calibration.warnings
    points: list[tuple[Point, Path | None]] = []
    bar = Progress(stage, "judging", rows.judged.rows)
    with Judge(
        subject.reference, rows.judged, payload["metric"], folder=Path(payload["scratch"]), on_rows=bar.at
    ) as judge:
        for place, recipe in enumerate(recipes):
            until = _until(deadline, recipe, len(recipes) - place)
            try:
                made, complete = _searched(bench, judge, recipe, payload, until, bar.step)
                points += made
                if not complete:
                    notes.append(
                        f"the search of {recipe.name} ended at --time-limit: with more time it may find a smaller model"
                    )
            except (Unsupported, CheckFailed) as fault:
                if len(recipes) == 1:
                    raise
                notes.append(f"{recipe.name} was left out: {_line(fault)}")
    if not points:
        raise Unsupported(
            f"{subject.name} cannot be quantized in any of the ways that were tried",
            "leave it as it is, or change what the reasons name", why="; ".join(notes),
        )  # fmt: skip
    told = None
    if calibration is not None:
        told = {
            "rows": calibration.rows, "methods": list(calibration.methods), "warnings": list(calibration.warnings)
        }  # fmt: skip
    return Attempts(tuple(points), told, tuple(notes))


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


def _searched(
    bench: Workbench, judge: Judge, recipe: Recipe, payload: Json, until: float, step: Callable[[str], None]
) -> tuple[list[tuple[Point, Path | None]], bool]:
    """The points of one scheme, with files only of those that could be taken; and whether the search came to its end."""
    methods = METHODS if recipe.scheme == "static" and payload["method"] == "auto" else ()
    files: dict[Recipe, Path] = {}
    stem = recipe.name.replace(" ", "-")

    def keep(made: Recipe, file: bytes) -> None:
        files[made] = Path(payload["scratch"], f"{stem}-{len(files)}.{payload['to']}")
        files[made].write_bytes(file)

    found = search(
        bench, judge, recipe, payload["max_drop"], clock=time.monotonic, deadline=until, methods=methods,
        measured=payload["verbose"], on_step=step, on_draft=keep,
    )  # fmt: skip
    points: list[tuple[Point, Path | None]] = []
    for point in found.points:
        file: Path | None = files[point.recipe]
        if not point.quality.drop <= payload["max_drop"]:
            files[point.recipe].unlink()
            file = None
        points.append((point, file))
    return points, found.complete


def _calibrated(prepared: Prepared, recipe: Recipe, stream: RowStream, payload: Json, stage: Stage) -> Calibration:
    bar = Progress(stage, "calibrating", stream.rows)
    bar.step("calibrating")
    methods = METHODS if payload["method"] == "auto" else (payload["method"],)
    return calibrate(
        prepared.model, tensors_of(prepared, recipe), stream, methods, on_rows=bar.more,
        columns=columns_of(prepared, recipe), signature=stream.signature, place_of=stream.place,
    )  # fmt: skip


def _until(deadline: float, recipe: Recipe, left: int) -> float:
    """When the search of this one of `left` schemes has to end."""
    now = time.monotonic()
    share = 1 / left if left == 1 or recipe.scheme != "static" else max(_STATIC_SHARE, 1 / left)
    return now + share * max(0.0, deadline - now)


def how_of(payload: Json) -> Json:
    """What shapes a file beside its recipe, for its lineage."""
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


def _line(fault: MlpackError) -> str:
    return f"{fault.message}: {fault.why}" if fault.why else fault.message
