"""A model opened for scoring: its runner, cut where that is proven, and what its outputs look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.batch.scoring.blocks import Blocks, blocks_of
from mlpack_edge.batch.scoring.coded import Coded, coded, proven
from mlpack_edge.batch.scoring.outputs import Answer, answer
from mlpack_edge.batch.scoring.runner import BlockRunner, OnnxBlocks, TfliteBlocks
from mlpack_edge.batch.scoring.samples import ordinary_rows
from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Category, Signature
from mlpack_edge.runtimes.litert.model_file import signature_of as stored_signature
from mlpack_edge.runtimes.onnx_files.file import open_onnx
from mlpack_edge.runtimes.onnx_files.signature import signature_from_onnx
from mlpack_edge.runtimes.onnx_files.tensors import all_tensors

Array = NDArray[Any]


#: Rows on which a model that takes any number of them is tried when it is opened.
TRIED = 3


@dataclass(frozen=True, slots=True)
class Opened:
    """cut: the model with its texts cut off, None where `runner` takes the signature's inputs as they are."""

    signature: Signature
    blocks: Blocks
    runner: BlockRunner
    answers: tuple[Answer, ...]
    cut: Coded | None = None
    notes: tuple[str, ...] = ()


def signature_of(model: ModelFile) -> Signature:
    """What the model takes and gives; nothing of it is run. Raises BadInput, Unsupported, IoFault."""
    path = Path(model.path)
    if _is_onnx(model):
        return signature_from_onnx(open_onnx(path))
    return stored_signature(path) or TfliteBlocks(path).signature


def open_model(model: ModelFile) -> Opened:
    """Raises BadInput where the model does not open or does not score rows, CheckFailed where it does not run."""
    return _open_onnx(model) if _is_onnx(model) else _open_tflite(model)


def _is_onnx(model: ModelFile) -> bool:
    if model.format not in ("onnx", "tflite"):
        raise BadInput(
            f"{model.path} is {model.format or 'of no known format'}, not ONNX or TFLite", "mlpack convert it first"
        )
    return model.format == "onnx"


def _open_onnx(model: ModelFile) -> Opened:
    path = Path(model.path)
    graph = open_onnx(path)
    signature = signature_from_onnx(graph)
    blocks = blocks_of(signature)
    whole = OnnxBlocks(path, [spec.name for spec in signature.inputs])
    made = _ran(whole, signature, blocks)
    cut, note = _cut(graph, whole, signature, blocks)
    classes: Mapping[str, tuple[Category, ...]] = cut.classes if cut else {}
    return Opened(
        signature, blocks, cut.runner if cut else whole, _answers(model.prefix, signature, blocks, made, classes), cut,
        (note,) if note else (),
    )  # fmt: skip


def _cut(graph: onnx.ModelProto, whole: BlockRunner, signature: Signature, blocks: Blocks) -> tuple[Coded | None, str]:
    """The cut model where it is proven, and what there is to say where it is not."""
    texts = any(spec.dtype == "string" for spec in (*signature.inputs, *signature.outputs))
    outside = any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor, _ in all_tensors(graph))
    if not texts or outside or blocks.batch is not None:
        return None, ""
    try:
        cut = coded(graph)
    except (BadInput, CheckFailed) as fault:
        return None, f"texts are fed as texts: the graph without them does not run ({fault.why or fault.message})"
    if cut is None:
        return None, ""
    why = proven(whole, cut, signature, blocks.rows)
    return (None, f"texts are fed as texts: coded, {why}") if why else (cut, "")


def _open_tflite(model: ModelFile) -> Opened:
    runner = TfliteBlocks(Path(model.path))
    signature = runner.signature
    blocks = blocks_of(signature)
    made = _ran(runner, signature, blocks)
    texts = bool(signature.classes) and all(isinstance(label, str) for label in signature.classes)
    labels = {
        spec.name: signature.classes
        for spec in signature.outputs
        if texts and spec.role == "label" and made[spec.name].dtype.kind in "iu"
    }
    return Opened(signature, blocks, runner, _answers(model.prefix, signature, blocks, made, labels))


def _ran(runner: BlockRunner, signature: Signature, blocks: Blocks) -> dict[str, Array]:
    """What the model gives for three rows (its batch): ordinary ones, or where it stops on those, all zeros."""
    feeds = ordinary_rows(signature, blocks.batch or TRIED)
    try:
        made = runner.run(feeds)
    except CheckFailed:
        made = runner.run({name: _nothing(array) for name, array in feeds.items()})
    absent = [spec.name for spec in signature.outputs if spec.name not in made]
    if absent:
        raise BadInput(
            f"the signature in the model names the output {absent[0]!r}, which its graph has not",
            "convert the model again from its source", why=f"the graph has {', '.join(made)}",
        )  # fmt: skip
    return made


def _nothing(array: Array) -> Array:
    return np.full(array.shape, "", object) if array.dtype.kind == "O" else np.zeros_like(array)


def _answers(
    prefix: str,
    signature: Signature,
    blocks: Blocks,
    made: Mapping[str, Array],
    classes: Mapping[str, tuple[Category, ...]],
) -> tuple[Answer, ...]:
    return tuple(
        answer(
            spec.name,
            prefix + spec.name,
            np.asarray(made[spec.name]),
            blocks.batch or TRIED,
            classes.get(spec.name, ()),
        )
        for spec in signature.outputs
    )
