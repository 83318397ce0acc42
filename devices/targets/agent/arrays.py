"""Arrays by name, set by set, as bytes in files and frames."""

from __future__ import annotations

import json
from typing import Any, Dict, List


def unpacked(packed: bytes) -> List[Dict[str, Any]]:
    """Arrays by name, set by set: a line of JSON `[[{name, dtype, shape, bytes}]]`, then their bytes, C order."""
    import numpy

    line, _, rest = packed.partition(b"\n")
    sets, at = [], 0
    for entries in json.loads(line):
        arrays = {}
        for entry in entries:
            block, at = rest[at : at + entry["bytes"]], at + entry["bytes"]
            if entry["dtype"] == "string":
                flat = numpy.array([*json.loads(block), None], object)[:-1]
            else:
                flat = numpy.frombuffer(block, numpy.dtype(entry["dtype"]))
            arrays[entry["name"]] = flat.reshape(entry["shape"]).copy()
        sets.append(arrays)
    return sets


def packed(sets: List[Dict[str, Any]]) -> bytes:
    """The reverse of `unpacked`."""
    import numpy

    heads, blocks = [], []
    for arrays in sets:
        entries = []
        for name, value in arrays.items():
            array = numpy.asarray(value)
            if array.dtype.kind in "OUS":
                block, dtype = json.dumps([str(item) for item in array.ravel().tolist()]).encode(), "string"
            else:
                block, dtype = numpy.ascontiguousarray(array).tobytes(), array.dtype.str
            entries.append({"name": name, "dtype": dtype, "shape": list(array.shape), "bytes": len(block)})
            blocks.append(block)
        heads.append(entries)
    return json.dumps(heads).encode() + b"\n" + b"".join(blocks)
