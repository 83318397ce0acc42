"""Figures of classifiers against scikit-learn's on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpack_edge.batch.evaluation.database import database
from mlpack_edge.batch.evaluation.ranking import ranked_areas
from tests.batch.evaluation.scored import judged, metric, model, signature, table


def _scored(features: Any, truth: Any) -> Any:
    """Probabilities of rows that the model has not seen."""
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.001, max_iter=200))
    return cross_val_predict(pipeline, features, truth, cv=3, method="predict_proba").astype(np.float32)


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Scores and labels of 569 tumours, joined on an id, labels in another order."""
    folder = tmp_path_factory.mktemp("cancer")
    data = load_breast_cancer()
    truth = np.asarray(data.target_names)[data.target]
    probabilities = _scored(data.data, truth)
    classes = tuple(str(name) for name in sorted(data.target_names))
    label = np.asarray(classes)[probabilities.argmax(axis=1)]
    ids, size = np.arange(len(truth)), np.where(data.data[:, 0] > 14, "large", "small")
    order = np.random.default_rng(1).permutation(len(truth))
    days = np.datetime64("2013-01-01", "us") + np.arange(len(truth)) * np.timedelta64(6, "h")
    return {
        "scores": table(folder / "scores.parquet", {"id": ids, "when": days, "size": size, "label": label, "probabilities": probabilities}),
        "labels": table(folder / "labels.parquet", {"id": ids[order], "diagnosis": truth[order]}),
        "model": model(folder / "model.onnx", signature("string", 2, classes)),
        "label": "diagnosis", "on": ["id"],
        "known": (truth, label, probabilities, size, classes),
    }  # fmt: skip


def _request(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "known"} | more


def test_two_classes_agree_with_scikit_learn(cancer: dict[str, Any]) -> None:
    truth, label, probabilities, _, _ = cancer["known"]
    report = judged(**_request(cancer))
    assert (report["rows"], report["labelled"], report["positive"]) == (569, 569, "malignant")
    positive = truth == "malignant"
    expected = {
        "accuracy": accuracy_score(truth, label),
        "precision": precision_score(truth, label, pos_label="malignant"),
        "recall": recall_score(truth, label, pos_label="malignant"),
        "f1": f1_score(truth, label, pos_label="malignant"),
        "auc": roc_auc_score(positive, probabilities[:, 1]),
    }
    assert {one["name"]: one["value"] for one in report["metrics"]} == pytest.approx(expected, abs=1e-12)
    for one in report["metrics"]:
        assert one["ci95"][0] < one["value"] < one["ci95"][1], one


def test_the_positive_class_can_be_named(cancer: dict[str, Any]) -> None:
    truth, label, probabilities, _, _ = cancer["known"]
    report = judged(**_request(cancer, positive="benign"))
    assert metric(report["metrics"], "f1")["value"] == pytest.approx(f1_score(truth, label, pos_label="benign"))
    expected = roc_auc_score(truth == "benign", probabilities[:, 0])
    assert metric(report["metrics"], "auc")["value"] == pytest.approx(expected)


def test_segments_and_days_are_the_same_figures_over_their_rows(cancer: dict[str, Any]) -> None:
    truth, label, probabilities, size, _ = cancer["known"]
    report = judged(**_request(cancer, by="when", segments=["size"], min_rows=4))
    assert [item["value"] for item in report["segments"]] == ["large", "small"]
    for item in report["segments"]:
        mine = size == item["value"]
        assert item["labelled"] == mine.sum()
        assert metric(item["metrics"], "accuracy")["value"] == pytest.approx(accuracy_score(truth[mine], label[mine]))
        area = roc_auc_score(truth[mine] == "malignant", probabilities[mine, 1])
        assert metric(item["metrics"], "auc")["value"] == pytest.approx(area, abs=1e-12)
    assert [item["value"] for item in report["by"][:2]] == ["2013-01-01", "2013-01-02"]
    assert len(report["by"]) == 143 and report["by"][-1]["labelled"] == 1
    assert report["by"][-1]["metrics"] == [] and "1 labelled rows" in report["by"][-1]["reason"]


def test_too_few_rows_give_no_figure(cancer: dict[str, Any]) -> None:
    report = judged(**_request(cancer, min_rows=600))
    assert report["metrics"] == [] and "569" in report["reason"]


