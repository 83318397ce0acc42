"""What a TFLite file says of itself: metadata, Signature, the names of its inputs and outputs.

Read straight from the flatbuffer (https://flatbuffers.dev/internals/, schema version 3a of TFLite), because on a device
with tflite-runtime alone there is no package that has the schema's classes. Every offset is checked; tables that share
bytes can still make a crafted file slow to read: child processes are for those.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import METADATA_KEY, Signature, signature_from_text

Bytes = bytes | mmap.mmap

_IDENTIFIER = b"TFL3"
#: Operators whose memory outlives a call and is not reset by `reset_all_variables` (schema: BuiltinOperator).
_RESOURCE_OPERATORS = {142, 136}  # VAR_HANDLE, HASHTABLE


@dataclass(frozen=True, slots=True)
class ModelFile:
    """inputs, outputs: name -> index of the tensor, in the order of the graph, under the names of the signature
    definition where the file has one. tensors: the name of every tensor of the main graph.
    keeps_resources: whether an operator keeps resource variables or tables between calls.
    """

    metadata: dict[str, bytes]
    inputs: dict[str, int]
    outputs: dict[str, int]
    tensors: tuple[str, ...]
    keeps_resources: bool


def metadata_of(model: bytes | Path) -> dict[str, bytes]:
    """The metadata entries of a TFLite file by name, as they are stored. Raises BadInput, IoFault."""
    return read_model(model).metadata


def signature_of(model: bytes | Path) -> Signature | None:
    """The Signature that mlpack wrote into the file, None where there is none. Raises BadInput, IoFault."""
    return stored_signature(read_model(model))


def stored_signature(file: ModelFile) -> Signature | None:
    """As `signature_of`, for a file that was read."""
    raw = file.metadata.get(METADATA_KEY)
    return None if raw is None else signature_from_text(raw.decode("utf-8", "replace"))


def read_model(model: bytes | Path) -> ModelFile:
    """Read a file's names and metadata; weights are not touched. Raises BadInput where it is damaged, IoFault."""
    name = "the model" if isinstance(model, bytes) else str(model)
    if isinstance(model, bytes):
        return _read(model, name)
    try:
        with model.open("rb") as stream:
            if not stream.seek(0, 2):
                raise BadInput(f"{name} is empty (0 bytes)", "copy or download it again")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(data, name)
    except OSError as fault:
        raise io_fault(fault, f"{name} could not be read") from fault


def _read(data: Bytes, name: str) -> ModelFile:
    if data[4:8] != _IDENTIFIER:
        raise BadInput(f"{name} is no TFLite model", "mlpack inspect says what it is", why="no TFL3 at byte 4")
    try:
        return _model_file(_Table(data, _unsigned(data, 0)))
    except (struct.error, IndexError, KeyError, RecursionError) as fault:
        raise BadInput(
            f"{name} is a damaged TFLite model: an offset in it leads astray",
            "copy or download it again, and compare its sha256", why=str(fault)[:200] or type(fault).__name__,
        ) from fault  # fmt: skip


def _model_file(model: _Table) -> ModelFile:
    """Field numbers are those of schema.fbs: Model, SubGraph, Tensor, SignatureDef, TensorMap, Metadata, Buffer."""
    graph = next(model.tables(2), None)
    if graph is None:
        raise IndexError("no graph")
    tensors = tuple(tensor.text(3) for tensor in graph.tables(0))
    definition = next((found for found in model.tables(7) if found.number(4, "I") == 0), None)
    buffers = list(model.tables(4))
    codes = {max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)}
    return ModelFile(
        {entry.text(0): buffers[entry.number(1, "I")].raw(0) for entry in model.tables(6)},
        _named(graph.numbers(1), tensors, definition, 0),
        _named(graph.numbers(2), tensors, definition, 1),
        tensors,
        bool(codes & _RESOURCE_OPERATORS),
    )


def _named(order: list[int], tensors: tuple[str, ...], definition: _Table | None, part: int) -> dict[str, int]:
    """Names of the inputs (part 0) or outputs (part 1): the definition's; for what it leaves out, the tensors'."""
    maps = [] if definition is None else list(definition.tables(part))
    named = {entry.text(0): entry.number(1, "I") for entry in maps}
    for index in order:
        if not 0 <= index < len(tensors):
            raise IndexError(f"tensor {index} of {len(tensors)}")
        if index not in named.values():
            name = tensors[index]
            named[name if name and name not in named else f"{name}:{index}"] = index
    place = {index: position for position, index in reversed(list(enumerate(order)))}
    return dict(sorted(named.items(), key=lambda item: place[item[1]]))


def _unsigned(data: Bytes, position: int) -> int:
    return int(_number(data, position, "I"))


def _number(data: Bytes, position: int, code: str) -> Any:
    if position < 0:  # struct would count from the end
        raise IndexError(f"offset {position}")
    return struct.unpack_from("<" + code, data, position)[0]


class _Table:
    """A table of a flatbuffer: fields by their number in the schema."""

    def __init__(self, data: Bytes, position: int) -> None:
        self._data, self._position = data, position
        self._fields = position - int(_number(data, position, "i"))
        self._size = int(_number(data, self._fields, "H"))

    def _place(self, field: int) -> int | None:
        """Where a field stands; None where it is left out."""
        slot = 4 + 2 * field
        offset = int(_number(self._data, self._fields + slot, "H")) if slot + 2 <= self._size else 0
        return self._position + offset if offset else None

    def number(self, field: int, code: str) -> int:
        place = self._place(field)
        return 0 if place is None else int(_number(self._data, place, code))

    def raw(self, field: int) -> bytes:
        """A vector of bytes; a string is one."""
        start, count = self._vector(field, 1)
        return bytes(self._data[start : start + count])

    def text(self, field: int) -> str:
        return self.raw(field).decode("utf-8", "replace")

    def numbers(self, field: int) -> list[int]:
        start, count = self._vector(field, 4)
        return list(struct.unpack_from(f"<{count}i", self._data, start))

    def tables(self, field: int) -> Iterator[_Table]:
        start, count = self._vector(field, 4)
        for place in range(start, start + 4 * count, 4):
            yield _Table(self._data, place + _unsigned(self._data, place))

    def _vector(self, field: int, width: int) -> tuple[int, int]:
        """(start, elements); (0, 0) where it is left out. Raises IndexError where it leads out of the file."""
        place = self._place(field)
        if place is None:
            return 0, 0
        place += _unsigned(self._data, place)
        count = _unsigned(self._data, place)
        if place + 4 + count * width > len(self._data):
            raise IndexError(f"{count:,} elements at byte {place:,} of {len(self._data):,}")
        return place + 4, count
