"""A first contract, from what the model says of its columns and from reference rows: to be read, tightened and kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import pyarrow

from mlpack_edge.batch.contract.draft_columns import column_lines
from mlpack_edge.batch.contract.margins import percent_text, share_above
from mlpack_edge.batch.contract.reference import Reference, gather
from mlpack_edge.batch.contract.schema import family_of_type
from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.batch.scoring.columns import match
from mlpack_edge.core.signature import Column, Signature, TensorSpec, signature_from_text

Line = tuple[str, str]
#: Where the comments begin.
_COMMENT = 32


def draft(model: ModelFile, reference: Iterable[pyarrow.RecordBatch] = (), schema: pyarrow.Schema | None = None) -> str:
    """TOML with comments that say where each bound comes from; the same model and rows give the same bytes.

    reference: rows that were scored well, read once, in bounded memory; with them comes their `schema`. The reference
    itself keeps the contract. Without one there are the bounds that the model alone tells.
    Raises BadInput where the reference's columns are not what the model takes.
    """
    signature = signature_from_text(model.signature)
    seen = None if schema is None else gather(_columns(signature, schema), reference, schema)
    if seen is not None and not seen.rows:
        seen = None
    lines: list[Line] = [
        (
            "",
            "A first contract, drafted from the model's signature"
            + (f" and {seen.rows:,} reference rows." if seen else " alone."),
        ),
        ("", "Read each line, tighten what is too wide, and keep the file: docs/reference/contract.md lists the keys."),
        ("schema = 1", ""),
        *_budget(seen),
        *_rows(seen),
        *_freshness(schema),
    ]
    for column in _columns(signature, schema):
        found = seen.columns[column.name] if seen else None
        rules = list(column_lines(column, found, seen.rows if seen else 0))
        if rules:
            lines += [("", ""), (f"[columns.{key_text(column.name)}]", ""), *rules]
    for spec in signature.outputs:
        rules = list(_score(spec))
        if rules:
            lines += [("", ""), (f"[scores.{key_text(spec.name)}]", ""), *rules]
    return "".join(f"{_joined(*line)}\n" for line in lines)


def key_text(name: str) -> str:
    """A name as a key of TOML. JSON's escapes are TOML's but for DEL, which TOML does not take as it is."""
    return (
        name
        if re.fullmatch(r"[A-Za-z0-9_-]+", name)
        else json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007F")
    )


def _joined(text: str, comment: str) -> str:
    if not comment:
        return text
    return f"{text.ljust(_COMMENT) if text else ''}# {comment}"


def _columns(signature: Signature, schema: pyarrow.Schema | None) -> list[Column]:
    """What the model reads, each column once; without the signature's own words what a table's columns are matched to."""
    if schema is None:
        return list(dict.fromkeys(signature.columns))
    cells = {cell.column: cell for fed in match(signature, schema) if not fed.vector for cell in fed.cells}
    return [
        cell.known or Column(name, "", "", missing=cell.missing)
        for name, cell in cells.items()
        if family_of_type(schema.field(name).type)
    ]


def _budget(seen: Reference | None) -> Iterator[Line]:
    share = percent_text(share_above(seen.rejected, seen.rows)) if seen and seen.rejected else "0.1%"
    why = f"of the reference {counted(seen.rejected, 'row')} cannot be scored" if seen else ""
    yield f'max_rejected = "{share}"', f"rows that may go to quarantine{'; ' + why if why else ''}"


def _rows(seen: Reference | None) -> Iterator[Line]:
    yield "", ""
    yield "[rows]", ""
    yield "min = 1", f"put the least that a night brings{f'; the reference has {seen.rows:,}' if seen else ''}"
    yield 'within = "50%"', "of the last run's rows, more or less"


def _freshness(schema: pyarrow.Schema | None) -> Iterator[Line]:
    """Said as a comment: how old is too old no reference tells."""
    times = [] if schema is None else [field.name for field in schema if family_of_type(field.type) == "date"]
    yield "", ""
    for line in (
        "[freshness]", f"column = {json.dumps(times[0], ensure_ascii=False)}" if times else "file = true", 'max_age = "36h"',
    ):  # fmt: skip
        yield "", line.replace("\x7f", "\\u007F")


def _score(spec: TensorSpec) -> Iterator[Line]:
    """By what the output means. Probabilities may leave 0 to 1 by a rounding."""
    if spec.role == "probabilities":
        yield "min = -0.001", ""
        yield "max = 1.001", ""
    if spec.role in ("probabilities", "proportions", "scores", "value"):
        yield "constant = false", "a model that answers every row the same is broken"
