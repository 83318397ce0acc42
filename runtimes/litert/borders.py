"""One input or output of a TFLite file: between what callers hold (real numbers, texts) and what the tensor holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Category, Column, Dimension, Signature, TensorSpec
from mlpack_edge.runtimes.category_codes import codes_from_text, labels_from_codes

Array = NDArray[Any]
#: "real": quantized tensors are fed and given as real numbers (float32); "codes": as the integers they hold.
Values = Literal["real", "codes"]


@dataclass(frozen=True, slots=True)
class Quantization:
    """real = scale * (code - zero point), scales and zero points one a tensor, or one a slice along `axis`."""

    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int = 0

    def codes(self, array: Array, dtype: np.dtype[Any]) -> Array:
        """As QUANTIZE rounds: half away from zero, in float32, then clipped.

        Mirrors AffineQuantize of LiteRT's kernels/internal/reference/quantize.h. Raises BadInput for NaN.
        """
        if np.isnan(array).any():
            raise BadInput("NaN has no code in a quantized tensor", "fill missing values first")
        steps = array.astype(np.float32) / self._along(self.scales, array.ndim)
        whole = np.trunc(steps)
        rounded = whole + np.where(np.abs(steps - whole) >= 0.5, np.copysign(np.float32(1), steps), 0)
        limits = np.iinfo(dtype)
        moved = rounded.astype(np.float64) + self._along(self.zero_points, array.ndim)
        return np.clip(moved, limits.min, limits.max).astype(dtype)

    def reals(self, codes: Array) -> Array:
        """float32, as DEQUANTIZE computes them (kernels/internal/reference/dequantize.h)."""
        steps = codes.astype(np.int64) - self._along(self.zero_points, codes.ndim)
        return (steps * self._along(self.scales.astype(np.float64), codes.ndim)).astype(np.float32)

    def _along(self, values: Array, rank: int) -> Array:
        if values.size == 1:
            return values.reshape(())
        return values.reshape([-1 if dimension == self.axis else 1 for dimension in range(rank)])


@dataclass(frozen=True, slots=True)
class Border:
    """A tensor as the file declares it. shape: -1 where a size varies."""

    name: str
    index: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    quantization: Quantization | None

    def is_real(self, values: Values) -> bool:
        """Whether callers hold real numbers where the tensor holds codes."""
        return self.quantization is not None and values == "real"


def border_of(name: str, details: Mapping[str, Any]) -> Border:
    """From what LiteRT's `get_tensor_details` says. Raises BadInput for tensors of text."""
    dtype = np.dtype(details["dtype"])
    if dtype.kind not in "biufc":
        raise BadInput(
            f"{name!r} is a tensor of {dtype.name}, which mlpack does not feed to TFLite", "use integer codes for texts"
        )
    return Border(name, int(details["index"]), dtype, _declared(details), quantization_of(details))


def quantization_of(details: Mapping[str, Any]) -> Quantization | None:
    """How a tensor is quantized, None where it is not."""
    found = details["quantization_parameters"]
    if np.dtype(details["dtype"]).kind not in "iu" or not len(found["scales"]):
        return None
    zero_points = np.asarray(found["zero_points"], np.int64)
    return Quantization(np.asarray(found["scales"], np.float32), zero_points, int(found["quantized_dimension"]))


def _declared(details: Mapping[str, Any]) -> tuple[int, ...]:
    declared = details["shape_signature"]
    return tuple(int(size) for size in (declared if len(declared) == len(details["shape"]) else details["shape"]))


def spec_of(border: Border, values: Values) -> TensorSpec:
    """What the file itself says: a first size that varies is "batch", any other is called after its tensor."""
    shape: list[Dimension] = [
        size if size >= 0 else ("batch" if place == 0 else f"{border.name}_dim{place}")
        for place, size in enumerate(border.shape)
    ]
    return TensorSpec(border.name, "float32" if border.is_real(values) else border.dtype.name, tuple(shape))


def real_numbers(signature: Signature) -> Signature:
    """`signature` as callers see it who feed and get real numbers: codes that have a grid are float32."""

    def of(spec: TensorSpec) -> TensorSpec:
        return spec if spec.grid is None else replace(spec, dtype="float32", grid=None)

    return replace(signature, inputs=tuple(map(of, signature.inputs)), outputs=tuple(map(of, signature.outputs)))


