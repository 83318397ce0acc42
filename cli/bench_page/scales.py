"""From values to positions on a chart, and where to put ticks. Pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

STEPS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps [low, high] onto [start, end] (pixels, in either direction), by logarithm if `log` (then 0 < low < high)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The position of `value`, held inside [start, end]."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def inside(self, value: float) -> bool:
        return self.low <= value <= self.high


def log_range(values: Iterable[float], room: float = 0.04, least: float = 1.02) -> tuple[float, float]:
    """Bounds for a logarithmic axis: those of the positive values, widened by `room` of their logarithmic span on each side,
    at least a factor of `least` apart. (1, 10) where no value is positive."""
    found = [value for value in values if value > 0 and math.isfinite(value)]
    if not found:
        return 1.0, 10.0
    low, high = min(found), max(found)
    middle, half = math.sqrt(low) * math.sqrt(high), math.sqrt(high / low)
    half = max(half, math.sqrt(least)) ** (1 + 2 * room)
    return middle / half, middle * half


def linear_range(values: Iterable[float], room: float = 0.06) -> tuple[float, float]:
    """Bounds for a linear axis: those of the finite values, widened by `room` of their span. (0, 1) where there are none."""
    found = [value for value in values if math.isfinite(value)]
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    span = (high - low) or abs(high) * 0.1 or 1.0
    return low - room * span, high + room * span


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round values in [low, high], a step of 1, 2 or 5 times a power of ten apart."""
    span = high - low
    if span <= 0 or most < 1:
        return []
    power = 10.0 ** math.floor(math.log10(span / most))
    for step in (power * factor for factor in (*STEPS, 10.0, 20.0, 50.0)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [number * step for number in range(first, last + 1)]
    return []


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round values in [low, high], 0 < low < high, for a logarithmic axis.

    Over decades: powers of ten, or every second, third ... of them, with 2 and 5 between where there is room. Below a factor of
    five a linear step is rounder, and is taken.
    """
    if most < 1:
        return []
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if high / low < 5:
        return linear_ticks(low, high, most)
    for factors in (STEPS, (1.0,)):
        ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            return ticks
    for stride in range(2, last - first + 2):
        ticks = [10.0**power for power in range(first, last + 1) if power % stride == 0 and low <= 10.0**power <= high]
        if len(ticks) <= most:
            return ticks
    return []


def labelled(values: Sequence[float], text: Callable[[float, int], str]) -> list[tuple[float, str]]:
    """Ticks with their labels: `text(value, digits)` with the fewest significant digits that still tell them apart."""
    for digits in range(1, 8):
        exact = all(math.isclose(float(f"{value:.{digits - 1}e}"), value, rel_tol=1e-6) for value in values)
        if exact or digits == 7:
            return [(value, text(value, digits)) for value in values]
    return []
