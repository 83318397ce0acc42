"""From what the reference showed of a column to the feature with its cells. numpy."""

from __future__ import annotations

from collections.abc import Sequence

from mlpack_edge.profiles.reference.edges import cut
from mlpack_edge.profiles.reference.samples import NumberSample, TextCounts
from mlpack_edge.profiles.reference.slots import Slot
from mlpack_edge.profiles.spec import Categorical, Feature, Numeric, Presence

#: Cells for frequent categories, and the share from which one is frequent.
FREQUENT, SHARE = 30, 0.005
#: The closed vocabulary: with more values, a feature is an identifier.
VOCABULARY = 500
#: The letters of all known values of a feature together: the spec travels to devices.
LETTERS = 20_000


def numeric_feature(slot: Slot, sample: NumberSample) -> Feature:
    """A `Numeric`, or a `Presence` where the reference holds no finite number."""
    made = cut(sample.values)
    if made is None:
        return Presence(slot.source, "the reference holds no finite number of it")
    return Numeric(slot.source, made.edges, made.low, made.high, made.centre, made.step)


def text_feature(slot: Slot, seen: TextCounts) -> Feature:
    """A `Categorical`, or a `Presence` where the values are too many or most come once: no raw text may travel."""
    counts = seen.counts
    if counts is None:
        return Presence(slot.source, "an identifier or free text: tens of thousands of values differ")
    vocabulary = dict.fromkeys((*slot.known, *counts))
    if len(vocabulary) > VOCABULARY and slot.declared:
        return Presence(
            slot.source, f"a category of {len(vocabulary):,} values, more than the {VOCABULARY} that a spec holds"
        )
    if len(vocabulary) > VOCABULARY:
        return Presence(slot.source, f"an identifier or free text: {len(vocabulary):,} values differ")
    if not slot.declared and len(counts) > FREQUENT and 2 * len(counts) > seen.present:
        return Presence(slot.source, "an identifier or free text: most of its values come once")
    if sum(map(len, vocabulary)) > LETTERS:
        return Presence(slot.source, "free text: its values are long")
    if not vocabulary:
        return Presence(slot.source, "the reference holds no value of it")
    return Categorical(slot.source, *_ranked(vocabulary, counts, seen.present))


def _ranked(
    vocabulary: Sequence[str] | dict[str, None], counts: dict[str, int], present: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The frequent values, most frequent first, and the other known ones, sorted."""
    frequent = sorted(
        (name for name, count in counts.items() if count >= SHARE * present), key=lambda name: (-counts[name], name)
    )
    frequent = frequent[:FREQUENT]
    return tuple(frequent), tuple(sorted(set(vocabulary) - set(frequent)))
