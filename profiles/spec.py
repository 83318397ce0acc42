"""What is counted of a model: cells that were fixed from its reference data, before any device saw a row.

A profile is one flat vector of counters over these cells (`layout`). The cells travel with the model; only counts come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Version of the JSON form; readers refuse a later one.
SCHEMA = 1
#: Cells of the confidence of a classifier, equal widths over [0, 1].
CONFIDENCE_CELLS = 20
#: No edge lies so many steps from its feature's centre: a profile's sums then stay within 64 bits for 2**32 rows.
MOST_STEPS = 1 << 31
#: How a row ended: the model answered, was not asked, refused the row, or failed on it.
OUTCOMES = ("ok", "not run", "refused", "failed")
#: The roles of a feature.
INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a feature's values come from: a column of a table, or element `index` of the tensor `tensor`. Of wide outputs
    index -1 is the place of the largest element (by its class) and -2 its value."""

    name: str
    role: str
    tensor: str = ""
    index: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Numeric:
    """A number: cell k holds edges[k - 1] <= x < edges[k], both outermost cells are open; then `missing` and `invalid`.

    edges: strictly increasing, finite. low, high: the reference's range (two of the edges); what lies outside is out of
    range. The feature's `sum` adds floor((x - centre) / step) over the rows that fall in neither outermost cell: an integer,
    so that sums merge exactly. step is a power of two, so that dividing by it is exact.
    """

    source: Source
    edges: tuple[float, ...]
    low: float
    high: float
    centre: float
    step: float

    @property
    def size(self) -> int:
        return len(self.edges) + 3


@dataclass(frozen=True, slots=True)
class Categorical:
    """A text out of a vocabulary: a cell for each of `categories`, then `other known`, `unseen`, `missing`.

    known: values that the reference or the model knows beside the frequent ones; together they are the closed vocabulary.
    """

    source: Source
    categories: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.categories) + 3


@dataclass(frozen=True, slots=True)
class Presence:
    """A feature of which only `present` and `missing` are counted (an identifier, free text); `note` says why."""

    source: Source
    note: str

    @property
    def size(self) -> int:
        return 2


Feature = Numeric | Categorical | Presence


@dataclass(frozen=True, slots=True)
class Threshold:
    """The largest effects of reference windows of one length against the rest; `windows` is how many did not overlap."""

    windows: int
    distribution: float
    missing: float
    unseen: float


@dataclass(frozen=True, slots=True)
class Learned:
    """What the reference's blocks taught of one feature, blocks in the order of time.

    thresholds: by window length in blocks. level_sd: long-run standard deviation of a block's level, in units of the
    reference's standard deviation (numbers) or as a share. between_devices: how many times the variance of a mean grows
    because rows come from devices; 1.0 where nobody said. effects: each block's effect, 255 * sqrt(effect), rounded.
    """

    thresholds: Mapping[int, Threshold]
    level_sd: float
    between_devices: float
    effects: bytes


@dataclass(frozen=True, slots=True)
class Blocks:
    """How the reference was cut: unit "day", "hour", "value" (of a column) or "rows"; first and last label; rows of each."""

    unit: str
    by: str
    first: str
    last: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference profile: the vector and sums of all its rows, what its blocks taught by feature name, and by confidence
    cell how many of the reference's rows are labelled and how many of those were right (empty where it has no labels)."""

    rows: int
    predictions: int
    timed: int
    counts: tuple[int, ...]
    sums: tuple[int, ...]
    blocks: Blocks
    learned: Mapping[str, Learned]
    devices: int = 0
    right: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """What is counted, the reference, and where it came from. `confidence`: the model gives class probabilities.

    model_sha256: of the model file, in hexadecimal. lineage: data digests, options, versions; no clock, no host.
    """

    model_sha256: str
    features: tuple[Feature, ...]
    confidence: bool
    reference: Reference
    lineage: Mapping[str, object]

    @property
    def numeric(self) -> tuple[Numeric, ...]:
        return tuple(feature for feature in self.features if isinstance(feature, Numeric))
