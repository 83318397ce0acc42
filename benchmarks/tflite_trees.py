"""Tree ensembles as TFLite against the ONNX file they come from: label flips, latency of one row, size of the file.

python benchmarks/tflite_trees.py [--rows 100000] [--rounds 15] [--only TEXT] > tflite_trees.json

Each model is fitted, converted to ONNX as `mlpack convert` does and lowered to TFLite. Both files answer the same rows
(float32); one number in ten lies on a split threshold of its column or on the float32 before or after it, and columns
that were trained with missing values have them. `flips` counts labels that differ; for regressions `largest` is the
largest difference over the largest prediction. Latency is the CPU time of the thread for one call of one row (256
rows: per row), best of the rounds, both files in turn, at one thread: session.run of ONNX Runtime against set_tensor,
invoke and get_tensor of LiteRT with XNNPACK, its default.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from mlpack_edge.converters.onnx_from_boosters.columns import boosted_of, booster_thresholds
from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.converters.sources.sklearn_thresholds import thresholds_by_feature
from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import open_session

Array = np.ndarray[Any, Any]
#: At most so many times ONNX Runtime's time for one row, and so much of the ONNX file's size.
MOST_TIME, MOST_SIZE = 3.0, 0.6
CATEGORICAL = (17, 18, 19)


def plain(classes: int = 2) -> tuple[Array, Array]:
    """20 columns, 10 of them informative; 5,000 rows."""
    rows, target = make_classification(5000, 20, n_informative=10, n_classes=classes, random_state=0)
    return rows.astype(np.float32), target


def mixed() -> tuple[Array, Array]:
    """The same with one value in twenty missing and three columns of 12 categories."""
    rows, target = plain()
    rng = np.random.default_rng(1)
    rows[:, CATEGORICAL] = np.digitize(rows[:, CATEGORICAL], np.linspace(-2, 2, 11))
    rows[rng.random(rows.shape) < 0.05] = np.nan
    return rows, target


def missing() -> tuple[Array, Array]:
    rows, target = plain()
    rows[np.random.default_rng(1).random(rows.shape) < 0.05] = np.nan
    return rows, target


def digits() -> tuple[Array, Array]:
    rows, target = load_digits(return_X_y=True)
    return rows.astype(np.float32), target


def several() -> tuple[Array, Array]:
    """Three numbers a row to predict."""
    rows, target = plain()
    made = np.stack([rows[:, 0] * rows[:, 1], rows[:, 2] + target, np.abs(rows[:, 3])], axis=1)
    return rows, made


def models() -> list[tuple[str, Callable[[], tuple[Array, Array]], Any]]:
    import catboost
    import lightgbm
    import xgboost

    xgb = {"n_estimators": 100, "n_jobs": 1, "random_state": 0}
    cat = {"iterations": 100, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
    return [
        ("forest depth 10", plain, RandomForestClassifier(100, max_depth=10, random_state=0)),
        ("forest full", plain, RandomForestClassifier(100, random_state=0)),
        ("extra trees full", plain, ExtraTreesClassifier(100, random_state=0)),
        ("forest of 10 classes, depth 10", digits, RandomForestClassifier(100, max_depth=10, random_state=0)),
        ("regression forest, 3 outputs", several, RandomForestRegressor(100, max_depth=10, random_state=0)),
        ("GradientBoosting", plain, GradientBoostingClassifier(random_state=0)),
        ("GradientBoosting, 10 classes", digits, GradientBoostingClassifier(n_estimators=30, random_state=0)),
        ("HistGradientBoosting, missing, categories", mixed,
         HistGradientBoostingClassifier(categorical_features=CATEGORICAL, early_stopping=False, random_state=0)),
        ("HistGradientBoostingRegressor", plain, HistGradientBoostingRegressor(early_stopping=False, random_state=0)),
        ("XGBoost, missing", missing, xgboost.XGBClassifier(**xgb)),
        ("XGBoost, 10 classes", digits, xgboost.XGBClassifier(**{**xgb, "n_estimators": 30})),
        ("LightGBM, missing", missing, lightgbm.LGBMClassifier(n_jobs=1, verbose=-1, random_state=0)),
        ("CatBoost, missing", missing, catboost.CatBoostClassifier(**cat)),
        ("CatBoost, 10 classes", digits, catboost.CatBoostClassifier(**cat)),
    ]  # fmt: skip


def thresholds(model: Any) -> dict[int, Array]:
    """The split thresholds by column."""
    boosted = boosted_of(model)
    pairs = booster_thresholds(boosted) if boosted is not None else thresholds_by_feature(model)
    found: dict[int, list[Array]] = {}
    for column, numbers in pairs:
        found.setdefault(column, []).append(numbers)
    return {column: np.unique(np.concatenate(parts)) for column, parts in found.items()}


def hard_rows(rows: Array, splits: dict[int, Array], count: int) -> Array:
    """`count` rows drawn from `rows` and moved a little, one number in ten put on a threshold or beside it."""
    rng = np.random.default_rng(2)
    made = rows[rng.integers(0, len(rows), count)]
    spread = np.nanstd(rows, axis=0, keepdims=True)
    moved = (made + rng.normal(0, 0.1, made.shape) * spread).astype(np.float32)
    whole = np.all((rows == np.rint(rows)) | np.isnan(rows), axis=0)
    made = np.where(whole, made, moved).astype(np.float32)
    for column, numbers in splits.items():
        near = rng.choice(numbers.astype(np.float32), count)
        aside = np.nextafter(near, rng.choice(np.array([-np.inf, np.inf], np.float32), count))
        value = np.where(rng.random(count) < 0.5, near, aside).astype(np.float32)
        made[:, column] = np.where(rng.random(count) < 0.1, value, made[:, column])
    return np.ascontiguousarray(made)


def tflite_runner(data: bytes) -> Callable[[Array], dict[str, Array]]:
    interpreter = Interpreter(model_content=data, num_threads=1)
    entry, outputs = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()
    planned: tuple[int, ...] = ()

    def call(rows: Array) -> dict[str, Array]:
        nonlocal planned
        if rows.shape != planned:
            interpreter.resize_tensor_input(entry, rows.shape)
            interpreter.allocate_tensors()
            planned = rows.shape
        interpreter.set_tensor(entry, rows)
        interpreter.invoke()
        return {one["name"]: interpreter.get_tensor(one["index"]) for one in outputs}

    return call


def onnx_runner(data: bytes) -> Callable[[Array], dict[str, Array]]:
    session = open_session(data)
    name, names = session.get_inputs()[0].name, [one.name for one in session.get_outputs()]
    return lambda rows: dict(zip(names, session.run(names, {name: rows}), strict=True))


def timed(roads: dict[str, Callable[[Array], Any]], rows: Array, rounds: int) -> dict[str, float]:
    """Microseconds a row of each road, in turn."""
    repeats = max(3, 200 // len(rows))
    best = dict.fromkeys(roads, float("inf"))
    for call in roads.values():
        call(rows)
    for _ in range(rounds):
        for road, call in roads.items():
            start = time.thread_time()
            for _ in range(repeats):
                call(rows)
            best[road] = min(best[road], (time.thread_time() - start) / repeats)
    return {road: round(spent / len(rows) * 1e6, 2) for road, spent in best.items()}


def measured(name: str, data: Callable[[], tuple[Array, Array]], model: Any, count: int, rounds: int) -> dict[str, Any]:
    """Fit, convert, lower, compare, time."""
    rows, target = data()
    model.fit(rows, target)
    built = onnx_from_sklearn(model, Signature((TensorSpec("X", "float32", ("batch", rows.shape[1])),), ()))
    onnx_file = built.model.SerializeToString()
    lowered = tflite_from_onnx(built.model, built.signature)
    roads = {"onnx": onnx_runner(onnx_file), "tflite": tflite_runner(lowered.data)}
    hard = hard_rows(rows, thresholds(model), count)
    answers: dict[str, Any] = {}
    flips, largest = 0, 0.0
    for start in range(0, count, 10_000):
        piece = hard[start : start + 10_000]
        wanted, made = roads["onnx"](piece), roads["tflite"](piece)
        for output, values in wanted.items():
            if values.dtype.kind == "f":
                scale = max(1.0, float(np.abs(values).max()))
                largest = max(largest, float(np.abs(values - made[output]).max()) / scale)
            else:
                flips += int((values != made[output]).sum())
    single, many = timed(roads, hard[:1], rounds), timed(roads, hard[:256], rounds)
    ratio, size = single["tflite"] / single["onnx"], len(lowered.data) / len(onnx_file)
    answers |= {
        "case": name, "rows": count, "flips": flips, "largest": float(f"{largest:.2g}"),
        "us one row": single, "ratio": round(ratio, 2), "us a row of 256": many,
        "bytes": {"onnx": len(onnx_file), "tflite": len(lowered.data)}, "size": round(size, 3),
        "holds": flips == 0 and ratio <= MOST_TIME and size <= MOST_SIZE,
    }  # fmt: skip
    print(
        f"{name:44s} flips {flips:3d}  largest {largest:.1e}  one row {single['tflite']:6.1f} us ({ratio:4.2f} of ONNX "
        f"Runtime's)  256 rows {many['tflite']:6.2f} us ({many['onnx']:5.2f})  size {size:.3f}",
        file=sys.stderr,
    )  # fmt: skip
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    cases = [measured(*case, asked.rows, asked.rounds) for case in models() if asked.only in case[0]]
    print(json.dumps({"machine": platform.machine(), "python": platform.python_version(), "cases": cases}, indent=1))


if __name__ == "__main__":
    main()
