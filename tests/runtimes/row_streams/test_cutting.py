"""Which inputs have a part for each row, and which batch is fixed."""

from __future__ import annotations

from typing import Any

import pytest

from mlpack_edge.runtimes.row_streams.cutting import fixed_batch


@pytest.mark.parametrize(
    ("shapes", "batch"),
    [
        ([], None),
        ([("batch", 2)], None),
        ([(-1, 2)], None),
        ([(None, 2)], None),
        ([(0, 2)], None),
        ([(3, 2)], 3),
        ([(3, 2), (3,)], 3),
        ([(3, 2), (4, 2)], None),
        ([(3, 2), ()], None),
        ([(2, "batch", 4), ("batch", 2)], None),
    ],
)
def test_a_batch_is_fixed_where_all_inputs_agree_on_it(shapes: list[tuple[Any, ...]], batch: int | None) -> None:
    assert fixed_batch(shapes) == batch
