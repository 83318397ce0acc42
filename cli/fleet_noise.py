"""Which of a store's reports with noise are judged, and what is said of those that are not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from mlpack_edge.core.errors import BadInput

if TYPE_CHECKING:
    from mlpack_edge.fleet.noise import Noisy
    from mlpack_edge.profiles.drift.facts import DriftReport


def noise_of(asked: float | None, plain: bool, noise: Noisy) -> int:
    """The epsilon in millionths of the reports that are judged, 0 for those without noise. asked: --epsilon; plain: there are reports without noise. Raises
    BadInput naming what there is where that cannot be told."""
    there = ", ".join(f"{count:,} of epsilon {each / 1e6:g}" for each, count in sorted(noise.reports.items()))
    if asked:
        fitting = [each for each in noise.reports if math.isclose(each / 1e6, asked)]
        if not fitting:
            raise BadInput(
                f"the store holds no reports with noise of epsilon {asked:g} that were asked for",
                f"it holds {there or 'none with noise'}",
            )
        return fitting[0]
    if asked is not None or plain or not noise.total:
        return 0
    if not noise.reports:
        raise BadInput(
            f"the store holds {noise.nameless:,} reports with noise (differential privacy) that were asked for, and none names its device",
            "take in the reports of the devices as they came", why="by rows alone, devices that differ look like drift",
        )  # fmt: skip
    if len(noise.reports) > 1:
        raise BadInput(
            "reports with different noise (differential privacy) are not judged together", "choose one with --epsilon",
            why=f"the store holds {there}",
        )  # fmt: skip
    return next(iter(noise.reports))


def left_out_text(count: int, noise: Noisy, millionths: int) -> str:
    """With the option that judges them, where there is one. millionths: the epsilon that is judged, 0 for none."""
    others = [f"{each / 1e6:g}" for each in sorted(noise.reports) if each != millionths]
    parts = [f"--epsilon {' or '.join(others)} judges those"] if others else []
    if noise.nameless:
        parts.append(f"{noise.nameless:,} of them name no device and are never judged")
    other = "other " if millionths else ""
    return f"{count:,} reports with {other}noise (differential privacy) are left out: {', '.join(parts)}"


def saying(report: DriftReport, text: str) -> DriftReport:
    """With a note on its last window: text, JSON and page show it."""
    from mlpack_edge.profiles.drift.facts import notes

    last = report.windows[-1]
    said = replace(last, note=notes(last.note, text))
    return replace(report, windows=(*report.windows[:-1], said))