def test_many_classes_agree_with_scikit_learn(tmp_path: Path) -> None:
    data = load_digits()
    probabilities = _scored(data.data, data.target)
    label = probabilities.argmax(axis=1).astype(np.int64)
    scores = table(tmp_path / "s.parquet", {"id": np.arange(len(label)), "label": label, "probabilities": probabilities, "truth": data.target})  # fmt: skip
    report = judged(scores=scores, label="truth", model=model(tmp_path / "m.onnx", signature("int64", 10, range(10))))
    found = {one["name"]: one for one in report["metrics"]}
    assert (found["f1"]["average"], found["auc"]["average"]) == ("macro", "macro")
    expected = {
        "accuracy": accuracy_score(data.target, label),
        "f1": f1_score(data.target, label, average="macro"),
        "auc": np.mean([roc_auc_score(data.target == k, probabilities[:, k]) for k in range(10)]),
    }
    assert {name: one["value"] for name, one in found.items()} == pytest.approx(expected, abs=1e-12)
    assert all(one["ci95"][0] < one["value"] < one["ci95"][1] for one in found.values())
    single = judged(scores=scores, label="truth", model=str(tmp_path / "m.onnx"), positive="8")
    assert metric(single["metrics"], "auc")["value"] == pytest.approx(
        roc_auc_score(data.target == 8, probabilities[:, 8])
    )


def test_the_largest_probability_is_the_answer_of_a_net_without_labels(tmp_path: Path) -> None:
    data = load_digits()
    probabilities = _scored(data.data, data.target)
    scores = table(tmp_path / "s.parquet", {"probabilities": probabilities, "truth": data.target})
    report = judged(scores=scores, label="truth", model=model(tmp_path / "m.onnx", signature("", 10)))
    assert metric(report["metrics"], "accuracy")["value"] == pytest.approx(
        accuracy_score(data.target, probabilities.argmax(axis=1))
    )


def _delong(ranks: Any, positive: Any) -> tuple[float, float]:
    """Area and variance from all pairs, as DeLong, DeLong and Clarke-Pearson (1988) write them."""
    up, down = ranks[positive], ranks[~positive]
    wins = (up[:, None] > down[None, :]) + 0.5 * (up[:, None] == down[None, :])
    first, second = wins.mean(axis=1), wins.mean(axis=0)
    return float(wins.mean()), float(first.var(ddof=1) / len(up) + second.var(ddof=1) / len(down))


@pytest.fixture(scope="module")
def connection() -> Any:
    with database() as opened:
        yield opened


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9])), min_size=4))
def test_areas_with_ties_are_delongs_in_every_group(connection: Any, rows: list[tuple[int, bool, float]]) -> None:
    connection.execute("CREATE OR REPLACE TABLE rows (g INTEGER, truth BOOLEAN, s FLOAT)")
    connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows)
    found = ranked_areas(connection, "g", "s", "truth", "true")
    for group in {row[0] for row in rows}:
        ranks = np.array([row[2] for row in rows if row[0] == group])
        truth = np.array([row[1] for row in rows if row[0] == group])
        area = found[group]
        if truth.all() or not truth.any():
            assert area.value is None
            continue
        assert area.value == pytest.approx(roc_auc_score(truth, ranks), abs=1e-12)
        if min(truth.sum(), (~truth).sum()) > 1:
            assert (area.value, area.variance) == pytest.approx(_delong(ranks, truth), abs=1e-12)


def test_the_area_interval_holds_the_truth(connection: Any) -> None:
    """300 samples of 60 rows; with normal ranks 1.5 sd apart the area is Phi(1.5 / sqrt 2)."""
    from scipy import stats

    from mlpack_edge.batch.evaluation.ranking import area_metric

    generator = np.random.default_rng(8)
    groups, truth = np.repeat(np.arange(300), 60), np.tile(np.arange(60) < 25, 300)
    ranks = generator.normal(size=18_000) + 1.5 * truth
    import pyarrow

    given_rows = pyarrow.table({"g": groups, "truth": truth, "s": ranks})
    connection.register("given_rows", given_rows)
    connection.execute("CREATE OR REPLACE TABLE rows AS SELECT * FROM given_rows")
    areas = ranked_areas(connection, "g", "s", "truth", "true")
    expected = stats.norm.cdf(1.5 / np.sqrt(2))
    limits = [area_metric(area, 60).interval for area in areas.values()]
    held = np.mean([limit is not None and limit[0] <= expected <= limit[1] for limit in limits])
    assert 0.92 <= held <= 0.985


def test_a_perfect_ranking_has_a_value_and_says_why_it_has_no_interval(tmp_path: Path) -> None:
    label = np.repeat([0, 1], 50)
    probabilities = np.stack([1 - label * 0.8, label * 0.8], axis=1).astype(np.float32)
    scores = table(tmp_path / "s.parquet", {"label": label, "probabilities": probabilities, "truth": label})
    report = judged(scores=scores, label="truth", model=model(tmp_path / "m.onnx", signature("int64", 2, (0, 1))))
    area = metric(report["metrics"], "auc")
    assert (area["value"], area["ci95"]) == (1.0, None) and "same side" in area["reason"]
    assert metric(report["metrics"], "accuracy")["ci95"] == pytest.approx([0.963, 1.0], abs=1e-3)
