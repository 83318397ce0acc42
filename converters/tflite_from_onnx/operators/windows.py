"""How a kernel moves over the spatial axes of a convolution or a pool, and TFLite's two kinds of padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import Size


@dataclass(frozen=True, slots=True)
class Window:
    """A kernel along one axis of `size`. begin, end: padding; None is what TFLite's SAME gives at any size.

    ceil: the last window may reach over the end (ONNX's ceil_mode).
    """

    size: Size
    kernel: int
    stride: int = 1
    dilation: int = 1
    begin: int | None = 0
    end: int | None = 0
    ceil: bool = False

    @property
    def reach(self) -> int:
        """How much of the axis the kernel spans."""
        return (self.kernel - 1) * self.dilation + 1

    def out(self) -> Size | None:
        """How often the kernel fits; None where that is not known by number or by name."""
        if self.stride == 1 and (self.begin is None or self.begin + (self.end or 0) == self.reach - 1):
            return self.size
        if isinstance(self.size, str):
            return None
        if self.begin is None or self.end is None:
            return -(-self.size // self.stride)
        room = self.size + self.begin + self.end - self.reach
        if not self.ceil:
            return room // self.stride + 1
        out = -(-room // self.stride) + 1
        return out - 1 if (out - 1) * self.stride >= self.size + self.begin else out

    def is_same(self) -> bool:
        """Whether the padding is exactly that of TFLite's SAME, at every size that the axis can have."""
        if self.begin is None or self.end is None:
            return True
        if isinstance(self.size, int):
            out = -(-self.size // self.stride)
            return self.out() == out and _halves(self.size, self) == (
                self.begin,
                (out - 1) * self.stride + self.reach - self.size - self.begin if self.ceil else self.end,
            )
        if self.stride == 1:
            return (self.begin, self.end) == ((self.reach - 1) // 2, self.reach // 2)
        return self.ceil and self.reach == self.stride == 2 and not self.begin and not self.end

    def is_valid(self) -> bool:
        """Whether TFLite's VALID does as it is."""
        return not self.begin and not self.end and self.begin is not None and not self.ceil

    def padded(self) -> Window | None:
        """The same window with the padding that makes VALID give as many outputs; None where its size is not known."""
        if self.begin is None or self.end is None:
            return None
        if not self.ceil or self.stride == 1:
            return replace(self, ceil=False)
        out = self.out()
        if not isinstance(out, int) or not isinstance(self.size, int):
            return None
        needed = (out - 1) * self.stride + self.reach - self.size - self.begin
        return replace(self, end=max(needed, min(self.end, needed + self.stride - 1), 0), ceil=False)


def _halves(size: int, window: Window, *, lower: bool = False) -> tuple[int, int]:
    """The padding of SAME: half before and half after, an odd one after (SAME_UPPER, TFLite) or before (SAME_LOWER)."""
    total = max((-(-size // window.stride) - 1) * window.stride + window.reach - size, 0)
    return (total - total // 2, total // 2) if lower else (total // 2, total - total // 2)


def windows_of(node: Node, sizes: Sequence[Size], kernel: Sequence[int]) -> list[Window]:
    """The windows of Conv, MaxPool, AveragePool, LpPool over axes of `sizes`.

    Refused: padding below 0, and SAME_LOWER where the size of the axis is open and decides the padding.
    """
    rank = len(sizes)
    if len(kernel) != rank:
        raise node.refuse(f"its kernel has {len(kernel)} axes and its input {rank} spatial ones")
    strides = [int(item) for item in node.attr("strides", None) or [1] * rank]
    dilations = [int(item) for item in node.attr("dilations", None) or [1] * rank]
    pads = [int(item) for item in node.attr("pads", None) or [0] * 2 * rank]
    auto = str(node.attr("auto_pad", "NOTSET"))
    if len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank:
        raise node.refuse(f"strides, dilations or pads do not fit its {rank} spatial axes")
    if min(strides) < 1 or min(dilations) < 1:
        raise node.refuse("a stride or a dilation is below 1")
    ceil = bool(node.attr("ceil_mode", 0))
    made = []
    for axis, size in enumerate(sizes):
        window = Window(size, int(kernel[axis]), strides[axis], dilations[axis])
        if auto == "NOTSET":
            window = replace(window, begin=pads[axis], end=pads[rank + axis], ceil=ceil)
        elif auto in ("SAME_UPPER", "SAME_LOWER"):
            window = _same(node, window, lower=auto == "SAME_LOWER")
        elif auto == "VALID":
            window = replace(window, ceil=ceil)
        else:
            raise node.refuse(f"auto_pad {auto!r} is none of the standard's")
        if (window.begin or 0) < 0 or (window.end or 0) < 0:
            raise node.refuse("its padding is below 0")
        out = window.out()
        if isinstance(out, int) and out < 1:
            raise node.refuse(f"its kernel spans {window.reach} places, and its padded image has fewer")
        made.append(window)
    return made


def _same(node: Node, window: Window, *, lower: bool) -> Window:
    if isinstance(window.size, int):
        begin, end = _halves(window.size, window, lower=lower)
        return replace(window, begin=begin, end=end)
    if window.stride == 1:
        total = window.reach - 1
        begin = total - total // 2 if lower else total // 2
        return replace(window, begin=begin, end=total - begin)
    if lower:
        raise node.refuse(
            f"auto_pad SAME_LOWER pads by the size {window.size}, which is open", "fix the size with --shape NAME=..."
        )
    return replace(window, begin=None, end=None)


def output_sizes(windows: Sequence[Window], inferred: Sequence[Size]) -> tuple[Size, ...]:
    """The spatial sizes of the output: computed where they can be, by inference's name elsewhere."""
    made = []
    for window, size in zip(windows, inferred, strict=True):
        out = window.out()
        made.append(size if out is None else out)
    return tuple(made)


def elements(windows: Sequence[Window]) -> int:
    """How many elements a kernel has."""
    return math.prod(window.kernel for window in windows)
