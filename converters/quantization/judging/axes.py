"""Along which axes an output is cut into slices, so that no quiet column hides behind a loud one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

#: An axis this many times as long as another counts positions (anchors, pixels, steps), the other what is said of each.
POSITIONS = 8
#: Slices beyond which an axis is not cut up: the statistics of each take memory.
MOST_SLICES = 1 << 16


def slice_axes(sizes: Sequence[int | None], named: Sequence[bool]) -> tuple[int, ...]:
    """The axes of which every index is a slice, by the sizes of all axes; none where the output is one slice.

    sizes: None for axes that are never cut: the rows, and those whose size changes between batches. named: whether the
    signature leaves the size open, as it does for positions (a sequence, the anchors of an image of any size).

    - `[N, C]`: the columns. `[N, 84, 8400]`, `[N, 8400, 85]`: 84 and 85, since an axis POSITIONS times as long as the
      shortest counts positions.
    - `[N, 64, 100]`: both.
    - Feature maps `[N, C, H, W]`, `[N, H, W, C]`, `[N, A, H, W, C]`: neighbours of one size are height and width, and the others
      are cut. Where no two are of one size, the first and the last are: channels are one of them.

    Where several axes are cut, the worst slice of any counts, so that a guess hides nothing.
    """
    axes = [axis for axis, size in enumerate(sizes) if size is not None and 1 < size <= MOST_SLICES]
    settled = [axis for axis in axes if not named[axis]]
    axes = settled or axes
    if len(axes) > 2:
        spatial = _height_and_width(axes, sizes)
        return tuple(axis for axis in axes if axis not in spatial)
    if len(axes) == 2:
        short, long = sorted(axes, key=lambda axis: (_size(sizes, axis), axis))
        axes = [short] if _size(sizes, long) >= POSITIONS * _size(sizes, short) else axes
    return tuple(axes)


def _height_and_width(axes: Sequence[int], sizes: Sequence[int | None]) -> tuple[int, ...]:
    """Two neighbouring axes of one size, else all but the first and the last."""
    for one, other in pairwise(axes):
        if other == one + 1 and sizes[one] == sizes[other]:
            return one, other
    return tuple(axes[1:-1])


def _size(sizes: Sequence[int | None], axis: int) -> int:
    return sizes[axis] or 0
