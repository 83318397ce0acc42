"""Counters as what differs from an expectation, in few bits.

A counter c of a group with total t and reference share q (1/65,536, `layout.shares`) is expected to be e = t q >> 16. What is
written is the zigzag z of c - e (0, -1, 1, -2, ... are 0, 1, 2, 3, ...) in a Rice code of r bits: the quotient z >> r as zeros that
end with a one, the r lower bits as they are. r follows e: a counter that is expected to be 400 strays by about 20, so
r = (bits of e >> 1) + k, where the group's parameter is k, 0 to 31. A parameter of 32 + r, r 0 to 31, takes e as 0 and r for all
counters of the group. The parameter is that of the fewest bits, the smallest of equals. (R. F. Rice, Some practical universal
noiseless coding techniques, JPL 79-22, 1979.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

#: Parameters from this on take nothing as expected. There are twice as many.
PLAIN = 32
PARAMETERS = 2 * PLAIN


def zigzag(number: int) -> int:
    return number << 1 if number >= 0 else ~(number << 1)


def unzigzag(code: int) -> int:
    return code >> 1 ^ -(code & 1)


def expectations(total: int, shares: Sequence[int]) -> list[int]:
    return [total * share >> 16 for share in shares]


def parameter(counts: Sequence[int], expected: Sequence[int]) -> int:
    """The parameter of the fewest bits for a group's counters."""
    near = [(zigzag(count - e), e.bit_length() >> 1) for count, e in zip(counts, expected, strict=True)]
    bits, best = _fewest([z >> r for z, r in near], sum(r for _, r in near))
    plain_bits, plain = _fewest([zigzag(count) for count in counts], 0)
    return best if bits <= plain_bits else PLAIN + plain


def _fewest(quotients: list[int], remainders: int) -> tuple[int, int]:
    """Bits and k for quotients and bits of remainders at k = 0. One more bit of remainder halves the quotients: the gain only
    shrinks from k to k, so the first k that gains nothing is behind the best."""
    bits = sum(quotients) + remainders
    for k in range(PLAIN):
        halved = [quotient >> 1 for quotient in quotients]
        more = bits - sum(quotients) + sum(halved) + len(quotients)
        if more >= bits or k == PLAIN - 1:
            break
        bits, quotients = more, halved
    return bits, k


def widths(parameter: int, expected: Sequence[int]) -> list[int]:
    """r for each counter of a group."""
    if parameter >= PLAIN:
        return [parameter - PLAIN] * len(expected)
    return [(e.bit_length() >> 1) + parameter for e in expected]


def codes(parameter: int, counts: Sequence[int], expected: Sequence[int]) -> list[int]:
    """z for each counter of a group."""
    if parameter >= PLAIN:
        return [zigzag(count) for count in counts]
    return [zigzag(count - e) for count, e in zip(counts, expected, strict=True)]


def counters(parameter: int, codes: Sequence[int], expected: Sequence[int]) -> list[int]:
    """The counters of a group from their z."""
    if parameter >= PLAIN:
        return [unzigzag(code) for code in codes]
    return [unzigzag(code) + e for code, e in zip(codes, expected, strict=True)]


def unary(quotients: Iterable[int]) -> bytes:
    """Each quotient as so many zeros and a one, first bit highest, zeros behind the last up to a whole byte."""
    return _packed("".join("0" * quotient + "1" for quotient in quotients))


def low(codes: Iterable[int], widths: Iterable[int]) -> bytes:
    """The lower bits of each code, the highest first, zeros behind the last up to a whole byte."""
    return _packed("".join(f"{code & (1 << r) - 1:0{r}b}" for code, r in zip(codes, widths, strict=True) if r))


def _packed(bits: str) -> bytes:
    length = (len(bits) + 7) >> 3
    return int(bits.ljust(8 * length, "0") or "0", 2).to_bytes(length, "big")


def bit_text(packed: bytes) -> str:
    """The bits as a text of 0 and 1."""
    return f"{int.from_bytes(packed, 'big'):0{8 * len(packed)}b}" if packed else ""


def remainders(bits: str, widths: Iterable[int]) -> Iterator[int]:
    """The numbers of `low`, from its bits."""
    at = 0
    for r in widths:
        yield int(bits[at : at + r], 2) if r else 0
        at += r
