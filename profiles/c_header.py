"""A spec as tables in C, for devices/c/mlpack_profile.c. Standard library alone.

A device has no need to write numbers out: the texts of a vocabulary that some number is looked up under are tables of those
numbers too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.profiles.cells import category_text
from mlpack_edge.profiles.counting import category_cells
from mlpack_edge.profiles.layout import Group, groups, shares
from mlpack_edge.profiles.spec import INPUT, MOST_STEPS, OUTPUT, Categorical, Numeric, Spec

#: The sizes of tables are numbers of 16 bits.
_MOST_CELLS = 1 << 16
_A_LINE = 8


def c_header(spec: Spec, digest: bytes, name: str = "model") -> str:
    """The header's text. digest: of the spec (`spec_file.digest`). name: begins every name in it: `<name>_spec`, and the sizes
    of the memory a profile takes, `<NAME>_COUNTERS` and `<NAME>_SUMS` (at least 1).

    Raises BadInput for a name that is none in C, and Unsupported for a spec beyond what 16 bits address.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise BadInput(f"{name!r} cannot begin names in C", "lower-case letters, digits and _, a letter first")
    parts = groups(spec)
    features = [part for part in parts if part.feature is not None]
    _check(spec, features)
    inputs = sum(part.feature is not None and part.feature.source.role == INPUT for part in features)
    lines = [
        f"/* What is counted of the model {spec.model_sha256[:16]}..., spec {digest.hex()[:16]}...",
        " * Written by mlpack_edge.profiles.c_header: not to be edited. */",
        f"#ifndef MLPACK_{name.upper()}_H",
        f"#define MLPACK_{name.upper()}_H",
        "",
        '#include "mlpack_profile.h"',
        "",
        f"#define {name.upper()}_COUNTERS {parts[-1].stop}",
        f"#define {name.upper()}_SUMS {max(len(spec.numeric), 1)}",
        "",
    ]
    rows: list[str] = []
    for number, part in enumerate(features):
        tables, row = _feature(f"{name}_{number}", part)
        lines += tables
        rows.append(row)
    lines += _table("mlpack_feature", f"{name}_features", rows or ["{0}"], a_line=1)
    lines += _table("uint32_t", f"{name}_shares", map(str, shares(spec)), a_line=16)
    lines += [
        f"static const mlpack_spec {name}_spec = {{",
        f"  {_bytes(digest)},",
        f"  {_bytes(bytes.fromhex(spec.model_sha256))},",
        f"  {name}_features, {inputs}, {len(features) - inputs}, {len(spec.numeric)}, {int(spec.confidence)},",
        f"  {parts[-1].stop}, {name}_shares}};",
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _check(spec: Spec, features: list[Group]) -> None:
    roles = [part.feature.source.role for part in features if part.feature is not None]
    if roles != sorted(roles, key=(INPUT, OUTPUT).index):
        raise Unsupported("an output stands before an input in the spec", "make the spec with `mlpack profile spec`")
    for part in features:
        feature = part.feature
        if part.size >= _MOST_CELLS or len(features) >= _MOST_CELLS:
            raise Unsupported(f"{part.name} has {part.size} counters, beyond 16 bits", "count it in fewer cells")
        if isinstance(feature, Categorical) and len(feature.categories) + len(feature.known) >= _MOST_CELLS:
            raise Unsupported(f"{part.name} knows {len(feature.known)} values, beyond 16 bits", "count fewer of them")
        if isinstance(feature, Numeric):
            ends = (feature.edges[0] - feature.centre, feature.edges[-1] - feature.centre)
            if not max(map(abs, ends)) / feature.step < MOST_STEPS:
                raise Unsupported(f"{part.name} spans more than 2**31 steps", "make its step larger")


def _feature(name: str, part: Group) -> tuple[list[str], str]:
    """The tables of a feature, and its row in the table of features."""
    feature = part.feature
    nothing = "0, 0, NULL, 0.0, 0.0"
    if isinstance(feature, Numeric):
        numbers = f"{part.sum_index}, {len(feature.edges)}, {name}_edges, {_double(feature.centre)}, {_double(1 / feature.step)}"
        tables = _table("double", f"{name}_edges", map(_double, feature.edges))
        return tables, f"{{MLPACK_NUMERIC, {part.size}, {part.start}, {numbers}, 0, 0, 0, NULL, NULL, NULL}}"
    if not isinstance(feature, Categorical):
        return [], f"{{MLPACK_PRESENCE, {part.size}, {part.start}, {nothing}, 0, 0, 0, NULL, NULL, NULL}}"
    cells = category_cells(feature)
    texts = sorted((text.encode(errors="surrogatepass"), cell) for text, cell in cells.items() if "\0" not in text)
    floats = sorted((number, cells[text]) for text, number in _floats(cells).items())
    integers = sorted((number, cells[text]) for text, number in _integers(cells).items())
    written = {
        "text": [f"{{{_string(text)}, {cell}}}" for text, cell in texts],
        "number": [f"{{{_double(number)}, {cell}}}" for number, cell in floats],
        "integer": [f"{{{_integer(number)}, {cell}}}" for number, cell in integers],
    }
    tables = [
        line
        for kind, rows in written.items()
        if rows
        for line in _table(f"mlpack_{kind}_cell", f"{name}_{kind}s", rows, 4)
    ]
    names = ", ".join(f"{name}_{kind}s" if rows else "NULL" for kind, rows in written.items())
    sizes = ", ".join(str(len(rows)) for rows in written.values())
    return tables, f"{{MLPACK_CATEGORICAL, {part.size}, {part.start}, {nothing}, {sizes}, {names}}}"


def _floats(cells: Mapping[str, int]) -> dict[str, float]:
    """The finite doubles that are looked up under a text."""
    found: dict[str, float] = {}
    for text in cells:
        try:
            number = float(text)
        except ValueError:
            continue
        if math.isfinite(number) and category_text(number) == text:
            found[text] = number
    return found


def _integers(cells: Mapping[str, int]) -> dict[str, int]:
    """The integers of 64 bits that are looked up under a text."""
    found: dict[str, int] = {}
    for text in cells:
        if re.fullmatch(r"-?[0-9]{1,19}", text) and text == str(int(text)) and -(1 << 63) <= int(text) < 1 << 63:
            found[text] = int(text)
    return found


def _table(kind: str, name: str, rows: Iterable[str], a_line: int = _A_LINE) -> list[str]:
    found = list(rows)
    lines = [", ".join(found[at : at + a_line]) for at in range(0, len(found), a_line)]
    return [f"static const {kind} {name}[] = {{", *(f"  {line}," for line in lines), "};", ""]


def _double(number: float) -> str:
    """Exact, whatever the compiler makes of decimal numbers."""
    return number.hex()


def _integer(number: int) -> str:
    return "INT64_MIN" if number == -(1 << 63) else f"INT64_C({number})"


def _bytes(digest: bytes) -> str:
    return "{" + ", ".join(f"0x{byte:02x}" for byte in digest[:16]) + "}"


def _string(text: bytes) -> str:
    """A C string; octal escapes, which are never longer than three digits and take in nothing that follows."""
    plain = b" !#$%&'()*+,-./:;<=>@[]^_`{|}~"
    return (
        '"' + "".join(chr(byte) if bytes([byte]).isalnum() or byte in plain else f"\\{byte:03o}" for byte in text) + '"'
    )
