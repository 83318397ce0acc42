"""A manifest travels as JSON and is refused where it is not one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mlpack_edge.batch.facts import Part
from mlpack_edge.batch.manifest import Manifest, ManifestInput, ManifestPart, manifest_from_bytes, manifest_from_json
from mlpack_edge.core.errors import BadInput
from tests.batch.outputs.runs import input_file


def _manifest() -> Manifest:
    return Manifest(
        run_key="k",
        identity={"format": 1},
        models=({"prefix": "", "format": "onnx", "sha256": "00", "signature": "{}"},),
        inputs=(
            ManifestInput(replace(input_file("a"), constants=(("month", 7),)), 4, 3, {"x is missing": 1}),
            ManifestInput(input_file("\udcff not utf-8"), 2, 0, {"odd": 1, "x is missing": 1}),
        ),
        parts=(ManifestPart("part.parquet", 3, 100, "00", "a"),),
        quarantine=Part("rejected.jsonl", 3, 10, "00"),
        collected={"contract": {"n": 6}},
    )


def test_it_comes_back_from_its_bytes() -> None:
    manifest = _manifest()
    assert manifest_from_bytes(manifest.to_bytes()) == manifest
    assert manifest_from_json(json.loads(manifest.to_bytes())).digest == manifest.digest
    assert (manifest.rows_in, manifest.rows_out, manifest.rows_rejected) == (6, 3, 3)
    assert list(manifest.rejected.items()) == [("x is missing", 2), ("odd", 1)]


def test_one_of_a_later_mlpack_is_refused() -> None:
    with pytest.raises(BadInput, match=r"out/manifest.json was written by a later mlpack \(schema 2"):
        manifest_from_json({**_manifest().to_json(), "schema": 2}, "out/manifest.json")


@pytest.mark.parametrize("gone", sorted(set(_manifest().to_json()) - {"rows_rejected", "rejected"}))
def test_one_without_a_key_is_refused_with_what_to_do(gone: str) -> None:
    record = _manifest().to_json()
    del record[gone]
    with pytest.raises(BadInput, match="is damaged") as fault:
        manifest_from_json(record)
    assert "remove the output" in fault.value.hint


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b'{"schema": "1"}', b"\xff"])
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput, match="is damaged"):
        manifest_from_bytes(content)


def test_sums_that_do_not_agree_are_refused() -> None:
    with pytest.raises(BadInput, match="is damaged"):
        manifest_from_json({**_manifest().to_json(), "rows_out": 4})
