"""A model file and the inputs it is run with on a target."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.runtimes.array_files import load_arrays
from mlpack_edge.runtimes.recognise.sniff import sniff
from mlpack_edge.runtimes.worker import Limits, run_isolated

Array = NDArray[Any]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedModel:
    """path: the file. beside: names of the files beside it that hold its weights. sha256: of the file, or of it and
    those. batch: rows of a call, 1 where the model has no batch. feeds: one set of inputs after the other, as the runtime
    takes them: by name for ONNX, by place ("0", "1", ...) in their elements' own dtype for TFLite. notes: what was
    assumed.
    """

    name: str
    path: Path
    format: str
    sha256: str
    bytes: int
    beside: tuple[str, ...]
    batch: int
    feeds: tuple[Mapping[str, Array], ...]
    input_digest: str
    notes: tuple[str, ...] = ()


def prepare(
    path: Path, data: Path | None = None, batch: int | None = None, shapes: Mapping[str, tuple[int | str, ...]] | None = None,
    rows: int | None = None, limits: Limits | None = None, on_stage: Callable[[str], None] | None = None,
) -> PreparedModel:  # fmt: skip
    """Open a model in a child process with limits and make its inputs: rows of `data`, else made from the signature.

    batch: rows of a call [the model's own, else 1]. shapes: sizes that the model leaves open, by input. rows: how many
    rows there should be in all; by default a few different calls. Raises BadInput (what is neither ONNX nor TFLite,
    an open size nobody named, another batch than the model is fixed to), and what opening the file raises.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        raise BadInput(
            f"the name of {path} is not in the encoding of this locale, and runtimes take no other names",
            "rename the file, or set LC_ALL=C.UTF-8",
        )
    kind = str(sniff(path))
    if kind not in ("onnx", "tflite"):
        raise BadInput(
            f"{path} is a {kind} model, which no target runs as it is",
            f"mlpack convert {path} -o model.onnx, and measure that",
        )
    with scratch_folder() as folder:
        made = Path(folder, "feeds.npz")
        answer = run_isolated(
            "mlpack_edge.runtimes.measuring.feeds:make_feeds",
            {
                "path": str(path), "kind": kind, "data": str(data) if data else None, "batch": batch, "rows": rows,
                "shapes": {name: list(sizes) for name, sizes in (shapes or {}).items()}, "feeds": str(made),
            },
            limits, str(path), on_stage,
        )  # fmt: skip
        arrays = load_arrays(made, answer["names"])
    sets: list[dict[str, Array]] = [{} for _ in range(answer["sets"])]
    for name, array in arrays.items():
        place, _, own = name.partition(":")
        sets[int(place)][own] = array
    digest, size = digest_of_files(path, answer["beside"])
    return PreparedModel(
        str(path), path, kind, digest, size, tuple(answer["beside"]), answer["batch"], tuple(sets),
        answer["digest"], tuple(answer["notes"]),
    )  # fmt: skip


def digest_of_files(path: Path, beside: Sequence[str]) -> tuple[str, int]:
    """(SHA-256, bytes) of a model file and of those beside it that hold its weights. Raises IoFault."""
    digest, size = hashlib.sha256(), 0
    for part in (path, *(path.parent / name for name in beside)):
        try:
            with part.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
                    size += len(block)
        except OSError as fault:
            raise io_fault(fault, f"{part} could not be read") from fault
    return digest.hexdigest(), size
