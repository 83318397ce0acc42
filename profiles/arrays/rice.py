"""The Rice code of many reports of one spec at once (`wire.rice` says what it is).

What is said to be right here is so; what is not is left to `wire.report` to refuse by name. Two widths of arithmetic: 32 bits
for the reports of up to 65,535 rows without noise that nearly all are, 64 bits for any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.layout import PREDICTIONS, ROWS, TIMED
from mlpack_edge.profiles.profile import LIMIT
from mlpack_edge.profiles.spec import OUTCOMES
from mlpack_edge.profiles.wire.report import ReportFormat
from mlpack_edge.profiles.wire.rice import PARAMETERS, PLAIN

Array = NDArray[Any]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOTALS = (ROWS, PREDICTIONS, TIMED)
#: Totals up to this are for 32 bits: times a share, and as a counter's size.
NARROW = (1 << 16) - 1
#: Bits of a number half as wide as the arithmetic: `quotient << r` stays below.
_ROOM = {False: 30, True: 51}
#: Up to so many cells times parameters are tried at once, not one parameter after another.
_TABLE = 1 << 16
#: Groups up to so many are cheaper gone through one by one.
_MANY = 24
#: The most bits of remainder that a word holds behind 7 bits of another.
_WIDEST = {False: 25, True: 56}


class Layout:
    """A spec's vector as arrays."""

    def __init__(self, form: ReportFormat) -> None:
        self.starts = np.array([group.start for group in form.groups])
        self.sizes = np.array([group.size for group in form.groups])
        self.stops = self.starts + self.sizes
        self.size = int(self.stops[-1])
        self.group_of = np.repeat(np.arange(len(self.starts)), self.sizes)
        self.total_of = np.array([TOTALS.index(group.total) for group in form.groups])
        #: Sums of a group in 32 bits hold that many counters.
        self.narrow = int(self.sizes.max()) < 1 << 14
        kinds = np.stack([self.total_of, self.sizes])
        self.kinds, self.kind_of = np.unique(kinds, axis=1, return_inverse=True)
        self.shares = np.array(form.shares, np.uint64)
        #: The largest share of each group: where nothing is expected by it, nothing is in the whole group.
        self.largest = np.maximum.reduceat(self.shares, self.starts).astype(np.int64)
        self.ok = int(self.starts[-1]) + OUTCOMES.index("ok")

    def expected(self, totals: Array, dtype: type[np.unsignedinteger[Any]]) -> Array:
        """e of every counter: `[reports, counters]` from `[reports, totals]`."""
        found = np.empty((len(totals), self.size), dtype)
        shares, totals = self.shares.astype(dtype), totals.astype(dtype)
        for start, stop, kind in self._runs():
            np.multiply(totals[:, kind : kind + 1], shares[start:stop], out=found[:, start:stop])
        found >>= dtype(16)
        return found

    def _runs(self) -> list[tuple[int, int, int]]:
        """Stretches of counters under one total."""
        bounds = [0, *(np.flatnonzero(np.diff(self.total_of)) + 1).tolist(), len(self.starts)]
        return [
            (int(self.starts[first]), int(self.stops[last - 1]), int(self.total_of[first]))
            for first, last in pairwise(bounds)
        ]


@dataclass(frozen=True, slots=True)
class Streams:
    """What reports hold of their counters: totals `[reports, 3]`, parameters uint8 `[reports, groups]`, the streams' bytes."""

    totals: Ints
    parameters: NDArray[np.uint8]
    unary: Sequence[bytes]
    low: Sequence[bytes]

    def take(self, rows: Ints) -> Streams:
        unary, low = ([given[row] for row in rows.tolist()] for given in (self.unary, self.low))
        return Streams(self.totals[rows], self.parameters[rows], unary, low)

    def lengths(self) -> tuple[Ints, Ints]:
        return np.fromiter(map(len, self.unary), np.int64), np.fromiter(map(len, self.low), np.int64)


def ones(packed: Sequence[bytes]) -> Ints:
    """How many bits are set in each."""
    lengths = np.fromiter(map(len, packed), np.int64, len(packed))
    counted = np.bitwise_count(np.frombuffer(b"".join(packed) + b"\0", np.uint8))
    found: Ints = np.add.reduceat(counted, lengths.cumsum() - lengths, dtype=np.int64)
    return np.where(lengths, found, 0)


