"""ONNX files by the shape of their protobuf: protobuf has no magic number, so the top-level fields are walked."""

from __future__ import annotations

from mlpack_edge.runtimes.recognise.foreign import SAVED_MODEL, Foreign
from mlpack_edge.runtimes.recognise.kinds import Kind, Look

#: ModelProto of onnx.proto (IR 14): field number -> wire type.
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_GRAPH = 7
_MAX_FIELDS = 20_000
_FROZEN = Foreign(
    "a frozen TensorFlow graph",
    "export it to ONNX where TensorFlow is installed: python -m tf2onnx.convert --graphdef FILE --output model.onnx",
)


def onnx(look: Look) -> Kind | None:
    """ONNX where every top-level field is one of ModelProto, ends inside the file, and one is the graph."""
    seen: list[int] = []
    position = 0
    while position < look.size:
        block = look.read(position, 24)
        tag, used = _varint(block, 0)
        number, wire = tag >> 3, tag & 7
        value, end = _varint(block, used)
        # A later onnx may add fields; protobuf readers keep what they do not know.
        later = bool(seen) and max(_MODEL_FIELDS) < number < 100 and wire in (0, 2)
        if used == 0 or end == 0 or not (later or _MODEL_FIELDS.get(number) == wire):
            break
        position += end + (value if wire == 2 else 0)
        if number not in seen or number == _GRAPH:
            seen.append(number)
        if position > look.size:
            _refuse_cut(look, seen, f"field {number} ends at byte {position:,} of {look.size:,}")
            return None
    return _judge(look, seen, position == look.size)


def _judge(look: Look, seen: list[int], whole: bool) -> Kind | None:
    if whole and _GRAPH in seen:
        return Kind.ONNX
    if seen[:2] == [1, 2] and b"\x0a" in look.head[:8] and b"serve" in look.head:
        raise look.refuse(SAVED_MODEL)
    if _GRAPH in seen and seen[0] in (1, _GRAPH):
        raise look.cut(Kind.ONNX, "an ONNX model", "there are bytes after the graph that are no ONNX")
    if whole and seen and seen[0] == 1:
        _refuse_cut(look, seen, "it has no graph")
    if b"\x12\x0bPlaceholder" in look.head and look.head[:1] == b"\x0a":
        raise look.refuse(_FROZEN)
    return None


def _refuse_cut(look: Look, seen: list[int], why: str) -> None:
    """Raise for a file that begins like ONNX and ends too early; one that only might be protobuf passes."""
    if seen[:2] == [1, 2] and b"\x0a" in look.head[2:12] and b"serve" in look.head:
        raise look.refuse(SAVED_MODEL)
    if seen[0] == 1 or (seen[0] == _GRAPH and look.head[1:2] not in (b"", b"\0")):
        raise look.cut(Kind.ONNX, "an ONNX model", why)


def _varint(block: bytes, start: int) -> tuple[int, int]:
    """(value, position behind it); position 0 where there is no whole varint at `start`."""
    value = shift = 0
    for position in range(start, min(len(block), start + 10)):
        value |= (block[position] & 0x7F) << shift
        if block[position] < 0x80:
            return value, position + 1
        shift += 7
    return 0, 0
