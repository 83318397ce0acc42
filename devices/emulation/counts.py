"""Read what the counting plugin wrote: instructions by class, between a guest's marks.

    total          every instruction
    simd           Advanced SIMD data processing, vector and scalar forms, with the cryptographic instructions
    scalar_float   floating-point data processing on scalars, conversions and moves
    multiply_add   of the two above, those that add a product to each lane: FMLA, FMLS, FMLAL, FMADD, FMSUB, FNMADD, FNMSUB,
                   FCMLA, BFMLALB, BFMLALT; MLA, MLS, SMLAL, UMLAL, SMLSL, UMLSL, SQDMLAL, SQDMLSL, SQRDMLAH, SQRDMLSH
    dot_product    of simd, those that add several products to each lane: SDOT, UDOT, SUDOT, USDOT, BFDOT, and the matrix
                   forms SMMLA, UMMLA, USMMLA, BFMMLA
    loads, stores  all accesses; an atomic read-modify-write is both; prefetches are neither
    vector_loads, vector_stores   of these, into and from a SIMD and floating-point register
    branches       taken or not, with calls and returns
    integer        data processing in general-purpose registers (MADD too: compilers use it for addresses)
    other          system instructions, hints, barriers, prefetches

simd + scalar_float + loads + stores + branches + integer + other is total, but for atomics, which are counted twice.
A count is of instructions, not of lanes: FMLA on four float32 lanes is one.
"""

from __future__ import annotations

import re
from pathlib import Path

from mlpack_edge.core.errors import WorkerFault

CLASSES = (
    "total", "simd", "scalar_float", "multiply_add", "dot_product", "loads", "stores", "vector_loads", "vector_stores",
    "branches", "integer", "other",
)  # fmt: skip
_HINT = "run it again; if it stays so, tell the maintainers with the output of mlpack doctor"


def read_regions(path: Path) -> list[dict[str, int]]:
    """The regions in the order in which they ended, each with every name of CLASSES.

    Raises WorkerFault where there is none, where marks did not pair, or where a line is cut.
    """
    text = path.read_text(encoding="ascii") if path.exists() else ""
    lines = text.splitlines()
    if fault := next((line for line in lines if line.startswith("fault ")), ""):
        raise WorkerFault("instructions were not counted", _HINT, why=fault.removeprefix("fault "))
    regions = [{name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)} for line in lines]
    whole = text.endswith("\n") and all(tuple(region) == CLASSES for region in regions)
    if not regions or not whole:
        why = "a line of the counts is cut" if regions else "the guest marked no region, or ended before its end"
        raise WorkerFault("instructions were not counted", _HINT, why=why)
    return regions
