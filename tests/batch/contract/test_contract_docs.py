"""The reference of contracts names each key, and its example is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlpack_edge.batch.contract.contract import contract_from_text
from mlpack_edge.batch.contract.keys import COLUMN, FRESHNESS, ROWS, SCORE, TOP

PAGE = (Path(__file__).parents[3] / "docs/reference/contract.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("title", "keys"),
    [
        ("## Top", {"schema", *TOP}), ("## `[rows]`", set(ROWS)), ("## `[freshness]`", set(FRESHNESS)),
        ("## `[columns.NAME]`", set(COLUMN)), ("## `[scores.NAME]`", set(SCORE)),
    ],
)  # fmt: skip
def test_the_reference_lists_the_keys_of_each_table(title: str, keys: set[str]) -> None:
    section = PAGE.split(title, 1)[1].split("\n## ", 1)[0]
    named = {key for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert keys <= named
    assert named - keys <= {"text", "number", "whole", "bool", "date"}


def test_the_example_is_a_contract() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    contract = contract_from_text(text, "contract.md")
    assert [rules.name for rules in contract.rules] == ["carrier", "dep delay"]
