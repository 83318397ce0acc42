"""How far a quantized model is from the float one, and whether it keeps a budget: the same rules for ours and for peers.

Nothing but numpy, so that peers' searches can be given the same question. What an output means is said by the case:

- `classes`: the last axis names a class by its largest number; `probability` and `map`: every number is a decision
  against `threshold` [0.5]; a decision that differs from the float model's is a flip;
- `number`; `slices`: named ranges of one axis of what a call answers (its batch is axis 0), each judged alone.

Noise of an output or slice is the mean square of its error over the variance of the float model's answers: .01 is a
signal-to-noise ratio of 20 dB. A score in 0..1 that hardly moves is held against a deviation of .01 at least.

With a truth, the budget is what the metric may lose: of accuracy so much, of rmse so much of the float model's. Without
one, it is the share of flips and of noise in every slice. Written so that a NaN breaks the budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Json = dict[str, Any]
#: Deviations that an answer is held against at least: of all answers, and of those within 0..1.
LEAST, LEAST_SHARE = 1e-6, 0.01


def facts(wanted: dict[str, Array], made: dict[str, Array], outputs: dict[str, Json]) -> Json:
    """Of answers `[rows, ...]` by output: `flips` (the largest share among outputs that decide, or null), `noise` by
    output or slice, `noise_db` of the worst, `max_abs` by output. Raises ValueError for another shape."""
    flips: list[float] = []
    noises: dict[str, float] = {}
    errors: dict[str, float] = {}
    for name, meaning in outputs.items():
        if made[name].shape != wanted[name].shape:
            raise ValueError(f"{name} has the shape {made[name].shape}, not {wanted[name].shape}")
        before, after = (decided(one[name], meaning) for one in (wanted, made))
        if before is not None and after is not None:
            flips.append(float((before != after).mean()))
        for title, places in slices(name, meaning, wanted[name].ndim):
            noises[title] = noise(wanted[name][places], made[name][places])
        errors[name] = float(np.abs(wanted[name].astype(np.float64) - made[name]).max())
    worst = max(noises.values(), key=lambda one: float("inf") if np.isnan(one) else one)
    return {
        "flips": max(flips) if flips else None,
        "noise": worst,
        "noise_db": decibels(worst),
        "slices_db": {title: decibels(one) for title, one in noises.items()},
        "max_abs": errors,
    }


def decided(answers: Array, meaning: Json) -> Array | None:
    """The decisions, or none where the output decides nothing."""
    if meaning["meaning"] == "classes":
        made: Array = answers.argmax(-1)
        return made
    if meaning["meaning"] in ("probability", "map"):
        return answers > meaning.get("threshold", 0.5)
    return None


def slices(name: str, meaning: Json, axes: int) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Title and place of each slice of answers that have so many axes: the rows, then those of one call's answer."""
    if meaning["meaning"] != "slices":
        yield name, (slice(None),) * axes
        return
    for title, (start, end) in meaning["slices"].items():
        places = [slice(None)] * axes
        places[1 + meaning["axis"]] = slice(start, end)
        yield f"{name}: {title}", tuple(places)


def noise(wanted: Array, made: Array) -> float:
    reference = wanted.astype(np.float64)
    share = reference.min() >= 0 and reference.max() <= 1
    least = LEAST_SHARE if share else LEAST
    return float(np.mean((made - reference) ** 2) / max(reference.var(), least**2))


def decibels(noise: float) -> float | None:
    """The signal-to-noise ratio; none where there is no noise, minus infinity written as -999."""
    if noise == 0:
        return None
    return round(float(-10 * np.log10(noise)), 2) if np.isfinite(noise) else -999.0


def score(metric: str, answers: Array, truth: Array) -> float:
    """accuracy: a share. rmse: in the truth's unit."""
    if metric == "accuracy":
        return float((answers.reshape(len(truth), -1).argmax(-1) == truth).mean())
    if metric == "rmse":
        return float(np.sqrt(np.mean((answers.reshape(len(truth)).astype(np.float64) - truth) ** 2)))
    raise ValueError(f"no metric is called {metric}")


def loss(metric: str, before: float, after: float) -> float:
    """What was lost: points of accuracy as a share, or the growth of an error as a share of it."""
    return before - after if metric == "accuracy" else after / before - 1


def kept(about: Json, found: Json, allowed: float) -> bool:
    """found: `facts`, and `loss` where there is a truth."""
    room = allowed + 1e-9
    if about.get("metric"):
        return bool(found["loss"] <= room)
    flips = found["flips"]
    return bool((flips is None or flips <= room) and found["noise"] <= room)


def quality(wanted: dict[str, Array], made: dict[str, Array], about: Json, truth: Array | None) -> Json:
    """`facts`, and with a truth `metric` (the candidate's) and `loss`."""
    found = facts(wanted, made, about["outputs"])
    if about.get("metric") and truth is not None:
        name = next(iter(about["outputs"]))
        before, after = (score(about["metric"], one[name], truth) for one in (wanted, made))
        found |= {"metric": after, "float_metric": before, "loss": loss(about["metric"], before, after)}
    return found


def goodness(found: Json, about: Json) -> float:
    """One number, 1 for the float model, that a search which maximises something may lose `allowed` of."""
    if about.get("metric"):
        return 1.0 - float(found["loss"])
    return 1.0 - max(found["noise"], found["flips"] or 0.0)
