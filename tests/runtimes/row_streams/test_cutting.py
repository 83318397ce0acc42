"""Which inputs have a part for each row, and which batch is fixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.row_streams.cutting import by_row, check_shapes, fixed_batch


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


def test_a_state_for_each_row_is_told_to_go_whole_and_once() -> None:
    """With --shape h=2x1x32 and rows of [200, 32] the natural thing to store is a state for each of them."""
    signature = Signature((TensorSpec("h", "float32", (2, 1, 32)), TensorSpec("x", "float32", (1, 5))), ())
    cut, _ = by_row(signature)
    feeds = {"h": np.zeros((2, 200, 32), np.float32), "x": np.zeros((200, 5), np.float32)}
    with pytest.raises(BadInput, match=r"'h' has the shape \[2, 200, 32\]") as refused:
        check_shapes(feeds, signature, cut, "rows.npz")
    assert "goes whole with every batch" in refused.value.hint and "once" in refused.value.hint
    with pytest.raises(BadInput) as refused:
        check_shapes({"h": feeds["h"][:, :1], "x": feeds["h"][0]}, signature, cut, "rows.npz")
    assert refused.value.hint == "give an array of that shape"
