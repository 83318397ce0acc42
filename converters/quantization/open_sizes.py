"""The --shape options to type for a model that leaves sizes open, where a refusal may hang on that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlpack_edge.core.errors import MlpackError
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.data import Table

#: What an open size is taken for where no rows tell, by the rank of the input: samples of a sound, steps of a sequence, edge of
#: an image.
_USUAL = {1: 1, 2: 512, 3: 128, 4: 224}

#: What lowering says of a graph whose way hangs on sizes.
_AT_RUN_TIME = "known only when the model runs"


def shape_options(signature: Signature, data: Table | None) -> str:
    """`--shape input=1x576 --shape state=2x1x128`: a call of one row; "" where no size is open.

    Sizes are those of the rows in `data` where it holds arrays by the inputs' names, else usual ones.
    """
    arrays = data.arrays if data is not None else {}
    batch = {spec.shape[0] for spec in signature.inputs if spec.shape and isinstance(spec.shape[0], str)}
    sizes: dict[str, int] = dict.fromkeys(sorted(map(str, batch)), 1)
    for spec in signature.inputs:
        array = arrays.get(spec.name, arrays.get("") if len(signature.inputs) == 1 else None)
        found = array.shape if array is not None and array.ndim == len(spec.shape) else ()
        for place, size in enumerate(spec.shape):
            if isinstance(size, str) and size not in sizes:
                beside = bool(batch) and isinstance(spec.shape[0], int)  # [layers, batch, units]: a state
                usual = _USUAL.get(len(spec.shape), 16)
                sizes[size] = 1 if beside else found[place] if found else usual
    return " ".join(f"--shape {spec.name}={_shape(spec, sizes)}" for spec in signature.inputs if spec.is_dynamic)


def _shape(spec: TensorSpec, sizes: Mapping[str, int]) -> str:
    return "x".join(str(size if isinstance(size, int) else sizes[size]) for size in spec.shape)


@contextmanager
def naming_sizes(signature: Signature, data: Table | None) -> Iterator[None]:
    """Errors that may hang on open sizes say with which options those are fixed, where there are any."""
    try:
        yield
    except MlpackError as fault:
        line = shape_options(signature, data)
        if line and "--shape" in fault.hint:
            fault.hint = f"{fault.hint}; with sizes as yours have them, like: {line}"
        elif line and _AT_RUN_TIME in fault.why:
            fault.hint = f"{fault.hint}; or fix the sizes that the model leaves open, like: {line}"
        raise
