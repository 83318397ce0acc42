"""Names in small places: how wide a text is, how to shorten it, where a label fits. Pure functions."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ELLIPSIS = "…"
# Pixels at 13 a letter: about sixty letters of a name, in sentences and tables. The whole of it stands once on the page.
NAME_ROOM = 480.0
NARROW = frozenset("iIjl.,:;'|!()[]{}tfr ")


def text_width(text: str, size: float) -> float:
    """Pixels that `text` takes at a font size of `size` pixels, estimated for the widest common interface font.

    Nothing can be measured where the page is made. Advances are those of DejaVu Sans, rounded up; other fonts are narrower, which
    leaves room. East Asian wide characters and symbols take one em.
    """
    return size * sum(_em(letter) for letter in text)


def _em(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if not letter.isascii():
        wide = unicodedata.east_asian_width(letter) in "WF" or unicodedata.category(letter) == "So"
        return 1.1 if wide else 0.75
    if letter in NARROW:
        return 0.42
    if letter in "mwMW@%":
        return 1.0
    return 0.72 if letter.isupper() else 0.645


def shortened(text: str, width: float, size: float) -> str:
    """`text`, or as much of its beginning and end around an ellipsis as fits into `width` pixels at font size `size`.

    Both ends are kept: models of one family differ in the beginning (family) or the end (variant, format).
    """
    if text_width(text, size) <= width:
        return text
    keep = len(text) - 1
    while keep > 1:
        front = (keep + 1) // 2
        candidate = text[:front].rstrip() + ELLIPSIS + text[len(text) - (keep - front) :].lstrip()
        if text_width(candidate, size) <= width:
            return candidate
        keep = min(keep - 1, math.ceil(keep * width / text_width(candidate, size)))
    return ELLIPSIS


def short_names(paths: Sequence[str]) -> list[str]:
    """The file names of `paths`, with as many folders before them as tell them apart; equal paths stay equal."""
    parts = [path.replace("\\", "/").rstrip("/").split("/") for path in paths]
    names = [pieces[-1] or path for pieces, path in zip(parts, paths, strict=True)]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        clashing = {
            name
            for name, path in zip(names, paths, strict=True)
            if any(name == other and path != its for other, its in zip(names, paths, strict=True))
        }
        if not clashing:
            break
        names = [
            "/".join(pieces[-depth:]) if name in clashing else name for name, pieces in zip(names, parts, strict=True)
        ]
    return names


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, y downward."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )  # fmt: skip

    def holds(self, other: Box) -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the text of a point goes: `box` around it, and whether it lies so far off that a line must lead to it."""

    text: str
    box: Box
    led: bool


def place_labels(
    points: Sequence[tuple[float, float]], texts: Sequence[Sequence[str]], size: float, room: Box, dot: float
) -> list[Placed | None]:
    """A place for the label of each point (pixels): inside `room`, over no dot (radius `dot`) and no other label.

    texts: for each point what to write, the best first, shorter ones after it. Right, left, above and below are tried for each,
    then rings farther and farther out. None where nothing fits: the tables name every model.
    """
    dots = [Box(x - dot, y - dot, x + dot, y + dot) for x, y in points]
    placed: list[Placed | None] = []
    for point, choices in zip(points, texts, strict=True):
        taken = [*dots, *(label.box for label in placed if label)]
        placed.append(_first_free(point, choices, size, room, dot, taken))
    return placed


def _first_free(
    point: tuple[float, float], choices: Sequence[str], size: float, room: Box, dot: float, taken: list[Box]
) -> Placed | None:
    for rings in (range(1), range(1, 8)):
        for text in choices:
            for ring in rings:
                for box in _around(point, text_width(text, size), size * 1.3, dot + 3 + ring * size * 1.1):
                    if room.holds(box) and not any(box.meets(other) for other in taken):
                        return Placed(text, box, ring > 0)
    return None


def _around(point: tuple[float, float], width: float, height: float, off: float) -> Iterator[Box]:
    x, y = point
    slanted = off * 0.75
    for left, top in (
        (x + off, y - height / 2), (x - off - width, y - height / 2), (x - width / 2, y - off - height), (x - width / 2, y + off),
        (x + slanted, y - slanted - height), (x + slanted, y + slanted), (x - slanted - width, y - slanted - height),
        (x - slanted - width, y + slanted),
    ):  # fmt: skip
        yield Box(left, top, left + width, top + height)