def decode(layout: Layout, streams: Streams, *, wide: bool, out: Array | None = None) -> tuple[Array, Bools]:
    """Counters int32 or int64 `[reports, counters]`, and for which reports they are right; they are written to `out`, int32 or int64 of
    the same shape, where it is given. Every report has as many set bits in its unary stream as there are counters, and
    parameters below 64; not wide: totals up to NARROW, no noise."""
    word: Any = np.uint64 if wide else np.uint32
    signed: Any = np.int64 if wide else np.int32
    top = word(63 if wide else 31)
    unary_bytes, low_bytes = streams.lengths()
    expected = layout.expected(streams.totals, word)
    plain = streams.parameters >= PLAIN
    for group in np.flatnonzero(plain.any(axis=0)).tolist():
        expected[plain[:, group], layout.starts[group] : layout.stops[group]] = 0
    widths = _half_bits(expected)
    k = streams.parameters & (PLAIN - 1)
    raised = np.flatnonzero(k.any(axis=0)).tolist()
    if len(raised) > _MANY:
        widths += k.take(layout.group_of, axis=1)
    else:
        for group in raised:
            widths[:, layout.starts[group] : layout.stops[group]] += k[:, group : group + 1]
    widest = widths.max(axis=1).astype(np.int64)
    # Quotients are shorter than their stream, so that this bounds every code.
    right = (widest <= _WIDEST[wide]) & (
        unary_bytes * 8 < np.left_shift(1, np.maximum(_ROOM[wide] - widest, 0), dtype=np.int64)
    )
    widths[~right] = 0

    quotients, ends = _quotients(streams.unary, unary_bytes, layout.size)
    right &= unary_bytes * 8 - ends[:, -1] <= 8
    bits = widths.astype(word)
    offsets = np.cumsum(widths if wide else bits, axis=1, dtype=np.int32)
    right &= (offsets[:, -1] + 7) >> 3 == low_bytes
    right &= _padding_is_zero(streams.low, offsets[:, -1], right)
    aligned = _aligned(streams.low, low_bytes, offsets - (widths if wide else bits.view(np.int32)), right, word)
    flags = None if wide else _flags(quotients, aligned)
    codes = quotients.astype(word) if wide else quotients.view(word)
    codes <<= bits
    aligned >>= word(1)
    aligned >>= np.subtract(top, bits, out=bits)
    codes |= aligned
    signs = np.bitwise_and(codes, word(1), out=aligned)
    codes >>= word(1)
    codes ^= np.negative(signs.view(signed), out=signs.view(signed)).view(word)
    counts = np.add(codes.view(signed), expected.view(signed), out=codes.view(signed) if out is None else out)

    if wide:
        right &= np.abs(counts).max(axis=1) < LIMIT
        right &= counts.min(axis=1) >= 0
    else:
        right &= counts.view(word).max(axis=1) <= NARROW
    sums = np.add.reduceat(counts, layout.starts, axis=1, dtype=signed)
    whole = (sums == streams.totals[:, layout.total_of]).all(axis=1)
    right &= whole & (counts[:, layout.ok] == streams.totals[:, TOTALS.index(PREDICTIONS)])

    best = _Best(layout, streams, counts)
    if flags is None:
        everything = np.broadcast_to(right[:, None], plain.shape)
        right &= best.parameters_are(everything, streams.parameters)
        return counts, right
    quotient_sums = _group_sums(ends, layout) - layout.sizes
    quotient_sums[:, 0] += 1
    spent = quotient_sums + layout.sizes + _group_sums(offsets, layout)
    flag_sums = np.add.reduceat(flags, layout.starts, axis=1, dtype=np.uint32)
    odd, high = (flag_sums & 0xFFFF).astype(np.int64), (flag_sums >> 16).astype(np.int64)
    right &= (((quotient_sums + odd) >> 1 <= layout.sizes) | (k == PLAIN - 1)).all(axis=1)
    right &= ((quotient_sums + high > layout.sizes) | (k == 0)).all(axis=1)
    # Where nothing is expected, plain parameters take as many bits as the others, which are the smaller of equals.
    expecting = streams.totals[:, layout.total_of] * layout.largest >= 1 << 16
    unsure = (plain | ((spent > _least_plain(layout, streams.totals)) & expecting)) & right[:, None]
    right &= best.parameters_are(unsure, streams.parameters)
    return counts, right


