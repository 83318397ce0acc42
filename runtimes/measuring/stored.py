"""Read results back that were written as JSON: from a stored document, and launches from what an agent answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.measuring.fields import MEASURE_AGAIN, Fields
from mlpack_edge.runtimes.measuring.result import SCHEMA, BenchResult, Launch

Json = dict[str, Any]


def result_from_json(record: Json) -> BenchResult:
    """Read what `BenchResult.to_json` wrote. Unknown keys are ignored, and so are figures: they follow from the samples.

    BadInput names what is damaged or missing, and a schema later than this one's.
    """
    subject = record.get("model") if isinstance(record, dict) else None
    where = f"the stored result of {subject!r}" if isinstance(subject, str) else "the stored result"
    fields = Fields(record, where)
    schema = fields.whole("schema")
    if schema > SCHEMA:
        raise BadInput(
            f"{where} has schema {schema}; this version of mlpack reads up to {SCHEMA}",
            "update mlpack-edge, or " + MEASURE_AGAIN,
        )
    instructions = fields.table_or_none("instructions")
    if instructions is not None:
        Fields(instructions, f"{where}, instructions").whole("total")
    estimate = fields.table_or_none("estimate")
    if estimate is not None:
        Fields(estimate, f"{where}, estimate").whole("cycles")
    profile = fields.optional("profile", list)
    return BenchResult(
        model=fields.text("model"),
        format=fields.text("format"),
        model_sha256=fields.text("model_sha256"),
        bytes=fields.whole("bytes"),
        target=fields.text("target"),
        threads=fields.whole("threads"),
        batch=fields.whole("batch"),
        launches=tuple(
            launch_from_json(launch, f"{where}, launch {number}")
            for number, launch in enumerate(fields.required("launches", list))
        ),
        harness_floor_ns=fields.number_or_none("harness_floor_ns"),
        environment=fields.required("environment", dict),
        input_digest=fields.text("input_digest"),
        output_digest=fields.text("output_digest"),
        io=fields.text("io"),
        instructions=instructions,
        profile=profile,
        spinning=fields.optional("spinning", bool),
        metric=fields.table_or_none("metric"),
        calibrated_ns=fields.table_or_none("calibrated_ns"),
        estimate=estimate,
    )


def launch_from_json(record: Any, where: str) -> Launch:
    """Read what `Launch.to_json` wrote, or an agent answers. BadInput names what is damaged; `where`: what to call it."""
    fields = Fields(record, where)
    blocks: list[NDArray[np.uint64]] = []
    clean: list[NDArray[np.bool_]] = []
    quiet: list[NDArray[np.bool_]] = []
    for number, block in enumerate(fields.required("blocks", list)):
        inside = Fields(block, f"{where}, block {number}")
        blocks.append(inside.samples("samples_ns"))
        clean.append(inside.bits("clean", blocks[-1].size))
        if inside.optional("quiet", str) is not None:
            quiet.append(inside.bits("quiet", blocks[-1].size))
    return Launch(
        tuple(blocks),
        tuple(clean),
        fields.whole("load_ns"),
        fields.whole("first_call_ns"),
        fields.whole("peak_rss_bytes"),
        fields.whole("warm_up_calls"),
        fields.required("settled", bool),
        fields.whole("round"),
        tuple(quiet) if len(quiet) == len(blocks) else None,
    )
