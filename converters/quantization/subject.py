"""The model that is quantized: opened, converted, and written as the float file that everything is held against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.drafts import write_draft
from mlpack_edge.converters.opening import Stage, digest_of, kind_of, open_source, refuse_changed
from mlpack_edge.converters.quantization.judged_rows import refuse_unfit
from mlpack_edge.converters.quantization.open_sizes import naming_sizes
from mlpack_edge.converters.quantization.values import Json, Recipe
from mlpack_edge.converters.quantized_parity import is_quantized
from mlpack_edge.converters.sources.source import Source, SourceOptions
from mlpack_edge.converters.stamping import LINEAGE_KEY, lineage_of, lineage_text, stamp
from mlpack_edge.core.artifact import Lineage
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.data import Table
from mlpack_edge.runtimes.onnxruntime import OnnxRunner
from mlpack_edge.runtimes.parity import Runner
from mlpack_edge.runtimes.row_streams.head import head_of
from mlpack_edge.runtimes.rows import Hints

Array = NDArray[Any]
#: Operators that only a quantized file has, beside those that compute with codes.
_STORED = ("DequantizeLinear", "MatMulNBits", "MatMulBnb4", "GatherBlockQuantized")
_FOUR_BITS = (onnx.TensorProto.INT4, onnx.TensorProto.UINT4)


@dataclass(frozen=True, slots=True)
class Subject:
    """reference: the source in the terms of the files to be written. float_file: what `mlpack convert` would write. head: the
    first rows of DATA, None without."""

    name: str
    to: str
    source: Source
    built: BuiltModel
    lineage: Lineage
    reference: Runner
    float_file: Path
    notes: tuple[str, ...]
    head: Table | None = None

    @property
    def signature(self) -> Signature:
        return self.built.signature

    def lineage_with(self, recipe: Recipe, how: Json) -> Lineage:
        """That of a file quantized by `recipe`. how: what else shaped it."""
        options = {"recipe": json.dumps(recipe.to_json(), sort_keys=True), **{k: json.dumps(v) for k, v in how.items()}}
        return replace(self.lineage, options=tuple(sorted({**dict(self.lineage.options), **options}.items())))

    def runner(self, file: bytes | Path) -> Runner:
        """A draft, answering in the terms of the source. Raises CheckFailed where its runtime refuses it."""
        return runner_of(file, self.to, self.signature)


def runner_of(file: bytes | Path, to: str, signature: Signature) -> Runner:
    """A file of the format `to`, in the terms of its source, whose ONNX signature is `signature`."""
    if to == "onnx":
        return OnnxRunner(file, signature)
    from mlpack_edge.runtimes.litert.source_terms import TfliteModel

    return TfliteModel(file)


def source_options(payload: Json) -> SourceOptions:
    """How the source is opened; of DATA only the first rows are read, for the types of its columns."""
    data = payload["data"] or payload["evaluation"]
    return SourceOptions(
        data=head_of(Path(data)) if data else None,
        shapes={name: tuple(sizes) for name, sizes in payload["shapes"]},
        dtype=payload["dtype"],
        weights=Path(payload["weights"]) if payload["weights"] else None,
        trust_pickle=payload["trust_pickle"],
    )


def open_subject(payload: Json, stage: Stage) -> Subject:
    """Open and convert `payload["model"]`, and write the float file into `payload["scratch"]`.

    Raises what opening and converting raise; before that BadInput and IoFault where the rows that the command line names do
    not fit the source; Unsupported for a model that is quantized already.
    """
    name, to, options = payload["model"], payload["to"], source_options(payload)
    kind_of(name)  # what is no model is refused before gigabytes of it are hashed
    digest = digest_of(name, options)
    source = open_source(name, options, stage)
    refuse_unfit(payload, source.signature)  # converting can take long
    stage(f"converting {name}")
    float_file = Path(payload["scratch"], f"float.{to}")
    with naming_sizes(source.signature, options.data):
        built = source.convert()
        refuse_quantized(name, built.model)
        lineage = lineage_of(source.kind, digest, payload)
        refuse_changed(name, options, digest)
        reference, notes = _float_file(source, built, lineage, to, float_file, payload)
    return Subject(name, to, source, built, lineage, reference, float_file, (*source.notes(), *notes), options.data)


def _float_file(
    source: Source, built: BuiltModel, lineage: Lineage, to: str, path: Path, payload: Json
) -> tuple[Runner, tuple[str, ...]]:
    """Write the float file: (the source in its terms, what should be known of it)."""
    if to == "onnx":
        stamped = onnx.ModelProto()
        stamped.CopyFrom(built.model)
        stamp(stamped, built.signature, lineage, built.taps)
        write_draft(stamped.SerializeToString(), path, payload["output"])
        return source, ()
    from mlpack_edge.converters.tflite_drafts import tflite_draft

    draft = tflite_draft(source, built, lineage, {"draft": str(path), "output": payload["output"], "layout": "keep"})
    return draft.reference, draft.notes


@dataclass(frozen=True, slots=True)
class Original:
    """The source again, answering in the terms of a file made of it."""

    reference: Runner
    hints: Hints


def reference_of(payload: Json, signature: Signature, candidate: Runner, stage: Stage) -> Original:
    """What a file is proven against. signature: of the ONNX model that the file was made of; candidate: the file."""
    source = open_source(payload["model"], source_options(payload), stage)
    source.adopt(signature)
    if payload["to"] == "onnx":
        return Original(source, source.hints())
    from mlpack_edge.runtimes.litert.source_terms import Narrowed

    return Original(Narrowed(source, candidate.signature), source.hints())


def refuse_quantized(name: str, model: onnx.ModelProto) -> None:
    """Codes of codes lose twice, and nobody could say of which model (Unsupported)."""
    why = _quantized_by(model)
    if why is None:
        return
    raise Unsupported(
        f"{name} is quantized already",
        "quantize the float model that it was made of; mlpack convert lowers this one to TFLite as it is", why=why,
    )  # fmt: skip


def _quantized_by(model: onnx.ModelProto) -> str | None:
    """What says that a model is quantized: its own lineage, its operators, or constants of 4 bits."""
    for entry in model.metadata_props:
        if entry.key == LINEAGE_KEY and (recipe := _recipe_in(entry.value)):
            return f"mlpack quantize wrote it, with --scheme {recipe}"
    found = sorted({node.op_type for node in model.graph.node if node.op_type in _STORED})
    if found or is_quantized(model):
        return f"it holds {', '.join(found)}" if found else "its operators compute with codes"
    coded = next((tensor.name for tensor in model.graph.initializer if tensor.data_type in _FOUR_BITS), None)
    return f"its constant {coded} has 4 bits a number" if coded else None


def _recipe_in(lineage: str) -> str:
    try:
        return str(json.loads(json.loads(lineage)["options"]["recipe"])["scheme"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""  # a conversion, or an entry that mlpack did not write


def metadata_of(lineage: Lineage) -> Mapping[str, str]:
    """What a TFLite file carries beside its signature."""
    return {LINEAGE_KEY: lineage_text(lineage)}
