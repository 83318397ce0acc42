"""What a target is fed of a file's rows, and what its answers become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpack_edge.converters import machine_jobs
from mlpack_edge.converters.machine_files import in_batches, joined, machine_file
from mlpack_edge.converters.machine_jobs import make_rows
from mlpack_edge.runtimes.array_sets import load_sets
from mlpack_edge.runtimes.litert.source_terms import TfliteModel
from mlpack_edge.runtimes.parity import RowsRefused
from tests.runtimes.tflite_models import mlp, requantized

Array = NDArray[Any]


def _payload(path: Path, **more: Any) -> dict[str, Any]:
    return {"names": [str(path)], "file": 0, "rows": 30, "folder": str(path.parent), **more}


def test_batches_cut_and_join_to_the_same_rows() -> None:
    rows = {"x": np.arange(12).reshape(6, 2)}
    pieces = in_batches(rows, 3)
    assert [piece["x"].tolist() for piece in pieces] == [rows["x"][:3].tolist(), rows["x"][3:].tolist()]
    assert joined(list(pieces))["x"].tolist() == rows["x"].tolist()
    with pytest.raises(RowsRefused, match="batches of 4 rows"):
        in_batches(rows, 4)
    with pytest.raises(RowsRefused):
        joined([{"y": np.array(1.0)}, {"y": np.array(2.0)}])


def test_codes_are_told_from_numbers(tmp_path: Path) -> None:
    for name, model, codes in (("q", requantized(), True), ("m", mlp(), False)):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(model)
        assert machine_file(path, TfliteModel(path)).is_quantized is codes


def test_a_tflite_file_is_fed_its_own_tensors_and_read_in_its_own_terms(tmp_path: Path) -> None:
    path = tmp_path / "q.tflite"
    path.write_bytes(requantized(scale=0.5, zero_point=3))
    file = machine_file(path, TfliteModel(path))
    (spec,) = file.signature.inputs
    shape = [2, *(size for size in spec.shape[1:] if isinstance(size, int))]
    rows = {spec.name: np.full(shape, 1.5, np.float32)}
    (fed,) = file.tensors_from_feeds(rows).values()
    assert fed.dtype == np.int8 and set(fed.ravel().tolist()) == {6}, "1.5 / 0.5 + 3"
    made = file.answers_from_outputs({"0": np.zeros(shape, np.int8)})
    (name,) = made.tensors
    assert made.tensors[name].dtype == np.int8 and made.answers[name].dtype == np.float32
    assert made.answers.keys() == file.run(rows).keys()


def test_rows_are_written_in_chunks_whole_batches_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "three.tflite"
    path.write_bytes(mlp(3))
    whole = make_rows(_payload(path), lambda stage: None)
    (chunk,) = whole["chunks"]
    before = [one["0"] for one in load_sets(tmp_path / "feeds-0.npz", chunk["feeds"])]
    monkeypatch.setattr(machine_jobs, "MOST_BYTES", 100)
    cut = make_rows(_payload(path), lambda stage: None)
    assert len(cut["chunks"]) > 2 and cut["rows"] == whole["rows"] and cut["batch"] == 3
    after = [
        one["0"]
        for number, part in enumerate(cut["chunks"])
        for one in load_sets(tmp_path / f"feeds-{number}.npz", part["feeds"])
    ]
    assert np.array_equal(np.concatenate(before), np.concatenate(after))
    assert {len(array) for array in after} == {3}


def test_the_same_file_gives_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(mlp())
    first = make_rows(_payload(path), lambda stage: None)
    stored = (tmp_path / "feeds-0.npz").read_bytes()
    assert make_rows(_payload(path), lambda stage: None) == first
    assert (tmp_path / "feeds-0.npz").read_bytes() == stored
    assert first["family"] == "lowered" and not first["is_quantized"]
