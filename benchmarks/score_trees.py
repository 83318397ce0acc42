"""What a core scores a second of tree ensembles: the scoring of `mlpack score` on Arrow batches against scikit-learn's own
`predict_proba` (or `predict`) on the same rows as a pandas data frame, each at one thread, in turn.

"numbers" models take the five numbers of a flight, "texts" models carriers and airports too, through an OrdinalEncoder.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import hashlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import score_data

Json = dict[str, Any]
#: Rows that models are trained on, and rows that are scored in a batch.
TRAINED, SCORED = 20_000, 1 << 16


def models() -> dict[str, tuple[Any, tuple[str, ...]]]:
    """By name: the estimator and the columns of text that it takes."""
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )

    texts = score_data.TEXTS
    return {
        "RandomForest 100, full, texts": (RandomForestClassifier(100, random_state=0), texts),
        "RandomForest 100, depth 10, texts": (RandomForestClassifier(100, max_depth=10, random_state=0), texts),
        "RandomForest 100, depth 10, numbers": (RandomForestClassifier(100, max_depth=10, random_state=0), ()),
        "RandomForestRegressor 100, depth 10, numbers": (RandomForestRegressor(100, max_depth=10, random_state=0), ()),
        "ExtraTrees 100, full, numbers": (ExtraTreesClassifier(100, random_state=0), ()),
        "HistGradientBoosting 100, texts": (
            HistGradientBoostingClassifier(random_state=0, early_stopping=False),
            texts,
        ),
        "HistGradientBoosting 100, numbers": (HistGradientBoostingClassifier(random_state=0, early_stopping=False), ()),
        "HistGradientBoostingRegressor 100, numbers": (HistGradientBoostingRegressor(early_stopping=False), ()),
        "GradientBoosting 100, texts": (GradientBoostingClassifier(random_state=0), texts),
        "GradientBoosting 100, numbers": (GradientBoostingClassifier(random_state=0), ()),
        "GradientBoostingRegressor 100, numbers": (GradientBoostingRegressor(random_state=0), ()),
    }


def trees(folder: Path, rounds: int, say: Callable[[str], None]) -> Json:
    """By model: us a row of a core on both roads, the ratio (above 1 ours is faster), and the largest difference."""
    table = score_data.known_flights()
    rng = np.random.default_rng(1)
    train = table.take(pyarrow.array(rng.integers(0, table.num_rows, TRAINED)))
    rows = table.take(pyarrow.array(rng.integers(0, table.num_rows, SCORED))).combine_chunks()
    for place, name in enumerate(rows.column_names):
        if name in score_data.TEXTS:
            rows = rows.set_column(place, name, rows[name].dictionary_encode())
    found: Json = {}
    for name, (model, texts) in models().items():
        found[name] = _measured(folder, model, texts, train, rows, rounds)
        line = found[name]
        say(f"{name:<46}{line['us_a_row']['scikit-learn']:>9}{line['us_a_row']['mlpack']:>9}{line['ratio']:>7}")
    return found


def _measured(folder: Path, model: Any, texts: tuple[str, ...], train: Any, rows: Any, rounds: int) -> Json:
    from mlpack_edge.batch.plan import ModelFile
    from mlpack_edge.batch.scoring.scorer import Scorer

    columns = [*score_data.NUMBERS, *texts]
    fitted = _pipeline(model, texts).fit(train.select(columns).to_pandas(), _target(model, train))
    path = _converted(folder, fitted)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    batch = rows.select(columns).to_batches()[0]
    scorer = Scorer(ModelFile(str(path), "onnx", digest), batch.schema)
    everything = np.ones(batch.num_rows, bool)
    frame = rows.select(columns).to_pandas().astype(dict.fromkeys(texts, "str"))
    call = fitted.predict_proba if hasattr(fitted, "predict_proba") else fitted.predict
    roads: dict[str, Callable[[], Any]] = {
        "scikit-learn": lambda: call(frame),
        "mlpack": lambda: (scorer.check(batch), scorer.score(batch, everything)),
    }
    best = dict.fromkeys(roads, float("inf"))
    for number in range(rounds + 1):  # the first is a rehearsal
        for road, run in roads.items():
            begin = time.process_time()
            run()
            if number:
                best[road] = min(best[road], time.process_time() - begin)
    return {
        "us_a_row": {road: round(spent / batch.num_rows * 1e6, 3) for road, spent in best.items()},
        "ratio": round(best["scikit-learn"] / best["mlpack"], 2),
        "largest_difference": _difference(call(frame), scorer.score(batch, everything)),
    }


def _difference(theirs: Any, ours: dict[str, Any]) -> float:
    column = ours.get("probabilities", next(iter(ours.values())))
    flat = column.flatten() if pyarrow.types.is_fixed_size_list(column.type) else column
    return float(np.abs(flat.to_numpy().reshape(np.shape(theirs)) - theirs).max())


def _pipeline(model: Any, texts: tuple[str, ...]) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    steps = [("passthrough", list(score_data.NUMBERS)), *([(codes, list(texts))] if texts else [])]
    return make_pipeline(make_column_transformer(*steps), model)


def _target(model: Any, train: Any) -> Any:
    delay = train["arr_delay"].to_numpy().astype(np.float64)
    return (delay > 15).astype(np.int64) if hasattr(type(model), "predict_proba") else delay


def _converted(folder: Path, fitted: Any) -> Path:
    import joblib

    folder.mkdir(parents=True, exist_ok=True)
    source, path = folder / "tree.joblib", folder / "tree.onnx"
    joblib.dump(fitted, source)
    line = [*score_data.mlpack(), "convert", str(source), "--trust-pickle", "-o", str(path), "--force"]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path
