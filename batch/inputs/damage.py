"""What Arrow raises for damaged files, as one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

#: Damage comes as any of these; OSError without a number is Arrow's own.
FAULTS = (pa.ArrowException, OSError, ValueError, OverflowError)


@contextmanager
def as_bad_input(where: str, hint: str = "make the file again from its source") -> Iterator[None]:
    """Raise BadInput that begins with `where` for what a reader of files raises, IoFault for the system's refusals."""
    try:
        yield
    except MemoryError:  # Arrow's is an ArrowException too; no damage
        raise
    except FAULTS as fault:
        if isinstance(fault, OSError) and fault.errno:
            raise io_fault(fault, where) from fault
        raise BadInput(where, hint, why=first_line(fault)) from fault


def first_line(fault: BaseException) -> str:
    """The first line of what a library says, at most 300 characters."""
    lines = str(fault).strip().splitlines()
    return lines[0][:300] if lines else type(fault).__name__
