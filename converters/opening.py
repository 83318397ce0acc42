"""Find out what a model is, and open it with the source registered for its kind."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlpack_edge.converters.sources.source import Source, SourceOptions
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import BadInput, MlpackError, Unsupported
from mlpack_edge.core.extensions import SOURCES, extensions, missing_extra
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.data import read_table
from mlpack_edge.runtimes.recognise.sniff import sniff

Json = dict[str, Any]
Stage = Callable[[str], None]


def kind_of(name: str) -> str:
    """The kind of a model: of a file by content, of `package.module:attribute` "torch"."""
    if ":" in name and "/" not in name.rpartition(":")[0] and not os.path.lexists(name):
        return "torch"
    return str(sniff(Path(name)))


def options_of(payload: Json) -> SourceOptions:
    """How sources are opened, from what the command line was given. Raises what `read_table` raises."""
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


def open_source(name: str, options: SourceOptions, stage: Stage) -> Source:
    """Open a model with the source registered for its kind (Unsupported where none is)."""
    kind = kind_of(name)
    stage(f"opening {name}")
    registered = extensions(SOURCES).get(kind)
    if registered is None:
        raise _no_source(name, kind)
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


def _no_source(name: str, kind: str) -> MlpackError:
    if kind in ("torch-checkpoint", "safetensors"):
        from mlpack_edge.runtimes.torch.module import bare_weights

        return bare_weights(Path(name))
    if kind == "tflite":
        return Unsupported(
            f"{name} is a TFLite file: mlpack writes these, and converts from what they were made of",
            "convert the source model: mlpack convert SOURCE --to tflite",
        )
    return Unsupported(f"{name} is a {kind} file, which mlpack does not convert", "mlpack convert --list-supported")


def digest_of(name: str, options: SourceOptions) -> str:
    """SHA-256 of the source file; of the weights for a module that is code; "" where there are none."""
    try:
        if os.path.isfile(name):  # noqa: PTH113 - Path.is_file raises where a name is too long
            return sha256_of_file(Path(name))
    except OSError as fault:
        raise io_fault(fault, f"{name} could not be read") from fault
    return sha256_of_file(options.weights) if options.weights else ""


def refuse_changed(name: str, options: SourceOptions, digest: str) -> None:
    """What was read is what the lineage names: a file that was replaced meanwhile is not (BadInput)."""
    if digest_of(name, options) != digest:
        raise BadInput(f"{name} changed while it was read", "wait until it is written, and start again")
