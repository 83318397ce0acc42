"""What runs in the child process: open a model file and make the inputs it will be measured with."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Dimension, Signature
from mlpack_edge.runtimes.array_files import save_arrays
from mlpack_edge.runtimes.data import feeds_from_table, read_table
from mlpack_edge.runtimes.rows import Hints, make_groups

Array = NDArray[Any]
Json = dict[str, Any]
#: Different calls, so that branches and caches see more than one row; fewer where inputs are large.
SETS, MOST_BYTES = 16, 64_000_000
#: The note on inputs that nobody gave.
MADE = "inputs were made from the signature; --data gives it rows of yours"


def make_feeds(payload: Json, stage: Callable[[str], None]) -> Json:
    """Write the inputs of `payload["path"]` to `payload["feeds"]`: an array `set:name` for each set and input.

    Answers {names, sets, batch, beside, digest, notes}. Raises BadInput, and what opening the file raises.
    """
    path = Path(payload["path"])
    stage(f"opening {path}")
    shapes = {name: tuple(sizes) for name, sizes in payload["shapes"].items()}
    signature, beside, tensors = _onnx(path, shapes) if payload["kind"] == "onnx" else _tflite(path)
    notes: list[str] = []
    stage(f"making inputs for {path}")
    sized = sized_signature(signature, shapes, payload["batch"] or None)
    batch = batch_of(sized, signature)
    if payload["data"] and signature.inputs:
        rows = feeds_from_table(read_table(Path(payload["data"])), _batch_open(sized))
        check_sizes(rows, sized, signature, payload["data"])
        sets = _cut(rows, by_row(sized, signature), batch, payload["rows"], notes)
    else:
        sets = _made(sized, signature, batch, payload["rows"])
        notes.append(MADE if signature.inputs else "the model has no inputs: every call is the same")
    ready = [tensors(feeds) for feeds in sets]
    arrays = {f"{place}:{name}": array for place, feeds in enumerate(ready) for name, array in feeds.items()}
    return {
        "names": save_arrays(Path(payload["feeds"]), arrays), "sets": len(ready), "batch": batch, "beside": beside,
        "digest": digest_of(arrays), "notes": notes,
    }  # fmt: skip


def digest_of(arrays: Mapping[str, Array]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes (texts in UTF-8 between zeros), in their order."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str if array.dtype.kind != 'O' else 'text'} {array.shape}\n".encode())
        if array.dtype.kind == "O":
            digest.update("\0".join(map(str, array.ravel().tolist())).encode())
        else:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


Tensors = Callable[[Mapping[str, Array]], dict[str, Array]]


def _onnx(path: Path, shapes: Mapping[str, tuple[Dimension, ...]]) -> tuple[Signature, list[str], Tensors]:
    """The inputs, the names of the files with weights, and the feeds as they are. Outputs may be anything."""
    from mlpack_edge.runtimes.onnx_files.external import external_tensors
    from mlpack_edge.runtimes.onnx_files.file import open_onnx
    from mlpack_edge.runtimes.onnx_files.signature import inputs_from_onnx

    model = open_onnx(path)
    beside = dict.fromkeys(str(item.path.relative_to(path.parent)) for item in external_tensors(model, path.parent))
    return inputs_from_onnx(model, shapes), list(beside), dict


def _tflite(path: Path) -> tuple[Signature, list[str], Tensors]:
    """The signature in the terms of its source, and what turns rows of it into the file's own tensors by place."""
    from mlpack_edge.runtimes.litert.source_terms import TfliteModel

    model = TfliteModel(path)

    def tensors(feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {str(place): array for place, array in enumerate(model.tensors_from_feeds(feeds))}

    return model.signature, [], tensors


def sized_signature(signature: Signature, shapes: Mapping[str, tuple[Dimension, ...]], batch: int | None) -> Signature:
    """`signature` with a number for every size: `shapes` where they name an input, `batch` (1) for the batch.

    Raises BadInput for an input that there is not, another rank, a size that stays open, a batch the model is not fixed to.
    """
    known = {spec.name: spec.shape for spec in signature.inputs}
    for name, shape in shapes.items():
        if name not in known:
            raise BadInput(f"--shape {name}=...: the model has no such input", f"its inputs are {', '.join(known)}")
        if len(shape) != len(known[name]) or any(
            isinstance(own, int) and isinstance(given, int) and own != given
            for own, given in zip(known[name], shape, strict=True)
        ):
            raise BadInput(
                f"--shape {name}={'x'.join(map(str, shape))}: the model takes {list(known[name])}",
                "give a number for each size that is a word",
            )
    firsts = {spec.shape[0] for spec in signature.inputs if spec.shape}
    fixed = {size for size in firsts if isinstance(size, int)}
    if batch is not None and not any(isinstance(size, str) for size in firsts) and fixed != {batch}:
        raise BadInput(
            f"--batch {batch}: the model is fixed to batches of {', '.join(map(str, sorted(fixed))) or 'its own'}",
            "convert it with an open batch (--shape x=batchx...), or leave --batch away",
        )
    sizes: dict[str, int] = {}
    for spec in signature.inputs:
        for own, given in zip(spec.shape, shapes.get(spec.name, spec.shape), strict=True):
            if isinstance(own, str) and isinstance(given, int) and sizes.setdefault(own, given) != given:
                raise BadInput(f"--shape gives {own!r} two sizes: {sizes[own]} and {given}", "give it one")
    for spec in signature.inputs:
        if spec.shape and isinstance(spec.shape[0], str):
            if batch is not None and sizes.get(spec.shape[0], batch) != batch:
                raise BadInput(f"--batch {batch}, but --shape says {sizes[spec.shape[0]]}", "say one of them")
            sizes.setdefault(spec.shape[0], batch or 1)
    return replace(
        signature,
        inputs=tuple(
            replace(spec, shape=tuple(_size(spec.name, spec.shape, size, sizes) for size in spec.shape))
            for spec in signature.inputs
        ),
    )


def _size(name: str, shape: tuple[Dimension, ...], size: Dimension, sizes: Mapping[str, int]) -> int:
    if isinstance(size, int):
        return size
    if size not in sizes:
        example = "x".join(str(one if isinstance(one, int) else sizes.get(one, 224)) for one in shape)
        raise BadInput(
            f"input {name!r} is {list(shape)}: its size {size!r} is open, and a latency depends on it",
            f"say which: --shape {name}={example}",
        )
    return sizes[size]


def batch_of(sized: Signature, signature: Signature) -> int:
    """Rows of a call: the first size that inputs have in common, else 1."""
    firsts = {int(spec.shape[0]) for spec in sized.inputs if spec.shape}
    open_ones = {
        int(now.shape[0])
        for now, was in zip(sized.inputs, signature.inputs, strict=True)
        if was.shape and isinstance(was.shape[0], str)
    }
    return min(open_ones) if open_ones else firsts.pop() if len(firsts) == 1 else 1


def _batch_open(sized: Signature) -> Signature:
    """`sized`, any number of rows: what a table is read against."""
    return replace(
        sized,
        inputs=tuple(
            replace(now, shape=("batch", *now.shape[1:])) if now.shape else now
            for now in sized.inputs
        ),
    )  # fmt: skip


def by_row(sized: Signature, signature: Signature) -> frozenset[str]:
    """The inputs that have a part for each row: of open first size; where there is none, of the batch's. Others (a state
    of [layers, batch, units], a sampling rate) are fed whole to every call."""
    opened = {spec.name for spec in signature.inputs if spec.shape and isinstance(spec.shape[0], str)}
    batch = batch_of(sized, signature)
    return frozenset(opened or {spec.name for spec in sized.inputs if spec.shape and spec.shape[0] == batch})


def check_sizes(rows: Mapping[str, Array], sized: Signature, signature: Signature, data: str) -> None:
    """Raise BadInput, naming the input, where rows of data are not of the sizes that the model takes."""
    counts = {name: len(rows[name]) for name in sorted(by_row(sized, signature)) if rows[name].ndim}
    for spec in sized.inputs:
        found, wanted = rows[spec.name].shape, spec.shape
        if spec.name in by_row(sized, signature):
            wanted = (counts.get(spec.name, "rows"), *wanted[1:])
        if found != wanted:
            raise BadInput(
                f"{data}: {spec.name!r} has the shape {list(found)}, the model takes {list(wanted)} there",
                "give an array of that shape, or other sizes with --shape",
            )
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name!r} {count}" for name, count in counts.items())
        raise BadInput(f"{data} has different numbers of rows: {said}", "give each input the same number of rows")


