"""A stored document of `mlpack bench --json`, and which of its results a new one is held against."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.measuring.comparable import why_not_comparable
from mlpack_edge.runtimes.measuring.fields import MEASURE_AGAIN, Fields
from mlpack_edge.runtimes.measuring.result import SCHEMA, BenchResult
from mlpack_edge.runtimes.measuring.stored import result_from_json
from mlpack_edge.runtimes.measuring.summaries import is_summarised, tool_result_from_json

Results = tuple[BenchResult, ...]


def read_baseline(path: Path) -> Results:
    """The results in the file at `path`, in its order. BadInput names what is wrong with it; IoFault if unreadable."""
    try:
        if not path.is_file():
            raise BadInput(f"{path} is no file", "name what mlpack bench --json printed: --baseline FILE.json")
        text = path.read_bytes()
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    return results_from_document(text, str(path))


def results_from_document(text: bytes | str, name: str) -> Results:
    """The results in a document of `mlpack bench --json`; `name` is how messages call it.

    BadInput: no JSON, the document of another command, a later schema, no result in it, or a damaged result.
    """
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise BadInput(f"{name} is no JSON document", MEASURE_AGAIN, why=str(fault)) from fault
    fields = Fields(document, name)
    command = fields.text("command")
    if command != "bench":
        raise BadInput(f"{name} holds the document of mlpack {command}, not of mlpack bench", MEASURE_AGAIN)
    schema = fields.whole("schema")
    if schema > SCHEMA:
        raise BadInput(
            f"{name} has schema {schema}; this version of mlpack reads up to {SCHEMA}",
            "update mlpack-edge, or " + MEASURE_AGAIN,
        )
    if isinstance(document.get("error"), dict) and not document.get("results"):
        raise BadInput(f"{name} holds no result: that run failed", MEASURE_AGAIN)
    results = tuple(
        tool_result_from_json(record) if is_summarised(record) else result_from_json(record)
        for record in fields.required("results", list)
    )
    if not results:
        raise BadInput(f"{name} holds no result", MEASURE_AGAIN)
    return results


def partner_of(result: BenchResult, stored: Sequence[BenchResult]) -> BenchResult:
    """The stored result that `result` is held against: of the same format, and the same model by name.

    The name as given counts first, then the file name alone (folders differ between machines that build), and if no
    name fits, the only stored result of that format (a new version may have a new name). Among several of a name, the
    one that is comparable. BadInput where there is none or more than one.
    """
    same_format = [one for one in stored if one.format == result.format]
    for fits in (_by_name, _by_file_name, _any):
        found = [one for one in same_format if fits(result, one)]
        if len(found) > 1:
            found = [one for one in found if why_not_comparable(one, result) is None] or found
        if len(found) == 1:
            return found[0]
        if found and fits is not _any:
            raise BadInput(
                f"the baseline holds {len(found)} results of {result.model} ({result.format})",
                "store a baseline with one result per model",
            )
    names = ", ".join(f"{one.model} ({one.format})" for one in stored)
    raise BadInput(
        f"the baseline holds no result to compare {result.model} ({result.format}) with",
        "name the model as in the baseline, or store a new one with mlpack bench --json",
        why=f"it holds {names or 'none'}",
    )


def _by_name(result: BenchResult, stored: BenchResult) -> bool:
    return stored.model == result.model


def _by_file_name(result: BenchResult, stored: BenchResult) -> bool:
    return PurePath(stored.model).name == PurePath(result.model).name


def _any(result: BenchResult, stored: BenchResult) -> bool:
    return True
