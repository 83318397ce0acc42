"""What runs in the child process: open a model, convert it, prove it, write the draft.

Every function takes a JSON payload and a `stage` function and returns a JSON-able dictionary, as
`runtimes.worker.run_isolated` wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.comparing import Model, bring_together
from mlpack_edge.converters.drafts import Draft, onnx_draft
from mlpack_edge.converters.opened import (
    NETS,
    allowed_of,
    family_of,
    family_of_models,
    framework_of,
    hints_of,
    open_models,
)
from mlpack_edge.converters.opening import Stage, digest_of, kind_of, open_source, options_of, refuse_changed
from mlpack_edge.converters.prove import Proof, divergence_of_steps, prove
from mlpack_edge.converters.quantized_parity import is_quantized
from mlpack_edge.converters.sources.onnx import OnnxSource
from mlpack_edge.converters.sources.source import Source
from mlpack_edge.converters.stamping import lineage_of, taps_of
from mlpack_edge.core.artifact import Lineage, sha256_of_file
from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.runtimes.litert.source_terms import Narrowed, TfliteModel
from mlpack_edge.runtimes.parity import Runner

Array = NDArray[Any]
Json = dict[str, Any]

_FORMATS = {"onnx": "ONNX", "tflite": "TFLite"}


def convert(payload: Json, stage: Stage) -> Json:
    """Convert `payload["source"]` to `payload["to"]` and write it to `payload["draft"]` when it is proven.

    Raises CheckFailed where the result is not the same as its source; the draft is then not written.
    """
    name, options, target = payload["source"], options_of(payload), payload.get("to", "onnx")
    kind_of(name)  # what is no model is refused before gigabytes of it are hashed
    digest = digest_of(name, options)
    source = open_source(name, options, stage)
    stage(f"converting {name}")
    built = source.convert()
    lineage = lineage_of(source.kind, digest, payload)
    refuse_changed(name, options, digest)
    made = _draft_of(target)(source, built, lineage, payload)
    quantized = is_quantized(built.model)
    # The graph is in the file now: what is proven is the file, and large models are not held twice.
    del built
    draft = Path(payload["draft"])
    stage(f"checking {name} against its {_FORMATS[target]} file")
    proof = prove(
        made.reference, made.candidate, source.hints(), options.data, payload["rows"],
        allowed_of(payload, family_of(target == "tflite", source.kind, quantized)), made.find_divergence,
        target == "tflite",
    )  # fmt: skip
    result = {
        "source": {"kind": source.kind, "path": name, "sha256": lineage.source_sha256},
        "output": {"path": payload["output"], "format": target, "bytes": made.bytes, "sha256": sha256_of_file(draft)},
        "signature": made.signature.to_json(),
        "lineage": lineage.to_json(),
        "parity": proof.to_json(),
        "notes": [*source.notes(), *made.notes],
    }
    if not proof.verdict.passed:
        draft.unlink()
        raise _failed(
            f"{name} and its {_FORMATS[target]} file are not the same model; nothing was written", proof, result,
            _CONVERTED_NEXT["onnx" if source.kind in NETS else target],
        )  # fmt: skip
    return result


def _draft_of(target: str) -> Callable[[Source, BuiltModel, Lineage, Json], Draft]:
    if target == "onnx":
        return onnx_draft
    from mlpack_edge.converters.tflite_drafts import tflite_draft

    return tflite_draft


def check(payload: Json, stage: Stage) -> Json:
    """Compare `payload["reference"]` with `payload["candidate"]`, each a source model, an ONNX or a TFLite file."""
    options = options_of(payload)
    names = [payload["reference"], payload["candidate"]]
    models, digests = open_models(names, options, stage)
    bring_together(names, models)
    stage(f"comparing {names[0]} with {names[1]}")
    lowered = next((model for model in models if isinstance(model, TfliteModel)), None)
    runners: list[Runner] = [
        model if lowered is None or isinstance(model, TfliteModel) else Narrowed(model, lowered.signature)
        for model in models
    ]
    proof = prove(
        runners[0], runners[1], hints_of(models), options.data, payload["rows"],
        allowed_of(payload, family_of_models(models)),
        lambda feeds: _find_divergence(models, feeds), bool(lowered),
    )  # fmt: skip
    result = {
        "reference": {"path": names[0], "sha256": digests[0]},
        "candidate": {"path": names[1], "sha256": digests[1]},
        "parity": proof.to_json(),
    }
    if not proof.verdict.passed:
        raise _failed(f"{names[0]} and {names[1]} are not the same model", proof, result, _CHECKED_NEXT)
    return result


def _find_divergence(models: list[Model], feeds: Mapping[str, Array]) -> Json | None:
    """The first step, or else the first layer, at which the two differ."""
    written = next((model for model in models if isinstance(model, OnnxSource)), None)
    source = framework_of(models)
    lowered = next((model for model in models if isinstance(model, TfliteModel)), None)
    if lowered is not None:
        from mlpack_edge.converters.layers import divergence_of_layers

        given = written or source
        return None if given is None else divergence_of_layers(given.convert().model, lowered, feeds)
    if written is None or source is None or not taps_of(written.original()):
        return None
    return divergence_of_steps(written.original(), taps_of(written.original()), source.step_outputs, feeds)


#: What to do where a conversion is not the same, and where two models are not; a TFLite file computes in float32, and
#: distances, variances and differences of large numbers need more of some models.
_CONVERTED_NEXT = {
    "onnx": "look at that row and step; --rtol and --atol say what you would accept of numbers; "
    "a difference in a converted model is a defect here: please report the estimator",
    "tflite": "look at that row and step; --rtol and --atol say what you would accept of numbers; TFLite computes in "
    "float32: --to onnx keeps the digits of the source; where float32 is enough, please report the model",
}
_CHECKED_NEXT = (
    "look at that row and step; --max-flips says which share of labels you would accept to differ, "
    "--rtol and --atol what of numbers"
)


def _failed(message: str, proof: Proof, result: Json, hint: str) -> CheckFailed:
    where = ""
    if proof.first_divergence:
        step = proof.first_divergence
        where = f"; the first step to diverge is {step['step']}: {step['reference']} became {step['candidate']}"
    return CheckFailed(
        message,
        hint,
        why="; ".join(proof.verdict.reasons) + where,
        result=result,
    )
