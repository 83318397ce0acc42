"""What runs in the child process of `mlpack quantize`: try the ways to quantize a model, and prove the one that was chosen.

Both functions take a JSON payload and a `stage` function and return a JSON-able dictionary, as
`runtimes.worker.run_isolated` wants it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpack_edge.converters.opening import Stage, refuse_changed
from mlpack_edge.converters.quantization.attempts import attempt
from mlpack_edge.converters.quantization.exchange import point_to_json
from mlpack_edge.converters.quantization.judged_rows import rows_for
from mlpack_edge.converters.quantization.open_sizes import naming_sizes
from mlpack_edge.converters.quantization.proof import proven, verdict_of
from mlpack_edge.converters.quantization.recipes import how_of
from mlpack_edge.converters.quantization.subject import open_subject, reference_of, runner_of, source_options
from mlpack_edge.converters.quantization.values import Json
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import signature_from_json
from mlpack_edge.runtimes.parity import RowsRefused


def quantize(payload: Json, stage: Stage) -> Json:
    """Make candidates of `payload["model"]` in the folder `payload["scratch"]`, and judge them.

    Answers {source, float {path, bytes}, points [{path|null, ...}], calibration|null, sample {path, shapes}, signature, notes, search
    {left_out, unfinished, seconds_left}};
    each point with its lineage.
    Raises what opening the model and its rows raises; Unsupported where there is nothing to quantize.
    """
    subject = open_subject(payload, stage)
    judged = subject.reference.signature
    rows = rows_for(payload, subject.signature, judged, subject.source.hints())
    with naming_sizes(judged, subject.head), _rows_taken(payload):
        found = attempt(subject, rows, payload, stage)
    return {
        "source": {"kind": subject.source.kind, "path": payload["model"], "sha256": subject.lineage.source_sha256},
        "float": {"path": str(subject.float_file), "bytes": subject.float_file.stat().st_size},
        "points": [
            {
                "path": str(path) if path else None,
                "point": point_to_json(point),
                "lineage": subject.lineage_with(point.recipe, how_of(payload)).to_json(),
            }
            for point, path in found.points
        ],
        "calibration": found.calibration,
        "sample": rows.sample(Path(payload["scratch"], "sample.npz"), judged),
        "signature": subject.signature.to_json(),
        "notes": [*subject.notes, *rows.warnings, *found.notes],
        "search": found.told(),
    }


def prove(payload: Json, stage: Stage) -> Json:
    """Hold the file `payload["file"]` against its source itself, on the rows that judge: {quality, parity}."""
    refuse_changed(payload["model"], source_options(payload), payload["digest"])
    signature = signature_from_json(payload["signature"])
    candidate = runner_of(Path(payload["file"]), payload["to"], signature)
    source = reference_of(payload, signature, candidate, stage)
    rows = rows_for(payload, signature, source.reference.signature, source.hints)
    stage(f"proving {payload['output']} against {payload['model']}")
    with _rows_taken(payload):
        quality, parity = proven(
            source.reference, candidate, rows.judged, payload["metric"], payload["whole"], Path(payload["scratch"])
        )  # fmt: skip
    return {"quality": quality.to_json(), "parity": {**parity, **verdict_of(quality, payload["max_drop"])}}


@contextmanager
def _rows_taken(payload: Json) -> Iterator[None]:
    """Rows that the model itself does not take judge nothing (BadInput)."""
    try:
        yield
    except RowsRefused as refusal:
        given = payload["evaluation"] or payload["data"]
        raise BadInput(
            f"{payload['model']} does not take the rows {f'of {given}' if given else 'that were made from its signature'}",
            "pass rows that it takes with --eval or --data, or fix its sizes with --shape",
            why=str(refusal),
        ) from refusal
