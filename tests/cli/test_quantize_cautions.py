"""Figures that are worth little are said to be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from mlpack_edge.cli.quantize_cautions import cautions, varies_little
from mlpack_edge.cli.quantize_request import QuantizeRequest
from mlpack_edge.cli.quantize_run import _nothing_fits
from mlpack_edge.converters.quantization.choosing import Budget, Choice, Latency, Tried, choose
from mlpack_edge.converters.quantization.values import Point, Quality, Recipe, SliceFacts


@dataclass
class _Asked:
    data: Path | None = Path("rows.npy")
    evaluation: Path | None = None
    max_drop: float = 0.01
    model: str = "net.onnx"
    scheme: str = "auto"
    verbose: bool = False


def _told(metric: str, before: float, drop: float, noise: float, max_drop: float = 0.01) -> list[str]:
    quality = Quality(metric, before, before - drop, drop, 100, None, (SliceFacts("y", 3, noise, 1),))
    choice: Choice = choose([Tried(Point("dynamic", Recipe("dynamic"), 10, quality))], Budget(max_drop), 100)
    return cautions(cast(QuantizeRequest, _Asked(max_drop=max_drop)), choice)


@pytest.mark.parametrize(("metric", "before"), [("r2", -0.3), ("auc", 0.41)])
def test_a_float_model_that_is_worse_than_chance_is_said_to_be(metric: str, before: float) -> None:
    (said,) = _told(metric, before, 0.0, 0.0)
    assert f"the float model itself has {metric} {before}" in said and "does better" in said
    assert _told(metric, 0.6, 0.0, 0.0) == []
    assert len(_told(metric, before, 0.5, 0.0)) == 1  # also where nothing was taken


def test_noise_that_the_labels_do_not_see_is_said() -> None:
    (said,) = _told("accuracy", 0.9, 0.0, 0.08)
    assert "8 % of what y[3] varies is noise" in said and "without --label" in said
    assert _told("accuracy", 0.9, 0.0, 0.008) == []
    assert _told("accuracy", 0.9, 0.005, 0.08) == []  # the metric moves: it tells enough
    assert _told("agreement", 1.0, 0.0, 0.0) == []


def test_rows_that_nobody_gave_are_said_first() -> None:
    (said,) = cautions(cast(QuantizeRequest, _Asked(data=None)), choose([], Budget(0.01), 100))
    assert "made from the signature" in said


@pytest.mark.parametrize(
    ("metric", "drop", "rows", "little"),
    [
        ("agreement", 104.0, 68, True),
        ("agreement", 0.3, 1, True),
        ("agreement", 0.3, 2, False),
        ("agreement", 0.0, 1, False),
        ("agreement", math.inf, 68, False),  # an output that is no number, on whatever rows
        ("rmse", 104.0, 68, False),
    ],
)
def test_where_nothing_fits_on_rows_that_say_little_the_hint_is_more_rows(
    metric: str, drop: float, rows: int, little: bool
) -> None:
    quality = Quality(metric, 1.0, 1.0 - drop, drop, rows, None, ())
    choice = choose([Tried(Point("dynamic", Recipe("dynamic"), 10, quality))], Budget(0.01), 100)
    if drop == 0:
        assert not varies_little(quality)
        return
    document: dict[str, Any] = {
        "size": {"before": 100}, "time_limit": {"seconds": 300.0, "ended": False, "not_tried": [], "unfinished": [], "not_measured": [], "not_sure": []}, "candidates": [],
        "output": None, "source": None, "float_ns": None, "layers": [], "kept_float": [], "scheme": None, "calibration": None,
        "recipe": None, "metric": None, "agreement": None, "parity": None,
    }  # fmt: skip
    hint = _nothing_fits(cast(QuantizeRequest, _Asked()), document, choice).hint
    assert hint.startswith("judge on more rows") == little and "--max-drop" in hint
    assert ("--eval DATA" in hint) == little


def test_where_time_ended_it_is_said_which_were_not_timed() -> None:
    quality = Quality("agreement", 1.0, 1.0, 0.001, 100, None, ())
    slow = Tried(Point("dynamic", Recipe("dynamic"), 10, quality), Latency(2.0, 2.0, (1.9, 2.1)))
    choice = choose([slow], Budget(0.01), 100)
    limit = {"seconds": 5.0, "ended": True, "calibrated": None}
    limit |= {"not_tried": [], "unfinished": [], "not_measured": ["fp16", "weights int8"], "not_sure": []}
    document: dict[str, Any] = {
        "size": {"before": 100}, "time_limit": limit, "candidates": [], "output": None, "source": None, "float_ns": None,
        "layers": [], "kept_float": [], "scheme": None, "calibration": None, "recipe": None, "metric": None,
        "agreement": None, "parity": None,
    }  # fmt: skip
    failed = _nothing_fits(cast(QuantizeRequest, _Asked()), document, choice)
    assert "that there was time to measure" in failed.message and failed.hint.startswith("give it more time")
    assert failed.why.endswith("speed not measured: fp16, weights int8")
