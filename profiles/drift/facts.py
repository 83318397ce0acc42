"""What was found, as values: no opinion about it. The opinion is `gates`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlpack_edge.profiles.spec import Blocks

#: The kinds of drift, in the order in which they are looked at: what is missing or unknown explains a moved distribution.
MISSING, UNSEEN, DISTRIBUTION = "missing", "unseen", "distribution"
KINDS = (MISSING, UNSEEN, DISTRIBUTION)


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of drift of one feature in one window.

    statistic: "rate" (of the rows), "ks" (largest distance of the distribution functions), "variation" (total variation);
    `value` as counted. delta: the signed change of a rate; of a distribution the change of the mean in standard deviations of
    the reference (0.0 for categories). effect: freed of what chance adds (`effects`). learned: what the effect
    must exceed by the reference's own windows of this length (`thresholds`); None where the reference has no two such windows.
    p: the probability of the value if nothing had moved; p_adjusted: Benjamini-Hochberg over the checks of the window. judged:
    whether it may alarm; the distribution of a number that is the time may not (`calendar`).
    """

    kind: str
    statistic: str
    value: float
    delta: float
    effect: float
    learned: float | None
    p: float
    p_adjusted: float = 1.0
    judged: bool = True


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """What was found of a feature in a window.

    kind: "numeric", "categorical" or "presence"; role: "input" or "output" (of which drift is prediction drift). rows: that
    it was counted in. checks: in the order of KINDS, those that apply. missing: the rate in the reference and now, NaN where no row
    was counted now, or the rate is withheld; unseen: the same of unknown categories, of values that are no numbers and of numbers beyond all of the reference (`beyond`). indices:
    `indices.indices`, none where no value came. mover: the category whose share changed most, its share in the reference and now. resembles: what is
    said of numbers that are far off ("look like 1,000 times the reference's: another unit?"), "" for nothing. ahead: of a number that
    is the time (`calendar`), the share of rows beyond the reference's range that the days since explain; what they do not explain
    is `unseen`; None for all other features.
    """

    name: str
    role: str
    kind: str
    rows: int
    checks: tuple[Check, ...]
    missing: tuple[float, float]
    unseen: tuple[float, float]
    indices: Mapping[str, float] = field(default_factory=dict)
    mover: tuple[str, float, float] | None = None
    resembles: str = ""
    ahead: float | None = None

    @property
    def tested(self) -> bool:
        """Whether there was enough to test its distribution; where only presence is counted, its missing rows."""
        return any(check.kind == (MISSING if self.kind == "presence" else DISTRIBUTION) for check in self.checks)

    @property
    def missing_delta(self) -> float:
        return self.missing[1] - self.missing[0]


def notes(*said: str) -> str:
    """What is said of a window, in one: those that are not empty."""
    return "; ".join(filter(None, said))


@dataclass(frozen=True, slots=True)
class Window:
    """Rows that were judged together. days: the length, None for profiles without a date; first, last: days since 1970 (0 where
    there is no date). devices: that sent them, None where they do not come from devices. unit: what was taken as independent:
    "rows", "devices" or "shards" of devices; `note` says why where it is not what one would expect."""

    days: int | None
    first: int
    last: int
    rows: int
    predictions: int
    devices: int | None
    unit: str
    note: str
    features: tuple[FeatureDrift, ...]


@dataclass(frozen=True, slots=True)
class Slow:
    """A small lasting shift of one feature. level: what moved ("mean" or a category); shift: by how much in the
    reference's standard deviations (numbers) or as a share of the rows; evidence: the e-value now, largest: the largest so
    far; days: how many were seen; since: the day of the likeliest beginning, days since 1970."""

    name: str
    level: str
    shift: float
    evidence: float
    largest: float
    days: int
    since: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A proxy: the share of right answers if each confidence were right as often as in the reference. It may move the wrong
    way, and so never decides anything. estimate, reference: shares; error: standard error of the estimate; rows: predictions it
    speaks of, labelled: rows of the reference."""

    estimate: float
    reference: float
    error: float
    rows: int
    labelled: int


@dataclass(frozen=True, slots=True)
class DriftReport:
    """windows: in the order of time, all lengths. slow: of every feature with a series of days. accuracy: of the latest window,
    None without labels in the reference."""

    blocks: Blocks
    windows: tuple[Window, ...]
    slow: tuple[Slow, ...]
    accuracy: Accuracy | None

    @property
    def latest(self) -> tuple[Window, ...]:
        """The last window of each length: what is so now."""
        return tuple({window.days: window for window in self.windows}.values())

    def latest_of(self, name: str) -> list[tuple[Window, FeatureDrift]]:
        """One feature in the last windows, the longest first."""
        longest_first = sorted(self.latest, key=lambda window: window.days or 0, reverse=True)
        return [(window, feature) for window in longest_first for feature in window.features if feature.name == name]

    @property
    def latest_longest(self) -> Window:
        return max(self.latest, key=lambda window: window.days or 0)

    @property
    def sufficient(self) -> bool:
        return len(self.blocks.rows) >= SUFFICIENT


#: Blocks of a reference from which on its largest effect says what is rare.
SUFFICIENT = 100
