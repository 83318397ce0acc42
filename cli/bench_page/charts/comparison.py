"""Ratios with their intervals on one axis, beside the margin inside which two models count as equal."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mlpack_edge.cli.bench_page.labels import shortened, text_width
from mlpack_edge.cli.bench_page.scales import Scale, log_range
from mlpack_edge.cli.bench_page.sentences import Pair
from mlpack_edge.cli.bench_page.svg import SMALL, TEXT, Drawing, axis_below, fitting_ticks, mark
from mlpack_edge.cli.bench_page.units import GAP, ratio_span_text, ratio_text, share_text
from mlpack_edge.runtimes.measuring.comparison import MARGIN

SHAPES = {"faster": "left", "slower": "right", "no difference": "disc", "unclear": "ring"}
HEAD = 24.0


def draw(pairs: Sequence[Pair], variant: str, width: float) -> Markup:
    """A row a comparison, ratio b over a on a logarithmic axis, left of 1 is cheaper."""
    if not pairs:
        return Markup("")
    wide = variant == "wide"
    several = len({pair.first for pair in pairs}) > 1
    start, end = (256.0, width - 230) if wide else (8.0, width - 12)
    row = 40.0 if wide else 64.0
    low, high = log_range([*_values(pairs), 1 / (1 + 2 * MARGIN), 1 + 2 * MARGIN], 0.06)
    scale = Scale(low, high, start, end, log=True)
    bottom = HEAD + row * len(pairs)
    drawing = Drawing(width, bottom + 24)
    band = scale(1 / (1 + MARGIN)), scale(1 + MARGIN)
    drawing.add("rect", x=band[0], y=HEAD, width=band[1] - band[0], height=bottom - HEAD, class_="band")
    axis_below(drawing, scale, fitting_ticks(scale, 7 if wide else 5, _times, width), HEAD, bottom)
    drawing.line(scale(1.0), HEAD, scale(1.0), bottom, "one")
    _directions(drawing, pairs, start, end)
    for index, pair in enumerate(pairs):
        middle = HEAD + row * index + (row / 2 if wide else 46)
        if wide:
            _beside(drawing, pair, middle, several, end + 16, width)
        else:
            _over(drawing, pair, middle - 28, width, several)
        _interval(drawing, pair, scale, middle)
    told = "; ".join(f"{pair.second} against {pair.first}: {pair.said}, {_figure(pair)}" for pair in pairs)
    title = f"Ratios with 95 % intervals; the band is the margin of {share_text(MARGIN)} around 1"
    return drawing.figure(f"comparison-{variant}", title, told, variant)


def _values(pairs: Sequence[Pair]) -> list[float]:
    return [value for pair in pairs for value in (pair.low, pair.ratio, pair.high) if value is not None]


def _times(ratio: float, digits: int) -> str:
    decimals = max(0, digits - 1) if ratio >= 1 else len(f"{ratio:.{digits}g}".partition(".")[2])
    return f"{ratio:,.{decimals if ratio < 10 else 0}f}×"


def _directions(drawing: Drawing, pairs: Sequence[Pair], start: float, end: float) -> None:
    less, more = ("fewer", "more") if all(pair.exact for pair in pairs) else ("faster", "slower")
    drawing.text(start, 13.0, f"← {less}", class_="small")
    drawing.text(end, 13.0, f"{more} →", class_="small", text_anchor="end")


def _figure(pair: Pair) -> str:
    if pair.ratio is None:
        return "no ratio"
    if pair.spread is None:
        return f"{ratio_text(pair.ratio)}×"
    return f"{ratio_text(pair.ratio, pair.spread)}× ({ratio_span_text(pair.low, pair.high)})"


def _beside(drawing: Drawing, pair: Pair, middle: float, several: bool, right: float, width: float) -> None:
    drawing.text(0.0, middle + (-2 if several else 5), shortened(pair.second, 238, TEXT), class_="name")
    if several:
        drawing.text(0.0, middle + 14, shortened(f"against {pair.first}", 238, SMALL), class_="small")
    drawing.text(right, middle - 2, shortened(pair.said, width - right, TEXT), class_="name")
    # A figure is never cut: where the interval has no room it is left to the table.
    figure = _figure(pair)
    if text_width(figure, SMALL) > width - right:
        figure = f"{ratio_text(pair.ratio)}×"
    drawing.text(right, middle + 14, figure, class_="small")


def _over(drawing: Drawing, pair: Pair, line: float, width: float, several: bool) -> None:
    names = f"{pair.second} against {pair.first}" if several else pair.second
    figure = f"{pair.said}{GAP}{'' if pair.ratio is None else ratio_text(pair.ratio) + '×'}"
    drawing.text(0.0, line, shortened(names, width - 148, TEXT), class_="name")
    drawing.text(width, line, figure, class_="small", text_anchor="end")


def _interval(drawing: Drawing, pair: Pair, scale: Scale, y: float) -> None:
    shade = pair.verdict.replace(" ", "-") if pair.verdict in SHAPES else "unclear"
    if pair.low is not None and pair.high is not None:
        low, high = scale(pair.low), scale(pair.high)
        drawing.line(low, y, high, y, f"interval {shade}")
        # Ends that the mark would cover are not drawn: they only blur it.
        for end in (low, high) if high - low > 16 else ():
            drawing.line(end, y - 5, end, y + 5, f"interval {shade}")
    if pair.ratio is not None:
        shape = SHAPES.get(pair.verdict, "ring")
        note = f"{pair.said}: {_figure(pair)}"
        drawing.parts.append(mark(shape, scale(pair.ratio), y, 5.0, f"m {shape} {shade}", note))
