"""Measure an ONNX file before it is parsed: two bytes of protobuf become up to 200 bytes of objects.

The wire format (protobuf encoding, proto2) is walked once, iteratively, along the message types of onnx.proto (IR 14),
and the walk stops at the first limit. Long runs of repeated numbers and short texts, as tree ensembles and vocabularies
have them, are skipped by regular expressions, 40 ns an item. Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlpack_edge.core.errors import BadInput

#: The largest graphs in public have some 50,000 nodes; protobuf itself ends at 2 GiB and 100 nested messages.
MAX_BYTES = 2**31 - 1
MAX_NODES = 200_000
MAX_DEPTH = 96
#: Estimated bytes of objects (without tensor data) after parsing, and fields walked one by one (about 3 s).
MAX_STRUCTURE_BYTES = 2 << 30
MAX_FIELDS = 3_000_000
_MESSAGE_BYTES, _TEXT_BYTES = 200, 32

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_TEXT = "text"
_RULES: dict[str, dict[int, str]] = {
    "model": {2: _TEXT, 3: _TEXT, 4: _TEXT, 6: _TEXT, 7: "graph", 8: "opset", 14: "entry", 20: "training",
              25: "function", 26: "leaf"},
    "graph": {1: "node", 2: _TEXT, 5: "tensor", 10: _TEXT, 11: "value", 12: "value", 13: "value", 14: "annotation",
              15: "sparse", 16: "entry"},
    "node": {1: _TEXT, 2: _TEXT, 3: _TEXT, 4: _TEXT, 5: "attribute", 6: _TEXT, 7: _TEXT, 8: _TEXT, 9: "entry",
             10: "device"},
    "attribute": {1: _TEXT, 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 13: _TEXT, 14: "type", 15: "type",
                  21: _TEXT, 22: "sparse", 23: "sparse"},
    "tensor": {3: "leaf", 8: _TEXT, 12: _TEXT, 13: "entry", 16: "entry"},
    "sparse": {1: "tensor", 2: "tensor"},
    "value": {1: _TEXT, 2: "type", 3: _TEXT, 4: "entry"},
    "type": {1: "tensor type", 4: "container", 5: "container", 6: _TEXT, 7: "opaque", 8: "tensor type", 9: "container"},
    "tensor type": {2: "shape"},
    "container": {1: "type", 2: "type"},
    "shape": {1: "dimension"},
    "dimension": {2: _TEXT, 3: _TEXT},
    "opaque": {1: _TEXT, 2: _TEXT},
    "entry": {1: _TEXT, 2: _TEXT},
    "opset": {1: _TEXT},
    "annotation": {1: _TEXT, 2: "entry"},
    "training": {1: "graph", 2: "graph", 3: "entry", 4: "entry"},
    "function": {1: _TEXT, 4: _TEXT, 5: _TEXT, 6: _TEXT, 7: "node", 8: _TEXT, 9: "opset", 10: _TEXT, 11: "attribute",
                 12: "value", 13: _TEXT, 14: "entry"},
    "device": {1: _TEXT, 2: "sharding"},
    "sharding": {1: _TEXT, 3: "leaf", 4: "sharded"},
    "sharded": {2: "leaf"},
    "leaf": {},
}  # fmt: skip
#: By tag byte, as one lookup a field.
_TABLES = {name: {(number << 3) | _LENGTH: rule for number, rule in rules.items()} for name, rules in _RULES.items()}

_SHORT = b"|".join(rb"\x%02x[\s\S]{%d}" % (length, length) for length in range(64))
_FLOATS = re.compile(rb"(?:\x3d[\s\S]{4}){1,4096}+")
_INTS = re.compile(rb"(?:\x40[\x80-\xff]{0,9}[\x00-\x7f]){1,4096}+")
#: Message type -> tag byte -> a run of that field, and the most bytes of memory a byte of it takes.
_RUNS: dict[str, dict[int, tuple[re.Pattern[bytes], int]]] = {
    "attribute": {
        0x3D: (_FLOATS, 1),
        0x40: (_INTS, 4),
        0x4A: (re.compile(rb"(?:\x4a(?:" + _SHORT + rb")){1,4096}+"), _TEXT_BYTES // 2),
    },
    "tensor": {
        0x32: (re.compile(rb"(?:\x32(?:" + _SHORT + rb")){1,4096}+"), _TEXT_BYTES // 2),
        0x08: (re.compile(rb"(?:\x08[\x80-\xff]{0,9}[\x00-\x7f]){1,4096}+"), 4),
    },
}


@dataclass(frozen=True, slots=True)
class WireFacts:
    """nodes: in all graphs and functions. structure_bytes: an upper estimate of what parsing makes of the file."""

    nodes: int
    structure_bytes: int
    depth: int


def measure(data: bytes) -> WireFacts:
    """Walk the file's bytes.

    Raises BadInput (without the file's name) where it is cut short or damaged, holds a text that is no UTF-8, or goes
    beyond one of the limits above.
    """
    if len(data) > MAX_BYTES:
        raise BadInput(
            f"the file has {len(data):,} bytes; an ONNX file has {MAX_BYTES:,} at most",
            "save the weights as external data beside the model: onnx.save(model, path, save_as_external_data=True)",
        )
    return _Walk(data).run()


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.nodes = self.structure = self.fields = self.depth = 0
        #: Where each open message ends, and its type.
        self.open: list[tuple[int, str]] = [(len(data), "model")]

    def run(self) -> WireFacts:
        data, position = self.data, 0
        while self.open:
            end, kind = self.open[-1]
            table = _TABLES[kind]
            runs = _RUNS.get(kind)
            while position < end:
                self._count()
                tag = data[position]
                if runs is not None and tag in runs:
                    pattern, weight = runs[tag]
                    match = pattern.match(data, position, end)
                    if match is not None:
                        self.structure += (match.end() - position) * weight
                        position = match.end()
                        continue
                start = position
                if tag < 0x80:
                    position += 1
                else:
                    tag, position = self._varint(position, end)
                wire = tag & 7
                if wire == _LENGTH:
                    length, position = self._varint(position, end)
                    stop = position + length
                    if stop > end:
                        raise self._damaged(start, f"a field of {length:,} bytes goes beyond its end")
                    rule = table.get(tag)
                    if rule is None:
                        position = stop
                    elif rule is _TEXT:
                        self._text(position, stop)
                        position = stop
                    else:
                        self._enter(rule, stop)
                        break
                elif wire == _VARINT:
                    _, position = self._varint(position, end)
                elif wire in (_FIXED32, _FIXED64):
                    position += 4 if wire == _FIXED32 else 8
                else:
                    raise self._damaged(start, f"there is no wire type {wire} in ONNX")
            else:
                if position > end:
                    raise self._damaged(end, "a number goes beyond its end")
                self.open.pop()
        return WireFacts(self.nodes, self.structure, self.depth)

    def _enter(self, kind: str, stop: int) -> None:
        self.open.append((stop, kind))
        self.depth = max(self.depth, len(self.open))
        self.structure += _MESSAGE_BYTES
        if kind == "node":
            self.nodes += 1
            if self.nodes > MAX_NODES:
                raise BadInput(
                    f"the graph has more than {MAX_NODES:,} nodes, the most mlpack reads",
                    "export the model without unrolling its loops, or split it",
                )
        if len(self.open) > MAX_DEPTH:
            raise BadInput(
                f"messages are nested deeper than {MAX_DEPTH} levels ({self._where()})",
                "sub-graphs this deep do not come from an exporter: make the file again from its source",
            )

    def _count(self) -> None:
        self.fields += 1
        if self.fields > MAX_FIELDS or self.structure > MAX_STRUCTURE_BYTES:
            raise BadInput(
                f"the graph is too large: parsing it would take more than {MAX_STRUCTURE_BYTES >> 30} GB "
                f"or {MAX_FIELDS:,} fields beside the weights",
                "this does not come from an exporter: make the file again from its source",
            )

    def _text(self, start: int, stop: int) -> None:
        text = self.data[start:stop]
        self.structure += _TEXT_BYTES
        if not text.isascii():
            try:
                text.decode("utf-8")
            except UnicodeDecodeError as fault:
                raise BadInput(
                    f"a text in {self._where()} (byte {start:,}) is no UTF-8: {text[:40]!r}",
                    "names in ONNX are UTF-8: export the model again, or rename what has this name",
                    why=fault.reason,
                ) from fault

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        if position < end and (byte := self.data[position]) < 0x80:
            return byte, position + 1
        value = shift = 0
        for index in range(position, min(end, position + 10)):
            byte = self.data[index]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, index + 1
            shift += 7
        raise self._damaged(position, "a number has no end")

    def _where(self) -> str:
        names = [kind for _, kind in self.open]
        return " > ".join(names if len(names) <= 8 else [*names[:4], "...", *names[-3:]])

    def _damaged(self, position: int, why: str) -> BadInput:
        return BadInput(
            f"the file is cut short or damaged at byte {position:,} of {len(self.data):,}, in {self._where()}",
            "copy or download it again, and compare sizes",
            why=why,
        )
