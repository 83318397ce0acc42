"""Lower a converted model to TFLite, write it beside its final name, and say how it is to be proven.

Apart from `drafts`: the lowering is some sixty modules, which no conversion to ONNX needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.drafts import Draft, write_draft
from mlpack_edge.converters.layers import divergence_of_layers
from mlpack_edge.converters.prove import divergence_of_steps
from mlpack_edge.converters.sources.source import Source
from mlpack_edge.converters.stamping import LINEAGE_KEY, lineage_text
from mlpack_edge.converters.tflite_from_onnx.convert import Lowered, tflite_from_onnx
from mlpack_edge.core.artifact import Lineage
from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.runtimes.litert.source_terms import Narrowed, TfliteModel

Array = NDArray[Any]
Json = dict[str, Any]

#: The batches at which a file with an open batch is run before anything else is asked of it.
BATCHES = (1, 2, 7)


def tflite_draft(source: Source, built: BuiltModel, lineage: Lineage, payload: Json) -> Draft:
    """Lower to TFLite and write the file; where LiteRT cannot run it at other batches than 1, its batch is fixed to 1.

    Raises Unsupported (an operator, by name and node), IoFault, CheckFailed (LiteRT refuses the file). A file that
    ends the process takes the child along, and the draft is removed by who started it.
    """
    metadata = {LINEAGE_KEY: lineage_text(lineage)}
    layout = payload.get("layout") or "keep"
    lowered = tflite_from_onnx(built.model, built.signature, layout=layout, metadata=metadata)
    stopped = _stops(lowered)
    if stopped is not None:
        name, why = stopped
        lowered = tflite_from_onnx(
            built.model,
            built.signature,
            layout=layout,
            metadata=metadata,
            fixed={name: f"LiteRT stops on others: {why}"},
        )
    draft = Path(payload["draft"])
    size = write_draft(lowered.data, draft, payload["output"])
    signature, notes = lowered.signature, lowered.notes
    del lowered
    candidate = TfliteModel(draft)

    def find_divergence(feeds: Mapping[str, Array]) -> Json | None:
        again = source.convert()
        steps = divergence_of_steps(again.model, again.taps, source.step_outputs, feeds)
        return steps or divergence_of_layers(again.model, candidate, feeds)

    return Draft(size, signature, notes, Narrowed(source, candidate.signature), candidate, find_divergence)


def _stops(lowered: Lowered) -> tuple[str, str] | None:
    """The name of the open batch and LiteRT's reason, where it runs the file at batch 1 and not at every other."""
    names = {spec.shape[0] for spec in lowered.signature.inputs if spec.shape}
    batch = next(iter(names)) if len(names) == 1 else 1
    if not isinstance(batch, str):
        return None
    model = TfliteModel(lowered.data)
    for rows in BATCHES:
        feeds = {spec.name: _zeros(spec.shape, spec.dtype, batch, rows) for spec in model.signature.inputs}
        try:
            model.run(feeds)
        except CheckFailed as stop:
            if rows == 1:
                return None  # it runs at no batch: the proof says so
            return batch, stop.why
    return None


def _zeros(shape: tuple[int | str, ...], dtype: str, batch: str, rows: int) -> Array:
    sizes = [size if isinstance(size, int) else rows if size == batch else 8 for size in shape]
    return np.full(sizes, "", object) if dtype == "string" else np.zeros(sizes, dtype)
