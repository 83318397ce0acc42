"""LightGBM's text format as plain sections: the header, and one dictionary a tree.

Mirrors `src/boosting/gbdt_model_text.cpp` and `src/io/tree.cpp` of LightGBM 4. Numbers stay text, so that the reader
decides how to read them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mlpack_edge.core.errors import BadInput

_PANDAS = "pandas_categorical:"


@dataclass(frozen=True, slots=True)
class LightgbmText:
    """header: `key=value` lines before the trees; a line without `=` has the value "". trees: the same, each."""

    header: dict[str, str]
    trees: tuple[dict[str, str], ...]
    #: The values of data-frame categories, a list a category column, in column order.
    pandas_categorical: tuple[tuple[Any, ...], ...]


def read_lightgbm_text(text: str) -> LightgbmText:
    """Split a model text (what `Booster.model_to_string` gives); BadInput where it is none."""
    lines = text.splitlines()
    if not lines or lines[0].strip() not in ("tree", "dart", "goss", "rf"):
        raise BadInput("this is not a model text of LightGBM", "save it with booster.save_model('model.txt')")
    header: dict[str, str] = {}
    trees: list[dict[str, str]] = []
    into = header
    complete = False
    for line in lines[1:]:
        if line.startswith("end of trees"):
            complete = True
            break
        key, _, value = line.partition("=")
        if key == "Tree":
            into = {}
            trees.append(into)
        elif line.strip():
            into[key.strip()] = value
    if not complete:
        raise BadInput("the model text of LightGBM is cut off", "save it again with booster.save_model('model.txt')")
    return LightgbmText(header, tuple(trees), _pandas_categorical(lines))


def _pandas_categorical(lines: list[str]) -> tuple[tuple[Any, ...], ...]:
    for line in reversed(lines):
        if line.startswith(_PANDAS):
            try:
                lists = json.loads(line[len(_PANDAS) :])
            except json.JSONDecodeError as fault:
                raise BadInput(
                    "the categories in the LightGBM model are not JSON",
                    "save it again with booster.save_model('model.txt')", why=str(fault),
                ) from fault  # fmt: skip
            return tuple(tuple(values) for values in lists or ())
    return ()
