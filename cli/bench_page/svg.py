"""SVG as escaped text: elements, and the frame that every chart stands in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

from mlpack_edge.cli.bench_page.labels import text_width
from mlpack_edge.cli.bench_page.scales import Scale, labelled, linear_ticks, log_ticks

TEXT, SMALL = 13.0, 12.0


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """One element. Text children and attribute values are escaped; `class_` is class, `text_anchor` is text-anchor; numbers are
    rounded to a tenth of a pixel; attributes that are None are left out."""
    written = "".join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _value(value))
        for name, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    start = Markup("<{}{}").format(Markup(tag), Markup(written))
    return start + (Markup(">{}</{}>").format(inside, Markup(tag)) if children else Markup("/>"))


def _value(value: object) -> object:
    return f"{round(value, 1):g}" if isinstance(value, float) else value


@dataclass(slots=True)
class Drawing:
    """A chart while it is drawn: `add` appends marks, later ones on top."""

    width: float
    height: float
    parts: list[Markup] = field(default_factory=list)

    def add(self, tag: str, *children: str, **attributes: object) -> None:
        self.parts.append(element(tag, *children, **attributes))

    def text(self, x: float, y: float, text: str, **attributes: object) -> None:
        self.add("text", text, x=x, y=y, **attributes)

    def line(self, x1: float, y1: float, x2: float, y2: float, class_: str) -> None:
        self.add("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", class_=class_)

    def figure(self, name: str, title: str, description: str, variant: str) -> Markup:
        """The svg element, named by `title` and told by `description`; `name` is unique on the page; `variant` is the class that
        shows it on wide or on narrow screens only."""
        head = [element("title", title, id=f"{name}-t"), element("desc", description, id=f"{name}-d")]
        return element(
            "svg", *head, *self.parts, role="img", class_=variant, viewBox=f"0 0 {self.width:g} {self.height:g}",
            width=round(self.width), height=round(self.height), aria_labelledby=f"{name}-t", aria_describedby=f"{name}-d",
        )  # fmt: skip


def axis_below(drawing: Drawing, scale: Scale, ticks: Sequence[tuple[float, str]], top: float, bottom: float) -> None:
    """Grid lines from `top` to `bottom` and their labels under them, held inside the drawing."""
    for value, text in ticks:
        x = scale(value)
        drawing.line(x, top, x, bottom, "grid")
        left, right = _label_span(x, text, drawing.width)
        drawing.text((left + right) / 2, bottom + 17, text, class_="tick", text_anchor="middle")


def fitting_ticks(scale: Scale, most: int, text: Callable[[float, int], str], width: float) -> list[tuple[float, str]]:
    """Ticks for an axis under a drawing of `width`, as many as `most`, or as have labels that keep clear of each other."""
    choose = log_ticks if scale.log else linear_ticks
    for number in range(most, 0, -1):
        ticks = labelled(choose(scale.low, scale.high, number), text)
        spans = [_label_span(scale(value), label, width) for value, label in ticks]
        if ticks and all(one[1] + 8 <= other[0] for one, other in pairwise(spans)):
            return ticks
    return []


def _label_span(x: float, text: str, width: float) -> tuple[float, float]:
    """Where a label centred at x begins and ends, held inside the drawing."""
    half = text_width(text, SMALL) / 2
    middle = min(max(x, half), width - half)
    return middle - half, middle + half


def mark(shape: str, x: float, y: float, size: float, class_: str, note: str | None = None) -> Markup:
    """A mark told by its shape: disc, ring, diamond, square, left, right, bar; `size` is its radius."""
    s = size
    paths = {
        "diamond": f"M{x:.1f} {y - s:.1f}l{s:g} {s:g}l-{s:g} {s:g}l-{s:g}-{s:g}z",
        "square": f"M{x - s:.1f} {y - s:.1f}h{2 * s:g}v{2 * s:g}h-{2 * s:g}z",
        "left": f"M{x + s:.1f} {y - s:.1f}v{2 * s:g}l-{1.8 * s:g}-{s:g}z",
        "right": f"M{x - s:.1f} {y - s:.1f}v{2 * s:g}l{1.8 * s:g}-{s:g}z",
        "bar": f"M{x:.1f} {y - s:.1f}v{2 * s:g}",
    }
    told = [element("title", note)] if note else []
    if shape in paths:
        return element("path", *told, d=paths[shape], class_=class_)
    return element("circle", *told, cx=float(x), cy=float(y), r=float(s), class_=class_)
