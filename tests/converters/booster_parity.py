"""The one question of the booster tests: does the ONNX model of a bare booster say what the booster says?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import open_session, run


def assert_booster_same(
    library: Any, convert: Any, booster: Any, rows: Any, rtol: float = 1e-6, atol: float = 1e-7, opset: int = 21
) -> onnx.ModelProto:
    """Convert a loaded booster, run both on `rows` (matrix, or feeds by name) at batch all, 1 and 0, and compare.

    library: the module of `runtimes`. Labels must be equal on every row; numbers within `atol + rtol * |reference|`.
    The signature told before the conversion must be the one the model has.
    """
    feeds = rows if isinstance(rows, dict) else {"X": rows}
    dtype = "float64" if isinstance(rows, dict) else str(rows.dtype)
    told: Signature = library.signature_of(booster, dtype)
    built = convert(booster, told, opset)
    assert built.signature == told, "the signature told before the conversion is another one"
    onnx.checker.check_model(built.model, full_check=True)
    session = open_session(built.model.SerializeToString())
    count = len(next(iter(feeds.values())))
    for size in (count, 1, 0):
        some = {name: array[:size] for name, array in feeds.items()}
        expected, made = library.run_booster(booster, built.signature, some), run(session, some)
        for spec in built.signature.outputs:
            compare(spec, expected[spec.name], made[spec.name], rtol, atol)
    return built.model


def compare(spec: TensorSpec, a: Any, b: Any, rtol: float, atol: float) -> None:
    assert b.shape == a.shape, f"{spec.name} has shape {b.shape}, not {a.shape}"
    if spec.role == "label":
        flips = np.flatnonzero(a != b)
        assert flips.size == 0, f"{flips.size} of {len(a)} labels flip, first at row {flips[0]}"
    else:
        np.testing.assert_allclose(b.astype(np.float64), a.astype(np.float64), rtol, atol, err_msg=spec.name)


def hard_rows(x: Any, thresholds: Any, seed: int = 0, missing: bool = True) -> Any:
    """Rows like `x` with values on the thresholds, one unit beside, far away, and missing; in the dtype of `x`.

    thresholds: by column index.
    """
    random = np.random.default_rng(seed)
    made = np.repeat(x, 3, axis=0)
    for column in range(x.shape[1]):
        edges = np.asarray(thresholds.get(column, [0.0]), x.dtype)
        edges = edges if edges.size else np.zeros(1, x.dtype)
        picked = edges[random.integers(0, len(edges), len(made))]
        with np.errstate(over="ignore"):  # CatBoost's border for missing values is the end of float32
            beside = [np.nextafter(picked, x.dtype.type(-np.inf)), picked, np.nextafter(picked, x.dtype.type(np.inf))]
        on_edge = np.choose(random.integers(0, 3, len(made)), beside)
        made[:, column] = np.where(random.random(len(made)) < 0.4, on_edge, made[:, column])
        far = x.dtype.type(10.0) ** random.integers(-40 if x.dtype == np.float64 else -30, 10, len(made))
        sign = random.choice(np.array([-1, 1], x.dtype), len(made))
        made[:, column] = np.where(random.random(len(made)) < 0.1, (far * sign).astype(x.dtype), made[:, column])
        if missing:
            made[random.random(len(made)) < 0.1, column] = np.nan
    return made


def thresholds_of(ensemble: Any) -> dict[int, Any]:
    """By column, the finite thresholds of an ensemble."""
    found = {}
    for column in np.unique(ensemble.feature[ensemble.feature >= 0]):
        values = ensemble.threshold[ensemble.feature == column]
        found[int(column)] = np.unique(values[np.isfinite(values)])
    return found


__all__ = ["assert_booster_same", "compare", "hard_rows", "replace", "thresholds_of"]
