"""Rows that calibrate are not those that judge, and rows that time a call are some of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpack_edge.converters.quantization.judged_rows import MadeRows, rows_for
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.rows import Hints

NET = Signature((TensorSpec("x", "float32", ("batch", 3)),), (TensorSpec("y", "float32", ("batch", 1)),))


def _payload(**given: Any) -> dict[str, Any]:
    return {"data": None, "evaluation": None, "label": None, **given}


def _seen(stream: Any) -> np.ndarray:
    return np.concatenate([batch.feeds["x"][:, 0] for batch in stream.batches(7)])


def test_every_fifth_row_judges_and_the_others_calibrate(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.arange(69, dtype=np.float32).reshape(23, 3))
    rows = rows_for(_payload(data=str(tmp_path / "rows.npy")), NET, NET, Hints())
    assert rows.calibration is not None
    assert _seen(rows.judged).tolist() == [12.0, 27.0, 42.0, 57.0]
    both = sorted([*_seen(rows.calibration), *_seen(rows.judged)])
    assert both == [3.0 * row for row in range(23)]


def test_rows_of_their_own_judge_and_all_of_data_calibrates(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((10, 3), np.float32))
    np.savez(tmp_path / "judged.npz", x=np.ones((4, 3), np.float32), truth=np.arange(4))
    payload = _payload(data=str(tmp_path / "rows.npy"), evaluation=str(tmp_path / "judged.npz"), label="truth")
    rows = rows_for(payload, NET, NET, Hints())
    assert rows.calibration is not None and _seen(rows.calibration).tolist() == [0.0] * 10
    batches = list(rows.judged.batches(3))
    assert np.concatenate([batch.labels for batch in batches if batch.labels is not None]).tolist() == [0, 1, 2, 3]


def test_the_truth_in_data_is_no_input_of_the_calibration(tmp_path: Path) -> None:
    np.savez(tmp_path / "both.npz", x=np.ones((10, 3), np.float32), truth=np.arange(10))
    both = str(tmp_path / "both.npz")
    rows = rows_for(_payload(data=both, evaluation=both, label="truth"), NET, NET, Hints())
    assert rows.calibration is not None
    assert set(next(iter(rows.calibration.batches(5))).feeds) == {"x"}


def test_too_few_rows_to_keep_one_apart_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((4, 3), np.float32))
    with pytest.raises(BadInput):
        rows_for(_payload(data=str(tmp_path / "rows.npy")), NET, NET, Hints())


@pytest.mark.parametrize(
    ("rows", "said"), [(1, "1 row judges: a row is 100 % of them"), (3, "3 rows judge: a row is 33.3 %")]
)
def test_few_rows_that_judge_are_said_with_what_one_weighs(tmp_path: Path, rows: int, said: str) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((10, 3), np.float32))
    np.save(tmp_path / "judged.npy", np.zeros((rows, 3), np.float32))
    payload = _payload(data=str(tmp_path / "rows.npy"), evaluation=str(tmp_path / "judged.npy"))
    (warning,) = rows_for(payload, NET, NET, Hints()).warnings
    assert warning.startswith(said)


def test_made_rows_are_the_same_each_time_and_ordinary() -> None:
    rows = MadeRows(NET, Hints())
    first, second = _seen(rows), _seen(rows)
    assert len(first) == rows.rows >= 1000 and np.array_equal(first, second)
    assert np.abs(first).max() < 1e3
    starts = [batch.start for batch in rows.batches(7)]
    assert starts == sorted(set(starts)) and starts[0] == 0


def test_a_sample_holds_rows_that_judge_and_texts_as_such(tmp_path: Path) -> None:
    """An input may be called as numpy.savez calls its own argument."""
    signature = Signature(
        (TensorSpec("file", "string", ("batch", 1)), TensorSpec("x", "float32", ("batch", "time", 2))), ()
    )
    rows = rows_for(_payload(), signature, signature, Hints())
    told = rows.sample(tmp_path / "sample.npz", signature)
    first = next(iter(rows.judged.batches(16))).feeds
    with np.load(told["path"]) as held:
        assert set(held) == {"file", "x"}
        assert held["file"].dtype.kind == "U" and held["file"].tolist() == first["file"].tolist()
        assert np.array_equal(held["x"], first["x"])
    assert told["shapes"] == {"x": ["batch", first["x"].shape[1], 2]}


@pytest.mark.parametrize(("count", "own"), [(40, False), (40, True), (1000, False), (200, True)])
def test_few_judging_rows_say_what_one_of_them_decides(tmp_path: Path, count: int, own: bool) -> None:
    """Of 40 rows a fifth judges, 8; --eval judges by all of its."""
    np.save(tmp_path / "rows.npy", np.zeros((count, 3), np.float32))
    path = str(tmp_path / "rows.npy")
    rows = rows_for(_payload(data=path, evaluation=path if own else None), NET, NET, Hints())
    told = [text for text in rows.warnings if "judge" in text]
    if count == 40:
        assert len(told) == 1 and ("2.5 %" if own else "12.5 %") in told[0] and "--eval" in told[0]
    else:
        assert told == []
