"""What runs in the child process: open a model, convert it, prove it, write the draft.

Every function takes a JSON payload and a `stage` function and returns a JSON-able dictionary, as
`runtimes.worker.run_isolated` wants it.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from mlpack_edge.converters.prove import Allowed, Proof, divergence_of_steps, prove
from mlpack_edge.converters.sources.onnx import OnnxSource
from mlpack_edge.converters.sources.source import Source, SourceOptions
from mlpack_edge.core.artifact import Lineage, sha256_of_file
from mlpack_edge.core.errors import BadInput, CheckFailed, MlpackError, Unsupported
from mlpack_edge.core.extensions import SOURCES, extensions, missing_extra
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import METADATA_KEY, Signature
from mlpack_edge.runtimes.data import read_table
from mlpack_edge.runtimes.onnxruntime import OnnxRunner
from mlpack_edge.runtimes.recognise.sniff import sniff

Array = NDArray[Any]
Json = dict[str, Any]
Stage = Callable[[str], None]

LINEAGE_KEY = "mlpack.lineage"
STEPS_KEY = "mlpack.steps"
#: Packages whose version can change what a conversion writes, by source kind.
_VERSIONS = {
    "skops": ("scikit-learn", "skl2onnx"),
    "pickle": ("scikit-learn", "skl2onnx"),
    "xgboost-json": ("xgboost-cpu", "xgboost"),
    "xgboost-ubj": ("xgboost-cpu", "xgboost"),
    "lightgbm": ("lightgbm",),
    "catboost": ("catboost",),
    "torch": ("torch", "onnxscript"),
    "torch-export": ("torch", "onnxscript"),
}
#: Nets add in float32 in an order of their own; everything else is computed as the source computes it.
_NETS = {"torch", "torch-export", "onnx"}


def convert(payload: Json, stage: Stage) -> Json:
    """Convert `payload["source"]` and write it to `payload["draft"]` when it is proven.

    Raises CheckFailed where the result is not the same as its source; the draft is then not written.
    """
    name, options = payload["source"], _options(payload)
    kind_of(name)  # what is no model is refused before gigabytes of it are hashed
    digest = digest_of(name, options)
    source = open_source(name, options, stage)
    stage(f"converting {name}")
    built = source.convert()
    versions = _versions(source.kind)
    _refuse_changed(name, options, digest)
    lineage = Lineage(source.kind, digest, versions, tuple(sorted(_spoken(payload).items())))
    _stamp(built.model, built.signature, lineage, built.taps)
    draft, signature, taps = Path(payload["draft"]), built.signature, built.taps
    size = _write(built.model, draft, payload["output"])
    # The graph is in the file now: what is proven is the file, and large models are not held twice.
    del built
    stage(f"checking {name} against its ONNX file")
    proof = prove(
        source,
        OnnxRunner(draft, signature),
        source.hints(),
        options.data,
        payload["rows"],
        _allowed(payload, source.kind),
        lambda feeds: divergence_of_steps(onnx.load(draft), taps, source.step_outputs, feeds),
    )
    result = {
        "source": {"kind": source.kind, "path": name, "sha256": lineage.source_sha256},
        "output": {"path": payload["output"], "format": "onnx", "bytes": size, "sha256": sha256_of_file(draft)},
        "signature": signature.to_json(),
        "lineage": lineage.to_json(),
        "parity": proof.to_json(),
        "notes": source.notes(),
    }
    if not proof.verdict.passed:
        draft.unlink()
        raise _failed(f"{name} and its ONNX file are not the same model; nothing was written", proof, result)
    return result


def check(payload: Json, stage: Stage) -> Json:
    """Compare `payload["reference"]` with `payload["candidate"]`, each a source model or an ONNX file."""
    options = _options(payload)
    names = [payload["reference"], payload["candidate"]]
    for name in names:
        kind_of(name)  # what is no model is refused before the other one is opened
    digests = [digest_of(name, options) for name in names]
    models = [open_source(name, options, stage) for name in names]
    for name, digest in zip(names, digests, strict=True):
        _refuse_changed(name, options, digest)
    signature = next((model.signature for model in models if isinstance(model, OnnxSource)), None)
    for model in models:
        if signature is not None and not isinstance(model, OnnxSource):
            _refuse_other_inputs(names, model.signature, signature)
            model.adopt(signature)
        elif not isinstance(model, OnnxSource):
            model.convert()  # two source models: only a conversion tells what their outputs are called
    stage(f"comparing {names[0]} with {names[1]}")
    reference, candidate = models
    proof = prove(
        reference, candidate, (_framework(models) or reference).hints(), options.data, payload["rows"],
        _allowed(payload, _kind(models)),
        lambda feeds: _find_divergence(models, feeds),
    )  # fmt: skip
    result = {
        "reference": {"path": names[0], "sha256": digests[0]},
        "candidate": {"path": names[1], "sha256": digests[1]},
        "parity": proof.to_json(),
    }
    if not proof.verdict.passed:
        raise _failed(f"{names[0]} and {names[1]} are not the same model", proof, result)
    return result


def _refuse_changed(name: str, options: SourceOptions, digest: str) -> None:
    """What was read is what the lineage names: a file that was replaced meanwhile is not (BadInput)."""
    if digest_of(name, options) != digest:
        raise BadInput(f"{name} changed while it was read", "wait until it is written, and start again")


def _refuse_other_inputs(names: list[str], a: Signature, b: Signature) -> None:
    """Two models of other columns cannot be compared: said before either is run (BadInput)."""
    counts = [_columns(signature) for signature in (a, b)]
    if None not in counts and counts[0] != counts[1]:
        raise BadInput(
            f"{names[0]} and {names[1]} take different inputs: {counts[0]} columns against {counts[1]}",
            "compare models of the same columns",
        )


def _columns(signature: Signature) -> int | None:
    """How many columns go in, None where that is not a table."""
    widths = [spec.shape[1] if len(spec.shape) == 2 else None for spec in signature.inputs]
    known = [width for width in widths if isinstance(width, int)]
    return sum(known) if len(known) == len(widths) else None


def _write(model: onnx.ModelProto, draft: Path, output: str) -> int:
    """Write the draft; returns its bytes. Raises IoFault naming the output."""
    try:
        return draft.write_bytes(model.SerializeToString())
    except OSError as fault:
        raise io_fault(fault, f"{output} could not be written") from fault


def _taps(model: OnnxSource) -> dict[str, str]:
    """The tensors of the steps, where mlpack wrote the file."""
    texts = {entry.key: entry.value for entry in model.original().metadata_props}
    try:
        found = json.loads(texts.get(STEPS_KEY, "{}"))
    except (json.JSONDecodeError, RecursionError):
        return {}  # an entry that mlpack did not write: the steps are not known
    return {str(path): str(tensor) for path, tensor in found.items()} if isinstance(found, dict) else {}


def _framework(models: list[Source]) -> Source | None:
    """The model that is not ONNX, where there is one: it knows more of itself."""
    return next((model for model in models if not isinstance(model, OnnxSource)), None)


def _kind(models: list[Source]) -> str:
    return (_framework(models) or models[0]).kind


def _find_divergence(models: list[Source], feeds: Mapping[str, Array]) -> Json | None:
    written = next((model for model in models if isinstance(model, OnnxSource) and _taps(model)), None)
    source = _framework(models)
    if written is None or source is None:
        return None
    return divergence_of_steps(written.original(), _taps(written), source.step_outputs, feeds)


def kind_of(name: str) -> str:
    """The kind of a model: of a file by content, of `package.module:attribute` "torch"."""
    if ":" in name and "/" not in name.rpartition(":")[0] and not os.path.lexists(name):
        return "torch"
    return str(sniff(Path(name)))


def open_source(name: str, options: SourceOptions, stage: Stage) -> Source:
    """Open a model with the source registered for its kind (Unsupported where none is)."""
    kind = kind_of(name)
    stage(f"opening {name}")
    registered = extensions(SOURCES).get(kind)
    if registered is None:
        if kind in ("torch-checkpoint", "safetensors"):
            from mlpack_edge.runtimes.torch.module import bare_weights

            raise bare_weights(Path(name))
        raise Unsupported(
            f"{name} is a {kind} file, which mlpack does not convert",
            "mlpack convert --list-supported",
        )
    try:
        source: Source = registered.load()(name, options)
    except ModuleNotFoundError as fault:
        raise missing_extra(fault.name or "", f"{kind} models") from fault
    except MlpackError:
        raise
    except Exception as fault:
        # What a library raises while it reads a damaged file is unbounded, and says nothing to who only has the file.
        last = traceback.extract_tb(fault.__traceback__)[-1]
        raise BadInput(
            f"{name} could not be opened as a {kind} model",
            "the file is damaged or was written by other versions: mlpack doctor shows those installed here; "
            "make the file again from its source",
            why=f"{type(fault).__name__}: {' '.join(str(fault).split())[:200]} ({Path(last.filename).name}:{last.lineno})",
        ) from fault
    return source


def digest_of(name: str, options: SourceOptions) -> str:
    """SHA-256 of the source file; of the weights for a module that is code; "" where there are none."""
    try:
        if os.path.isfile(name):  # noqa: PTH113 - Path.is_file raises where a name is too long
            return sha256_of_file(Path(name))
    except OSError as fault:
        raise io_fault(fault, f"{name} could not be read") from fault
    return sha256_of_file(options.weights) if options.weights else ""


def _options(payload: Json) -> SourceOptions:
    data = payload.get("data")
    weights = payload.get("weights")
    return SourceOptions(
        data=read_table(Path(data)) if data else None,
        shapes={name: tuple(sizes) for name, sizes in payload.get("shapes", [])},
        dtype=payload.get("dtype"),
        weights=Path(weights) if weights else None,
        trust_pickle=payload.get("trust_pickle", False),
        opset=payload.get("opset"),
        stop_before=payload.get("stop_before"),
        matrix=payload.get("matrix", False),
    )


def _allowed(payload: Json, kind: str) -> Allowed:
    family = "net" if kind in _NETS else "tabular"
    return Allowed(family, payload.get("rtol"), payload.get("atol"), payload.get("max_flips", 0.0))


def _spoken(payload: Json) -> dict[str, str]:
    """The options that shape the output, as text: they are part of its lineage."""
    names = ("dtype", "opset", "stop_before", "matrix", "shapes")
    return {name: json.dumps(payload[name]) for name in names if payload.get(name)}


def _versions(kind: str) -> tuple[tuple[str, str], ...]:
    found = []
    for package in ("mlpack-edge", "onnx", *_VERSIONS.get(kind, ())):
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def _stamp(model: onnx.ModelProto, signature: Signature, lineage: Lineage, taps: Mapping[str, str]) -> None:
    """Put the signature, the lineage and the names of the steps' tensors into the file."""
    entries = {
        METADATA_KEY: signature.dumps(),
        LINEAGE_KEY: json.dumps(lineage.to_json(), sort_keys=True, separators=(",", ":")),
    }
    if taps:
        entries[STEPS_KEY] = json.dumps(dict(taps), separators=(",", ":"))
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key not in entries]
    del model.metadata_props[:]
    for key, value in [*kept, *entries.items()]:
        model.metadata_props.add(key=key, value=value)


def _failed(message: str, proof: Proof, result: Json) -> CheckFailed:
    where = ""
    if proof.first_divergence:
        step = proof.first_divergence
        where = f"; the first step to diverge is {step['step']}: {step['reference']} became {step['candidate']}"
    return CheckFailed(
        message,
        "look at that row and step; --rtol and --atol say what you would accept; "
        "a difference in a converted model is a defect here: please report the estimator",
        why="; ".join(proof.verdict.reasons) + where,
        result=result,
    )
