"""Refusals of models that leave sizes open name the --shape options that fix them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.converters.quantization.judged_rows import MadeRows
from mlpack_edge.converters.quantization.open_sizes import naming_sizes, shape_options
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.data import Table
from mlpack_edge.runtimes.rows import Hints

#: A detector of speech: pieces of sound, and the state between them, [layers, batch, units].
SPEECH = Signature(
    (
        TensorSpec("input", "float32", ("batch", "sequence")),
        TensorSpec("state", "float32", (2, "batch", 128)),
        TensorSpec("sr", "int64", ()),
    ),
    (TensorSpec("output", "float32", ("batch", 1)),),
)


def test_the_options_have_the_inputs_names_and_the_sizes_of_the_rows() -> None:
    rows = Table(
        Path("rows.npz"), {}, {"input": np.zeros((300, 576), np.float32), "state": np.zeros((2, 300, 128), np.float32)}
    )
    assert shape_options(SPEECH, rows) == "--shape input=1x576 --shape state=2x1x128"


def test_without_rows_the_sizes_are_usual_ones_of_one_call() -> None:
    assert shape_options(SPEECH, None) == "--shape input=1x512 --shape state=2x1x128"
    image = Signature((TensorSpec("x", "float32", ("n", 3, "h", "w")),), ())
    assert shape_options(image, None) == "--shape x=1x3x224x224"
    unnamed = Signature((SPEECH.inputs[0], TensorSpec("state", "float32", (2, "state_1", 128))), ())
    assert shape_options(unnamed, None).endswith("--shape state=2x1x128")


def test_one_array_without_a_name_is_that_of_the_one_input() -> None:
    image = Signature((TensorSpec("x", "float32", ("n", 3, "h", "w")),), ())
    rows = Table(Path("rows.npy"), {}, {"": np.zeros((20, 3, 48, 320), np.float32)})
    assert shape_options(image, rows) == "--shape x=1x3x48x320"


def test_a_model_whose_sizes_are_all_known_has_none_to_fix() -> None:
    assert shape_options(Signature((TensorSpec("x", "float32", (1, 30)),), ()), None) == ""


@pytest.mark.parametrize(
    ("hint", "why", "named"),
    [
        ("fix the sizes with --shape", "", True),
        ("mlpack convert --list-supported", "its condition is known only when the model runs", True),
        ("mlpack convert --list-supported", "LiteRT has no such kernel", False),
    ],
)
def test_only_refusals_that_may_hang_on_sizes_name_them(hint: str, why: str, named: bool) -> None:
    with pytest.raises(Unsupported) as refusal, naming_sizes(SPEECH, None):
        raise Unsupported("operator If cannot be lowered to TFLite", hint, why=why)
    assert ("--shape input=1x512 --shape state=2x1x128" in refusal.value.hint) == named
    assert refusal.value.hint.startswith(hint)


def test_made_rows_give_a_state_whole_with_every_row() -> None:
    """Its first size is of layers: to cut it by rows would change what it is."""
    rows = MadeRows(SPEECH, Hints(), 50)
    batches = list(rows.batches(1000))
    assert sum(len(batch.feeds["input"]) for batch in batches) == rows.rows >= 50
    for batch in batches:
        assert batch.feeds["state"].shape == (2, len(batch.feeds["input"]), 128)