def _flags(quotients: NDArray[np.int32], aligned: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Of each counter, whether its quotient is odd (bit 0) and its remainder begins with a one (bit 16)."""
    flags = aligned >> np.uint32(15)
    flags &= np.uint32(1 << 16)
    flags |= (quotients & 1).view(np.uint32)
    return flags


def _half_bits(expected: Array) -> NDArray[np.uint8]:
    """The bits of each number, halved and rounded down."""
    least = 2
    found: NDArray[np.uint8] = (expected >= expected.dtype.type(least)).view(np.uint8)
    largest = int(expected.max(initial=0))
    while (least := 4 * least) <= largest:
        found += (expected >= expected.dtype.type(least)).view(np.uint8)
    return found


def _quotients(unary: Sequence[bytes], lengths: Ints, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Zeros before each one, `[reports, counters]`, and where in its stream each one is."""
    bits = np.unpackbits(np.frombuffer(b"".join(unary), np.uint8))
    ends = np.flatnonzero(bits.view(bool)).astype(np.int32).reshape(len(unary), size)
    ends -= ((lengths.cumsum() - lengths) * 8).astype(np.int32)[:, None]
    quotients = np.empty_like(ends)
    quotients[:, 0] = ends[:, 0] + 1
    np.subtract(ends[:, 1:], ends[:, :-1], out=quotients[:, 1:])
    quotients -= 1
    return quotients, ends


def _aligned(low: Sequence[bytes], lengths: Ints, begins: NDArray[np.int32], right: Bools, word: Any) -> Array:
    """Words whose highest bits are the remainders. begins: where in its stream each one begins; it is overwritten."""
    size = np.dtype(word).itemsize
    buffer = b"".join(low) + bytes(size)
    words = np.ndarray((len(buffer) - size + 1,), f">u{size}", buffer, strides=(1,)).astype(word)
    begins += ((lengths.cumsum() - lengths) * 8).astype(np.int32)[:, None]
    if not right.all():
        begins[~right] = 0  # so that no place lies outside, and none needs to be clipped
    found = words.take((begins >> 3).astype(np.intp), mode="wrap")
    begins &= 7
    found <<= begins.view(np.uint32)
    return found


def _padding_is_zero(low: Sequence[bytes], needed: NDArray[np.int32], right: Bools) -> Bools:
    last = np.fromiter((part[-1] if part else 0 for part in low), np.int64, len(low))
    spare = -needed.astype(np.int64) & 7
    clean: Bools = right & (last & ((1 << spare) - 1) == 0)
    return clean


def _group_sums(ends: Array, layout: Layout) -> Ints:
    """Sums by group from running sums `[reports, counters]`."""
    at = ends.take(layout.stops - 1, axis=1).astype(np.int64)
    found: Ints = np.diff(at, axis=1, prepend=0)
    return found


def _least_plain(layout: Layout, totals: Ints) -> Ints:
    """No plain parameter takes fewer bits than this for counters that sum to the total, `[reports, groups]`.

    With r > 0 bits of remainder a counter c takes 1 + r bits and a quotient of at least (c + 1) / 2**(r - 1) - 1, together
    size * r + (total + size) / 2**(r - 1); this is least, of all real r, where the two derivatives are equal. With none it takes
    1 + 2 c.
    """
    total, size = totals[:, layout.kinds[0]], layout.kinds[1]
    least = size * (np.log2((total / size + 1) * math.log(2)) + 1 + 1 / math.log(2))
    found: Ints = np.minimum(least.astype(np.int64), size + 2 * total)[:, layout.kind_of.reshape(-1)]
    return found


class _Best:
    """The exact parameter of chosen groups, by trying."""

    def __init__(self, layout: Layout, streams: Streams, counts: Array) -> None:
        self._layout, self._totals, self._counts = layout, streams.totals, counts

    def parameters_are(self, chosen: Bools, given: NDArray[np.uint8]) -> Bools:
        """For each report: whether all its chosen groups (`[reports, groups]`) have the best parameter."""
        right = np.ones(len(given), bool)
        reports, found = np.nonzero(chosen)
        if len(reports):
            right[reports[self._best(reports, found) != given[reports, found]]] = False
        return right

    def _best(self, reports: Ints, found: Ints) -> Ints:
        sizes = self._layout.sizes[found]
        begins = sizes.cumsum() - sizes
        within = np.arange(int(sizes.sum())) - np.repeat(begins, sizes)
        columns = np.repeat(self._layout.starts[found], sizes) + within
        counts = self._counts[np.repeat(reports, sizes), columns].astype(np.int64)
        totals = np.repeat(self._totals[reports, self._layout.total_of[found]], sizes).astype(np.uint64)
        expected = ((totals * self._layout.shares[columns]) >> np.uint64(16)).astype(np.int64)
        widths = np.frexp(expected.astype(np.float64))[1].astype(np.int64) >> 1
        bits, near = _fewest(_zigzag(counts - expected) >> widths, widths, begins, sizes)
        plain_bits, plain = _fewest(_zigzag(counts), np.zeros_like(widths), begins, sizes)
        return np.where(bits <= plain_bits, near, PLAIN + plain)


def _zigzag(numbers: Ints) -> Ints:
    return (numbers << 1) ^ (numbers >> 63)


def _fewest(quotients: Ints, widths: Ints, begins: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Fewest bits and the first k that takes them, for each stretch of cells."""
    base = np.add.reduceat(widths, begins) + sizes
    count = min(int(quotients.max(initial=0)).bit_length() + 1, PARAMETERS - PLAIN)  # more only add bits
    if count * len(quotients) <= _TABLE:
        ks = np.arange(count)[:, None]
        every = np.add.reduceat(quotients >> ks, begins, axis=1) + ks * sizes
        best = every.argmin(axis=0)
        return base + every[best, np.arange(len(sizes))], best
    bits = base + np.add.reduceat(quotients, begins)
    best = np.zeros_like(bits)
    for k in range(1, count):
        quotients = quotients >> 1
        tried = base + k * sizes + np.add.reduceat(quotients, begins)
        fewer = tried < bits
        if not fewer.any():  # the gain only shrinks
            break
        best[fewer], bits = k, np.minimum(tried, bits)
    return bits, best
