"""Write a converted model beside its final name, and say how it is to be proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.prove import divergence_of_steps
from mlpack_edge.converters.sources.source import Source
from mlpack_edge.converters.stamping import stamp
from mlpack_edge.core.artifact import Lineage
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.onnxruntime import OnnxRunner
from mlpack_edge.runtimes.parity import Runner

Array = NDArray[Any]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that is written and not yet proven. reference, candidate: the source and the file in the same terms."""

    bytes: int
    signature: Signature
    notes: tuple[str, ...]
    reference: Runner
    candidate: Runner
    find_divergence: Callable[[Mapping[str, Array]], Json | None]


def onnx_draft(source: Source, built: BuiltModel, lineage: Lineage, payload: Json) -> Draft:
    """Write the ONNX file. Raises IoFault; CheckFailed where ONNX Runtime does not load it."""
    stamp(built.model, built.signature, lineage, built.taps)
    draft, taps = Path(payload["draft"]), built.taps
    size = write_draft(built.model.SerializeToString(), draft, payload["output"])
    return Draft(
        size, built.signature, (), source, OnnxRunner(draft, built.signature),
        lambda feeds: divergence_of_steps(onnx.load(draft), taps, source.step_outputs, feeds),
    )  # fmt: skip


def write_draft(data: bytes, draft: Path, output: str) -> int:
    """Write the draft; returns its bytes. Raises IoFault naming the output."""
    try:
        return draft.write_bytes(data)
    except OSError as fault:
        raise io_fault(fault, f"{output} could not be written") from fault
