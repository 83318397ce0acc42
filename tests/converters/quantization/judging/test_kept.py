"""Answers come back as they were, whether they stayed in memory or went to a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.converters.quantization.judging.kept import Kept
from mlpack_edge.core.errors import IoFault

BATCHES = [
    {
        "scores": np.arange(6, dtype=np.float32).reshape(2, 3) + at,
        "label": np.array(["a", "größer"], object),
        "count": np.int64(at),
        "none": np.zeros((0, 4), np.float16),
    }
    for at in range(5)
]


@pytest.mark.parametrize("memory", [0, 150, 1 << 20])
def test_batches_come_back_in_order_any_number_of_times(memory: int, tmp_path: Path) -> None:
    kept = Kept(memory, tmp_path)
    for batch in BATCHES:
        kept.append({name: np.asarray(array) for name, array in batch.items()})
    assert kept.spilled == (memory < 1 << 20)
    assert len(kept) == 5
    for _ in range(2):
        for made, batch in zip(kept, BATCHES, strict=True):
            assert list(made) == list(batch)
            assert all(np.array_equal(made[name], np.asarray(batch[name])) for name in batch)
            assert made["scores"].dtype == np.float32
            assert made["none"].shape == (0, 4)
    kept.close()
    assert list(tmp_path.iterdir()) == []


def test_what_comes_after_the_first_batch_in_the_file_goes_there_too(tmp_path: Path) -> None:
    kept = Kept(100, tmp_path)
    for size in (4, 50, 4):  # 32, 400 and 32 bytes: the last one would fit beside the first
        kept.append({"y": np.full(size, size, np.float64)})
    assert [isinstance(batch["y"], np.ndarray) for batch in kept._batches] == [True, False, False]
    assert [len(batch["y"]) for batch in kept] == [4, 50, 4]
    kept.close()


def test_two_readings_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    kept = Kept(0, tmp_path)
    for batch in BATCHES:
        kept.append({"scores": batch["scores"]})
    for one, other in zip(kept, reversed(list(kept)), strict=True):
        assert one["scores"][0, 0] + other["scores"][0, 0] == 4
    kept.close()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    kept = Kept(0, tmp_path / "gone")
    with pytest.raises(IoFault, match="answers could not be kept"):
        kept.append({"y": np.zeros(3)})
