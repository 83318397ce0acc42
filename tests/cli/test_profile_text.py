"""What `mlpack profile show` prints: a table for people, of which nothing is hidden and nothing fills the screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack_edge.cli.outcome import short
from mlpack_edge.cli.profile_text import profile_text
from mlpack_edge.profiles.document import profile_to_json
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Spec
from tests.cli.drift_made import plain_spec
from tests.profiles.drift.made import plain, profile_of, spec_of

LONG = "W" * 5000


def _text(spec: Spec, profile: Profile) -> str:
    return profile_text(profile_to_json(spec, profile))


def _rows(seed: int = 3) -> dict[str, Any]:
    return plain(np.random.default_rng(seed), 200)


def test_texts_where_numbers_belong_are_told_apart_from_what_is_missing() -> None:
    table = _rows()
    table["x"] = np.array(["12 km"] * 150 + [None] * 50, object)
    text = _text(plain_spec(), profile_of(plain_spec(), table))
    head = next(line for line in text.splitlines() if line.startswith("feature"))
    [line] = [line for line in text.splitlines() if line.startswith("x ")]
    assert "invalid" in head and "75.00 %" in line and "25.00 %" in line
    assert line.index("75.00 %") > line.index("25.00 %")


def test_a_profile_of_numbers_alone_has_no_column_for_what_is_none() -> None:
    assert "invalid" not in _text(plain_spec(), profile_of(plain_spec(), _rows()))


def test_a_category_of_five_thousand_letters_is_cut_in_the_table_and_whole_in_the_document() -> None:
    table = _rows()
    table["kind"] = np.array([LONG] * 200, object)
    spec = spec_of(table, np.repeat(np.arange(2), 100))
    document = profile_to_json(spec, profile_of(spec, table))
    text = profile_text(document)
    assert LONG in document["features"]["kind"]["categories"]
    assert f"{'W' * 39}… (100.00 %)" in text and max(map(len, text.splitlines())) < 140


def test_a_feature_of_a_long_name_is_cut_too() -> None:
    table = _rows() | {LONG: np.arange(200.0)}
    spec = spec_of(table, np.repeat(np.arange(2), 100))
    text = _text(spec, profile_of(spec, table))
    assert max(map(len, text.splitlines())) < 140 and "W" * 39 + "…" in text


def test_forty_letters_are_no_long_name() -> None:
    assert (short("n" * 40), short("n" * 41)) == ("n" * 40, "n" * 39 + "…")