def fitting(specs: Sequence[TensorSpec], borders: Mapping[str, Border], what: str) -> None:
    """Raise BadInput where a signature and the file contradict each other in names or shapes."""
    missing = [spec.name for spec in specs if spec.name not in borders]
    if missing or len(specs) != len(borders):
        raise BadInput(
            f"the signature's {what}s are not those of the TFLite file",
            "pass the signature that the model was converted with",
            why=f"signature: {', '.join(spec.name for spec in specs)}; file: {', '.join(borders)}",
        )
    for spec in specs:
        declared = borders[spec.name].shape
        same = len(spec.shape) == len(declared) and all(
            have < 0 or said == have for said, have in zip(spec.shape, declared, strict=True)
        )
        if not same:
            raise BadInput(
                f"the signature says {what} {spec.name!r} is {list(spec.shape)}, the TFLite file says "
                f"{_shape_text(declared)}",
                "pass the signature that the model was converted with",
            )


def tensor_from_feed(border: Border, array: Array, columns: Sequence[Column], values: Values) -> Array:
    """What the tensor takes, of the fed array's shape. Raises BadInput, naming the input.

    columns: those of this input; texts become the codes of their columns' categories.
    """
    if array.dtype.kind in "OUT":
        array = _coded(border, array, columns)
    elif border.is_real(values):
        if array.dtype.kind != "f":
            raise _wrong_dtype(border, array, "float32 (its tensor is quantized; codes are fed with io='codes')")
    elif array.dtype != border.dtype:
        raise _wrong_dtype(border, array, border.dtype.name)
    if len(array.shape) != len(border.shape) or any(
        want >= 0 and have != want for have, want in zip(array.shape, border.shape, strict=True)
    ):
        raise BadInput(
            f"input {border.name!r} was fed {list(array.shape)}, it takes {_shape_text(border.shape)}",
            "feed that shape; ? is any size",
        )
    if border.is_real(values) and border.quantization is not None and array.dtype.kind == "f":
        return border.quantization.codes(array, border.dtype)
    return np.asarray(array, order="C")


def feed_from_tensor(border: Border, array: Array, classes: Sequence[Category], values: Values) -> Array:
    """What callers get of an output's tensor. classes: texts that the tensor holds the codes of, if any."""
    if classes:
        return labels_from_codes(array, classes)
    if border.is_real(values) and border.quantization is not None:
        return border.quantization.reals(array)
    return array


def coded_classes(signature: Signature, border: Border, role: str) -> tuple[Category, ...]:
    """The classes that a label output holds codes of: only texts are coded, classes that are numbers stand there."""
    texts = bool(signature.classes) and all(isinstance(label, str) for label in signature.classes)
    return signature.classes if role == "label" and texts and border.dtype.kind in "iu" else ()


def _coded(border: Border, array: Array, columns: Sequence[Column]) -> Array:
    """Texts `[N, F]` (or `[N]`) as codes, each column by its own categories."""
    tables = {column.index: column for column in columns if column.categories}
    width = array.shape[1] if array.ndim == 2 else 1
    bare = [place for place in range(width) if place not in tables]
    if bare or array.ndim > 2:
        raise BadInput(
            f"input {border.name!r} was fed texts, and the file has no table of their codes",
            "feed the integer codes themselves",
            why=f"column {bare[0]} has no categories" if bare else f"an array of {array.ndim} dimensions",
        )
    if array.ndim == 1:
        return codes_from_text(array, tables[0].categories).astype(border.dtype)
    codes = [codes_from_text(array[:, place], tables[place].categories) for place in range(width)]
    return np.stack(codes, axis=1).astype(border.dtype) if codes else array.astype(border.dtype)


def _wrong_dtype(border: Border, array: Array, takes: str) -> BadInput:
    return BadInput(f"input {border.name!r} was fed {array.dtype.name}, it takes {takes}", "convert the array first")


def _shape_text(shape: Sequence[int]) -> str:
    return f"[{', '.join('?' if size < 0 else str(size) for size in shape)}]"
