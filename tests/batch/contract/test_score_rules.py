"""Rules of scores: ranges, shares of labels, a model that answers every row the same."""

from __future__ import annotations

import math
from typing import Any

import pyarrow
import pytest

from mlpack_edge.batch.contract.schema import check_schema
from mlpack_edge.core.errors import BadInput
from tests.batch.contract.gathering import (
    contract,
    gathered,
    reasons,
    score_reasons,
)


def test_scores_outside_of_their_range_are_found() -> None:
    array = pyarrow.array([0.5, 1.5, -0.25], pyarrow.float32())
    assert score_reasons("min = 0\nmax = 1", array) == [
        "score 's', min: the least is -0.25; allowed is 0 and above",
        "score 's', max: the largest is 1.5; allowed is 1 and below",
    ]
    assert score_reasons("max = 0.1", pyarrow.array([0.1], pyarrow.float32())) == []
    assert score_reasons("max = 1e300", pyarrow.array([math.inf, 1.0])) == [
        "score 's', max: the largest is inf; allowed is 1e+300 and below"
    ]
    assert score_reasons("min = 0", pyarrow.array([math.nan, 1.0])) == [
        "score 's', finite: 1 of 2 numbers (50%) are NaN"
    ]


def test_scores_that_are_all_the_same_are_found() -> None:
    pairs = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array([0.25, 0.75] * 20), 2)
    assert score_reasons("constant = false", pairs) == ["score 's', constant: all 20 rows have the score 0.25, 0.75"]
    assert score_reasons("constant = false", pairs.slice(1)) == []
    assert score_reasons("constant = false", pyarrow.array(["late"] * 20)) == [
        "score 's', constant: all 20 rows have the label 'late'"
    ]
    assert score_reasons('max_zero_share = "50%"', pyarrow.array([0.0, -0.0, 1.0])) == [
        "score 's', max_zero_share: 2 of 3 numbers (66.67%) are zero; allowed are 50%"
    ]


@pytest.mark.parametrize(
    "labels",
    [pyarrow.array([0] * 3 + [1] * 7), pyarrow.array([0.0] * 3 + [1.0] * 7), pyarrow.array(["0"] * 3 + ["1"] * 7).dictionary_encode()],
)  # fmt: skip
def test_the_share_of_each_label_has_bounds(labels: Any) -> None:
    assert score_reasons('shares = { "0" = ["30%", "30%"], "1" = ["0%", "70%"] }', labels) == []
    assert score_reasons('shares = { "0" = ["31%", "90%"], "2" = ["1%", "2%"] }', labels) == [
        "score 's', shares: 3 of 10 rows (30%) have the label '0'; allowed are 31% to 90%",
        "score 's', shares: 0 of 10 rows (0%) have the label '2'; allowed are 1% to 2%",
    ]
    assert len(score_reasons('shares = { "1" = ["1%", "69.9%"] }', labels)) == 1


def test_scores_of_rejected_rows_do_not_count() -> None:
    text = "[scores.s]\nmin = 0"
    batch = pyarrow.record_batch({"x": pyarrow.nulls(3)})
    state = gathered(text, [batch], [{"s": pyarrow.array([None, 1.0, -1.0])}], [[False, True, False]])
    assert state["scores"]["s"]["rows"] == 1
    assert reasons(text, state) == []


def test_an_output_that_no_model_gives_is_refused_by_name() -> None:
    outputs = [
        pyarrow.field("label", pyarrow.int64()),
        pyarrow.field("probabilities", pyarrow.list_(pyarrow.float32(), 2)),
    ]
    schema = pyarrow.schema([])
    check_schema(contract("[scores.label]\nmin = 0\n[scores.probabilities]\nmax = 1"), schema, outputs)
    with pytest.raises(BadInput, match="no output of this name") as caught:
        check_schema(contract("[scores.probability]\nmin = 0"), schema, outputs)
    assert "probabilities" in caught.value.hint
    with pytest.raises(BadInput, match="the output is a vector"):
        check_schema(contract('[scores.probabilities]\nshares = { a = ["0%", "1%"] }'), schema, outputs)


def test_a_score_that_is_null_is_no_zero() -> None:
    text = '[scores.s]\nmax_zero_share = "0%"'
    state = gathered(text, [pyarrow.record_batch({"x": pyarrow.nulls(2)})], [{"s": pyarrow.array([None, 1.0])}])
    assert (state["scores"]["s"]["rows"], state["scores"]["s"]["zeros"]) == (1, 0)
