"""A judgement: a policy applied to a fact."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons` says why not; empty when `passed`."""

    passed: bool
    reasons: tuple[str, ...] = ()
