"""Spec files say the same after any journey, and nothing that cannot be true is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpack_edge.core.errors import BadInput, OutputExists
from mlpack_edge.profiles.spec import Numeric, Spec
from mlpack_edge.profiles.spec_file import (
    _canonical,
    _digest,
    digest,
    read_spec,
    spec_from_bytes,
    spec_text,
    write_spec,
)
from tests.profiles.reference.seventy import seventy


@pytest.fixture(scope="module")
def spec() -> Spec:
    return seventy(4000, 10, 4, 3)


def _changed(spec: Spec, change: Callable[[dict[str, Any]], Any], sign: bool = True) -> bytes:
    """The file of a spec after `change`, with the digest of what it says then."""
    record = json.loads(spec_text(spec))
    del record["digest"]
    change(record)
    if sign:
        record["digest"] = _digest(record).hex()
    else:
        record["digest"] = digest(spec).hex()
    return _canonical(record).encode()


def test_a_spec_is_read_as_it_was_written(spec: Spec, tmp_path: Path) -> None:
    path = tmp_path / "a.spec.json"
    write_spec(path, spec, force=False)
    assert read_spec(path) == spec
    assert digest(read_spec(path)) == digest(spec)
    with pytest.raises(OutputExists):
        write_spec(path, spec, force=False)


def test_equal_specs_give_equal_bytes_and_others_other_digests(spec: Spec) -> None:
    assert spec_text(spec) == spec_text(spec_from_bytes(spec_text(spec).encode()))
    assert digest(replace(spec, confidence=not spec.confidence)) != digest(spec)
    assert digest(replace(spec, lineage={"data": "other"})) != digest(spec)


def test_seventy_features_and_a_hundred_blocks_fit_in_sixty_kilobytes() -> None:
    made = seventy()
    assert len(made.features) == 70 and len(made.reference.blocks.rows) == 100
    assert sum(isinstance(feature, Numeric) for feature in made.features) == 50
    assert len(spec_text(made).encode()) < 60_000


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"{}", b'{"kind":"mlpack-profile"}', b"\xff\xfe", b"[" * 100_000, b'{"kind":NaN}'],
)
def test_what_is_no_spec_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput, match="the spec is no profile spec"):
        spec_from_bytes(raw)


def test_a_document_of_any_depth_is_refused() -> None:
    """Some can be read and not written again, by as little as where the stack stands."""
    for depth in range(600, 1010):
        with pytest.raises(BadInput):
            spec_from_bytes(b'{"kind":"mlpack-profile-spec","schema":1,"lineage":' + b"[" * depth + b"]" * depth + b"}")


def test_a_later_schema_is_refused_by_name(spec: Spec) -> None:
    with pytest.raises(BadInput, match="written by a later mlpack"):
        spec_from_bytes(_changed(spec, lambda record: record.update(schema=2)))


@pytest.mark.parametrize("schema", [0, -1, "1", True, None, 1.5])
def test_a_schema_that_is_none_is_refused(spec: Spec, schema: Any) -> None:
    with pytest.raises(BadInput, match="its schema is"):
        spec_from_bytes(_changed(spec, lambda record: record.update(schema=schema)))


def test_a_file_that_was_changed_by_hand_does_not_match_its_digest(spec: Spec) -> None:
    changed = _changed(spec, lambda record: record["features"][0]["edges"].pop(), sign=False)
    with pytest.raises(BadInput, match="digest does not match"):
        spec_from_bytes(changed)


def test_more_than_is_understood_is_refused(spec: Spec) -> None:
    with pytest.raises(BadInput, match="says more than this mlpack understands"):
        spec_from_bytes(_changed(spec, lambda record: record.update(weights=[1])))


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: Any) -> None:
        for step in path[:-1]:
            record = record[step]
        record[path[-1]] = value(record[path[-1]]) if callable(value) else value

    return change


_WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "edges fall": (_set("features", 0, "edges", value=lambda edges: edges[::-1]), "edges are not increasing"),
    "edges equal": (_set("features", 0, "edges", value=lambda edges: [edges[0], *edges[:-1]]), "edges are not increasing"),
    "edge is a text": (_set("features", 0, "edges", 0, value="1"), "where a number should"),
    "edge is huge": (_set("features", 0, "edges", 0, value=-(10**400)), "too large"),
    "range off the edges": (_set("features", 0, "low", value=-1234.5), "does not lie between two of its edges"),
    "edge is far": (_set("features", 0, "edges", 0, value=-1e300), "2**31 steps"),
    "edges are far": (_set("features", 0, "edges", value=lambda edges: [-1.7e308, *edges, 1.7e308]), "2**31 steps"),
    "centre is far": (_set("features", 0, "centre", value=1e12), "2**31 steps"),
    "step is small": (_set("features", 0, "step", value=-1000), "2**31 steps"),
    "step without an inverse": (_set("features", 0, "step", value=-1030), "out of range"),
    "step": (_set("features", 0, "step", value=5000), "out of range"),
    "two names": (_set("features", 1, "name", value="measured_value_0"), "two features are named"),
    "reserved name": (_set("features", 1, "name", value="latency"), "as a group of every profile"),
    "role": (_set("features", 1, "role", value="middle"), "is no role"),
    "order of roles": (_set("features", 1, "role", value="output"), "an output stands before an input"),
    "category twice": (_set("features", 4, "known", value=["value 0"]), "twice"),
    "count lost": (_set("reference", "counts", value=lambda counts: counts[1:]), "reference counts"),
    "count moved": (_set("reference", "counts", 0, value=lambda count: count + 1), "counters sum to"),
    "count negative": (_set("reference", "counts", 0, value=-1), "is no count"),
    "count huge": (_set("reference", "counts", 0, value=1 << 48), "is no count"),
    "count a float": (_set("reference", "counts", 0, value=1.5), "where a whole number should"),
    "count true": (_set("reference", "counts", 0, value=True), "where a whole number should"),
    "rows": (_set("reference", "rows", value=lambda rows: rows + 1), "counters sum to"),
    "block rows": (_set("reference", "blocks", "rows", 0, value=1), "its blocks have"),
    "sums": (_set("reference", "sums", value=[]), "sums for"),
    "learned of nothing": (_set("reference", "learned", value={}), ""),
    "model": (_set("model_sha256", value="xyz"), "is no SHA-256"),
    "no features": (_set("features", value=None), ""),
    "confidence": (_set("confidence", value=1), "where true or false should"),
    "right": (_set("reference", "right", value=[[1, 2]]), "cells of confidence"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in _WRONG if name not in ("learned of nothing",)])
def test_what_cannot_be_true_is_refused_by_name(spec: Spec, name: str) -> None:
    change, said = _WRONG[name]
    with pytest.raises(BadInput, match="the spec is damaged") as caught:
        spec_from_bytes(_changed(spec, change))
    assert said in caught.value.message


def test_a_feature_that_blocks_taught_nothing_of_is_fine(spec: Spec) -> None:
    assert spec_from_bytes(_changed(spec, _WRONG["learned of nothing"][0])).reference.learned == {}


def test_effects_of_other_blocks_are_refused(spec: Spec) -> None:
    change = _set("reference", "learned", "category_0", 3, value="AAAA")
    with pytest.raises(BadInput, match="effects of 3 blocks, there are 10"):
        spec_from_bytes(_changed(spec, change))
