"""What `mlpack quantize` does: candidates made and judged in a child process, measured on the target; one is chosen, proven
once more, and put in place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mlpack_edge.cli.convert import keep_inputs
from mlpack_edge.cli.outcome import Outcome, note, show_stage, size_text
from mlpack_edge.cli.quantize_cautions import varies_little
from mlpack_edge.cli.quantize_document import document_of, with_quality
from mlpack_edge.cli.quantize_latency import Place, place_of
from mlpack_edge.cli.quantize_limit import undone
from mlpack_edge.cli.quantize_request import QuantizeRequest, refuse_tflite
from mlpack_edge.cli.quantize_text import quantize_text
from mlpack_edge.cli.quantize_weighing import weigh
from mlpack_edge.converters.quantization.choosing import Choice
from mlpack_edge.converters.quantization.exchange import point_from_json
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.core.files import publish, refuse_existing
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.runtimes.worker import run_isolated

Json = dict[str, Any]
_JOB = "mlpack_edge.converters.quantization.job"


def run_quantize(request: QuantizeRequest) -> Outcome:
    """Raises CheckFailed with the document where nothing keeps the budgets, MlpackError where nothing could be made."""
    started = time.monotonic()
    refuse_tflite(request.model, request.output)
    keep_inputs(request.output, [request.model, request.data, request.evaluation, request.weights])
    refuse_existing(request.output, request.force)
    place = place_of(request)
    with scratch_folder(request.output) as scratch, publish(request.output, request.force) as draft:
        made = _made(request, place, scratch)
        points = {point_from_json(one["point"]): one for one in made["points"]}
        files = {point: Path(one["path"]) for point, one in points.items() if one["path"]}
        weighed = weigh(request, made, files, list(points))
        choice = weighed.choice
        document = document_of(request, made, files, weighed)
        for text in document["notes"]:
            note(text)
        if choice.point is None:
            raise _nothing_fits(request, document, choice)
        document["lineage"] = points[choice.point]["lineage"]
        document = _proven(request, document, files[choice.point], scratch)
        files[choice.point].replace(draft)
        document["output"] = {
            "path": str(request.output), "format": request.to, "bytes": draft.stat().st_size, "sha256": sha256_of_file(draft)
        }  # fmt: skip
    document["seconds"] = round(time.monotonic() - started, 3)
    return Outcome(document, quantize_text(document, request.verbose))


def _made(request: QuantizeRequest, place: Place, scratch: str) -> Json:
    payload = {**request.payload(), "scratch": scratch, "arm": place.arm, "integer_only": place.integer_only}
    return run_isolated(f"{_JOB}:quantize", payload, request.limits(), request.model, show_stage)


def _proven(request: QuantizeRequest, document: Json, file: Path, scratch: str) -> Json:
    """The document with the proof. Raises CheckFailed where the file loses more against the source itself."""
    payload = {
        **request.payload(), "scratch": scratch, "file": str(file), "signature": document["signature"],
        "digest": document["source"]["sha256"],
    }  # fmt: skip
    proof = run_isolated(f"{_JOB}:prove", payload, request.limits(), request.model, show_stage)
    document = with_quality(document, proof["quality"]) | {"parity": proof["parity"]}
    if not proof["parity"]["passed"]:
        raise CheckFailed(
            f"{request.output} was chosen, and loses more against {request.model} itself; nothing was written",
            "give it more rows to judge on with --eval, or look at the layers with --verbose",
            why="; ".join(proof["parity"]["reasons"]), result=document, text=quantize_text(document, request.verbose),
        )  # fmt: skip
    return document


def _nothing_fits(request: QuantizeRequest, document: Json, choice: Choice) -> CheckFailed:
    """What came nearest, and what the rules that it breaks suggest."""
    broken = {rule.name for row in choice.rows for rule in row.broken if row.tried in choice.nearest[:1]}
    hints = [text for name, text in _NEXT.items() if name in broken]
    if "max-drop" in broken and varies_little(choice.nearest[0].point.quality):
        hints.insert(0, _MORE_ROWS)
    if request.data is None and request.scheme == "auto":
        hints.insert(0, "--data ROWS lets it calibrate")
    limit = document["time_limit"]
    if limit["ended"]:
        hints.insert(0, "give it more time with --time-limit")
    before = size_text(document["size"]["before"])
    said = f"no candidate of {request.model} ({before}) keeps the budgets"
    if choice.rows and limit["not_measured"]:
        said = f"no candidate of {request.model} ({before}) that there was time to measure keeps the budgets"
    if not choice.rows and limit["ended"]:
        said = f"--time-limit ended before a candidate of {request.model} ({before}) was made"
    return CheckFailed(
        f"{said}; nothing was written", "; or ".join(hints) or "look at the table",
        why="; ".join([choice.why, *undone(limit)]), result=document, text=quantize_text(document, request.verbose),
    )  # fmt: skip


#: Before all else where the rows that were judged on say little.
_MORE_ROWS = "judge on more rows, such as the model gives different answers to, with --eval DATA"
#: The rule that was broken -> what to do about it.
_NEXT = {
    "max-drop": "allow more with --max-drop, or leave layers as they are with --keep-float LAYER",
    "smaller": "leave the model as it is: mlpack convert",
    "max-size": "allow more with --max-size, or train a smaller net",
    "slower": "say that size matters more with --max-size, or leave the model as it is",
    "runs": "mlpack target check says what the target runs",
    "max-latency": "allow more with --max-latency, or train a smaller net",
}
