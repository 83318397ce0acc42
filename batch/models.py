"""The model files of a run: what they are, their digests and signatures. Models are opened in a child process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mlpack_edge.batch.inputs.wanted import NUMBER, TEXT, TRUTH, WHOLE, narrower
from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import Column, Signature, signature_from_text
from mlpack_edge.runtimes.recognise.sniff import sniff

CHALLENGER = "challenger_"
#: What decides the bits of a score beside the model itself.
_DECIDING_PACKAGES = {"onnx": ("onnxruntime",), "tflite": ("ai-edge-litert", "tflite-runtime")}


def model_file(path: str, prefix: str = "") -> ModelFile:
    """A model to score with. Raises BadInput where the file is none, is damaged, or is of a kind that is converted first."""
    kind = sniff(Path(path)).value
    if kind not in _DECIDING_PACKAGES:
        raise BadInput(
            f"{path} is a {kind} file; batches are scored with ONNX and TFLite",
            f"mlpack convert {path} -o model.onnx",
        )
    signature, external = (_onnx if kind == "onnx" else _tflite)(Path(path))
    try:
        digest = model_digest(path, external)
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    return ModelFile(path, kind, digest, prefix, external, signature.dumps())


def model_digest(path: str, external: Sequence[str] = ()) -> str:
    """`ModelFile.sha256` of the files as they are now: opens no model, loads no library. Raises OSError."""
    digests = [sha256_of_file(Path(name)) for name in (path, *external)]
    return digests[0] if not external else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def kinds_of_columns(models: Iterable[ModelFile]) -> dict[str, str]:
    """What each column of the models should be: "text", or which numbers: the narrowest that one of them takes, which feeds
    the others too."""
    kinds: dict[str, str] = {}
    for model in models:
        signature = signature_from_text(model.signature)
        dtypes = {spec.name: spec.dtype for spec in signature.inputs}
        columns = {column.name: _kind(dtypes[column.input], column) for column in signature.columns}
        for name, kind in (columns or {name: _kind(dtype, None) for name, dtype in dtypes.items()}).items():
            kinds[name] = narrower(kinds.get(name, kind), kind)
    return kinds


def _kind(dtype: str, known: Column | None) -> str:
    """ "text" also where the model takes whole numbers that stand for texts (TFLite has no texts)."""
    from mlpack_edge.batch.scoring.columns import takes_text  # loads Arrow, which a run with nothing to do needs not

    if takes_text(dtype, known):
        return TEXT
    return TRUTH if dtype == "bool" else WHOLE if "int" in dtype else NUMBER


def deciding_versions(formats: set[str]) -> tuple[tuple[str, str], ...]:
    """Installed packages by name and version that decide the bits of a score, without importing them."""
    found = []
    for name in sorted(package for kind in formats for package in _DECIDING_PACKAGES[kind]):
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def _onnx(path: Path) -> tuple[Signature, tuple[str, ...]]:
    from mlpack_edge.runtimes.onnx_files.file import external_data, open_onnx
    from mlpack_edge.runtimes.onnx_files.signature import signature_from_onnx

    model = open_onnx(path)
    external = sorted({str(part.path) for part in external_data(model, path)})
    return signature_from_onnx(model), tuple(external)


def _tflite(path: Path) -> tuple[Signature, tuple[str, ...]]:
    from mlpack_edge.runtimes.litert.runtime import LitertRuntime

    return LitertRuntime().open(path).signature, ()