def _cut(
    rows: Mapping[str, Array], named: frozenset[str], batch: int, wanted: int | None, notes: list[str]
) -> list[dict[str, Array]]:
    """Sets of `batch` rows of the inputs `named`, the others whole; from the start again where there are fewer."""
    counts = [len(array) for name, array in rows.items() if name in named]
    if not counts:
        return [dict(rows)]
    count = min(counts)
    sets = _sets(batch, wanted, sum(rows[name].nbytes for name in named) / count)
    if wanted is None:
        sets = max(1, min(sets, count // batch))
    places = np.arange(sets * batch) % count
    if count < batch:
        notes.append(f"the data has {count} rows, a batch {batch}: its rows are repeated")
    return [
        {name: array[places[start : start + batch]] if name in named else array for name, array in rows.items()}
        for start in range(0, sets * batch, batch)
    ]


def _sets(batch: int, wanted: int | None, row_bytes: float) -> int:
    if wanted is not None:
        return max(1, -(-wanted // batch))
    return max(1, min(SETS, int(MOST_BYTES / max(row_bytes * batch, 1))))


def _made(sized: Signature, signature: Signature, batch: int, wanted: int | None) -> list[dict[str, Array]]:
    row_bytes = sum(8.0 * math.prod(map(int, spec.shape)) for spec in sized.inputs) / max(batch, 1)
    sets = _sets(batch, wanted, row_bytes)
    if _is_table(signature):
        opened = _batch_open(sized)
        rows = next(iter(make_groups(opened, Hints(), sets * batch))).feeds
        return [
            {name: array[start : start + batch] for name, array in rows.items()}
            for start in range(0, sets * batch, batch)
        ]
    groups = make_groups(sized, Hints(), sets * batch)
    return [dict(group.feeds) for group, _ in zip(groups, range(sets), strict=False)]


def _is_table(signature: Signature) -> bool:
    return all(len(spec.shape) == 2 and isinstance(spec.shape[0], str) for spec in signature.inputs)
