"""A champion and a challenger on the same labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from mlpack_edge.core.errors import BadInput
from tests.batch.evaluation.scored import judged, metric, model, signature, table

ROWS = 800


def _two_models(path: Path, classes: tuple[Any, ...] = ("no", "yes"), seed: int = 1) -> dict[str, Any]:
    """Two rankings of the same rows, the challenger's better."""
    generator = np.random.default_rng(seed)
    truth = generator.random(ROWS) < 0.4
    made: dict[str, Any] = {"truth": np.asarray(classes)[truth.astype(int)]}
    shared = generator.normal(size=ROWS)
    for prefix, noise in (("", 1.8), ("challenger_", 0.5)):
        margin = 1.6 * truth - 0.8 + 0.7 * shared + noise * generator.normal(size=ROWS)
        chance = np.round(1 / (1 + np.exp(-margin)), 2)  # ties
        made[prefix + "label"] = np.asarray(classes)[(chance > 0.5).astype(int)]
        made[prefix + "probabilities"] = np.stack([1 - chance, chance], axis=1).astype(np.float32)
    told = model(path / "m.onnx", signature("string" if isinstance(classes[0], str) else "int64", 2, classes))
    request = {"scores": table(path / "s.parquet", made), "label": "truth", "model": told, "challenger": told}
    return {"made": made, "positive": truth, "request": request}


def test_differences_are_of_the_same_rows(tmp_path: Path) -> None:
    two = _two_models(tmp_path)
    report = judged(**two["request"])
    made, apart = two["made"], report["challenger"]["differences"]
    right = [made[prefix + "label"] == made["truth"] for prefix in ("", "challenger_")]
    tested = report["challenger"]["mcnemar"]
    assert tested["only_champion_right"] == (right[0] & ~right[1]).sum()
    assert tested["only_challenger_right"] == (right[1] & ~right[0]).sum()
    assert tested["p_value"] < 0.05
    expected = {
        "accuracy": right[1].mean() - right[0].mean(),
        "f1": f1_score(made["truth"], made["challenger_label"], pos_label="yes") - f1_score(made["truth"], made["label"], pos_label="yes"),
        "auc": roc_auc_score(two["positive"], made["challenger_probabilities"][:, 1]) - roc_auc_score(two["positive"], made["probabilities"][:, 1]),
    }  # fmt: skip
    assert {one["name"]: one["value"] for one in apart} == pytest.approx(expected, abs=1e-12)
    assert all(one["ci95"][0] < one["value"] < one["ci95"][1] for one in apart)


def test_the_interval_of_two_areas_has_delongs_covariance(tmp_path: Path) -> None:
    two = _two_models(tmp_path)
    found = metric(judged(**two["request"])["challenger"]["differences"], "auc")
    parts = []
    for prefix in ("", "challenger_"):
        ranks = two["made"][prefix + "probabilities"][:, 1].astype(np.float64)
        up, down = ranks[two["positive"]], ranks[~two["positive"]]
        wins = (up[:, None] > down[None, :]) + 0.5 * (up[:, None] == down[None, :])
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    covariance = np.cov([part[0] for part in parts]) / len(parts[0][0]) + np.cov([part[1] for part in parts]) / len(parts[0][1])  # fmt: skip
    half = 1.959964 * np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found["ci95"] == pytest.approx([found["value"] - half, found["value"] + half], abs=1e-6)


def test_a_challenger_that_is_the_champion_differs_by_nothing(tmp_path: Path) -> None:
    two = _two_models(tmp_path)
    made = {name: values for name, values in two["made"].items() if not name.startswith("challenger_")}
    made |= {"challenger_" + name: made[name] for name in ("label", "probabilities")}
    report = judged(**{**two["request"], "scores": table(tmp_path / "same.parquet", made)})
    assert [one["value"] for one in report["challenger"]["differences"]] == [0, 0, 0]
    assert report["challenger"]["mcnemar"]["p_value"] == 1.0
    low, high = metric(report["challenger"]["differences"], "accuracy")["ci95"]
    assert low < 0 < high


def test_more_classes_are_compared_by_accuracy_and_macro_f1(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    truth = generator.integers(0, 3, ROWS)
    made: dict[str, Any] = {"truth": truth}
    for prefix, share in (("", 0.3), ("challenger_", 0.2)):
        made[prefix + "label"] = np.where(generator.random(ROWS) < share, generator.integers(0, 3, ROWS), truth)
    told = model(tmp_path / "m.onnx", signature("int64"))
    report = judged(scores=table(tmp_path / "s.parquet", made), label="truth", model=told, challenger=told)
    f1 = [f1_score(truth, made[prefix + "label"], average="macro") for prefix in ("", "challenger_")]
    found = metric(report["challenger"]["differences"], "f1")
    assert found["value"] == pytest.approx(f1[1] - f1[0]) and found["average"] == "macro"
    assert found["ci95"][0] < found["value"] < found["ci95"][1]
    assert [one["name"] for one in report["challenger"]["differences"]] == ["accuracy", "f1"]


def test_groups_are_told_of_both_models(tmp_path: Path) -> None:
    two = _two_models(tmp_path)
    made = two["made"] | {"half": np.arange(ROWS) % 2}
    report = judged(**{**two["request"], "scores": table(tmp_path / "h.parquet", made), "segments": ["half"]})
    for view, prefix in ((report, ""), (report["challenger"], "challenger_")):
        mine = made["half"] == 1
        assert metric(view["segments"][1]["metrics"], "accuracy")["value"] == pytest.approx(
            (made[prefix + "label"] == made["truth"])[mine].mean()
        )


def test_models_of_other_classes_are_not_compared(tmp_path: Path) -> None:
    two = _two_models(tmp_path)
    other = model(tmp_path / "other.onnx", signature("string", 2, ("never", "yes")))
    with pytest.raises(BadInput, match="different classes: no, yes and never, yes"):
        judged(**{**two["request"], "challenger": other})
