"""Many rows in little memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.runtimes.worker import Limits, run_isolated
from tests.batch.evaluation.scored import metric, model, signature, table

ROWS = 3_000_000


@pytest.mark.long
def test_millions_of_rows_are_judged_within_a_bound_that_they_do_not_fit_in(tmp_path: Path) -> None:
    """Three million different scores of two models and as many labels in another order, in 700 MB of private memory
    with 250 MB for DuckDB."""
    generator = np.random.default_rng(1)
    chance = generator.random(ROWS).astype(np.float32)
    other = np.clip(chance + 0.1 * generator.normal(size=ROWS), 0, 1).astype(np.float32)
    truth = (generator.random(ROWS) < chance).astype(np.int64)
    order = generator.permutation(ROWS)
    keys = np.arange(ROWS) * 7919
    columns = {"id": keys, "day": np.arange(ROWS) // 300_000}
    for prefix, ranks in (("", chance), ("challenger_", other)):
        columns[prefix + "label"] = (ranks > 0.5).astype(np.int64)
        columns[prefix + "probabilities"] = np.stack([1 - ranks, ranks], axis=1)
    told = model(tmp_path / "m.onnx", signature("int64", 2, (0, 1)))
    payload = {
        "scores": table(tmp_path / "s.parquet", columns), "label": "truth", "on": ["id"], "by": "day", "model": told,
        "labels": table(tmp_path / "l.parquet", {"id": keys[order], "truth": truth[order]}), "challenger": told,
        "memory": 250_000_000,
    }  # fmt: skip
    report = run_isolated(
        "mlpack_edge.batch.evaluation.evaluate:evaluate", payload, Limits(memory_bytes=700_000_000), subject="scores"
    )
    assert report["labelled"] == ROWS and len(report["by"]) == 10
    assert metric(report["metrics"], "accuracy")["value"] == ((chance > 0.5) == truth).mean()
    places = np.empty(ROWS)
    places[np.argsort(chance, kind="stable")] = np.arange(1, ROWS + 1)
    positives = int(truth.sum())
    area = (places[truth == 1].sum() - positives * (positives + 1) / 2) / positives / (ROWS - positives)
    assert metric(report["metrics"], "auc")["value"] == pytest.approx(area, abs=1e-6)  # few ties among float32
    low, high = metric(report["challenger"]["differences"], "auc")["ci95"]
    assert low < high < 0
