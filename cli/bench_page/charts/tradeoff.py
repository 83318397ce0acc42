"""What a model costs against what it weighs, and against how good it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from markupsafe import Markup

from mlpack_edge.cli.bench_page.labels import Box, place_labels, shortened
from mlpack_edge.cli.bench_page.models import Model
from mlpack_edge.cli.bench_page.scales import Scale, labelled, linear_range, linear_ticks, log_range, log_ticks
from mlpack_edge.cli.bench_page.svg import SMALL, Drawing, axis_below, fitting_ticks, mark
from mlpack_edge.cli.bench_page.units import bytes_tick, count_text, known, time_text

Tick = Callable[[float, int], str]
Points = list[tuple[Model, float, float]]

HIGH, HEAD, FOOT, DOT = 260.0, 26.0, 46.0, 5.0


def draw(models: Sequence[Model], variant: str, width: float) -> Markup:
    """Cost (time, instructions or cycles) to the right; file size upward in one panel, the metric in a second one where known."""
    sized: Points = [
        (model, model.cost, size)
        for model in models
        if (size := model.number("bytes")) is not None and size > 0 and model.cost is not None and model.cost > 0
    ]
    metric, judged = _metric(models)
    if len({(cost, size) for _, cost, size in sized}) < 2 and len(judged) < 2:
        return Markup("")
    costs = [cost for _, cost, _ in [*sized, *judged]]
    panels = [("file size", sized, True)] + ([(metric, judged, False)] if len(judged) > 1 else [])
    wide = variant == "wide"
    across = (width - 40) / len(panels) if wide else width
    step = HIGH + HEAD + FOOT
    drawing = Drawing(width, step if wide else step * len(panels))
    for index, (name, points, log) in enumerate(panels):
        left = index * (across + 40) if wide else 0.0
        top = 0.0 if wide else index * step
        _panel(drawing, name, points, log, log_range(costs, 0.1, 1.06), Box(left, top, left + across, top + step), wide)
    told = "; ".join(f"{model.key} {model.label}: {model.told}" for model in models)
    title = f"Trade-off of {_cost_name(models)} and {' and '.join(name for name, _, _ in panels)}"
    return drawing.figure(f"tradeoff-{variant}", title, told, variant)


def front(points: Sequence[tuple[float, float]], higher_is_better: bool) -> list[int]:
    """Which of (cost, worth) no other point beats in both, by growing cost. Worth is better low, or high."""
    best: float | None = None
    chosen = []
    for index in sorted(
        range(len(points)), key=lambda i: (points[i][0], points[i][1] * (-1 if higher_is_better else 1))
    ):
        worth = -points[index][1] if higher_is_better else points[index][1]
        if best is None or worth < best:
            best = worth
            chosen.append(index)
    return chosen


def _metric(models: Sequence[Model]) -> tuple[str, Points]:
    """The metric that most models have, and who has it."""
    found = [
        (str(record.get("name") or "metric"), model, model.cost, value)
        for model in models
        if isinstance(record := model.facts.get("metric"), dict)
        and (value := known(record.get("value"))) is not None
        and model.cost is not None
        and model.cost > 0
    ]
    if not found:
        return "", []
    name = Counter(name for name, *_ in found).most_common(1)[0][0]
    return name, [(model, cost, value) for its, model, cost, value in found if its == name]


def _panel(
    drawing: Drawing, name: str, points: Points, log: bool, costs: tuple[float, float], frame: Box, wide: bool
) -> None:
    values = [value for _, _, value in points]
    low, high = log_range(values, 0.12, 1.2) if log else linear_range(values, 0.12)
    left, top, bottom = frame.left + 62, frame.top + HEAD, frame.bottom - FOOT
    across = Scale(*costs, left, frame.right - 6, log=True)
    upward = Scale(low, high, bottom, top, log=log)
    timed = all(model.timed for model, _, _ in points)
    room = 6 if frame.right - frame.left > 500 else 4
    axis_below(
        drawing, across, fitting_ticks(across, room, time_text if timed else count_text, drawing.width), top, bottom
    )
    ticks = log_ticks(low, high, 5) if log else linear_ticks(low, high, 6)
    for value, text in labelled(ticks, bytes_tick if log else _plain):
        drawing.line(left, upward(value), across.end, upward(value), "grid")
        drawing.text(left - 8, upward(value) + 4, text, class_="tick", text_anchor="end")
    title = shortened(f"↑ {name}", frame.right - frame.left, SMALL)
    drawing.text(frame.left, frame.top + 14, title, class_="small")
    foot = f"{_cost_name([model for model, _, _ in points])} →"
    drawing.text(across.end, bottom + 36, shortened(foot, across.end - left, SMALL), class_="small", text_anchor="end")
    places = [(across(cost), upward(value)) for _, cost, value in points]
    if log:
        _front(drawing, places, points)
    texts = [_texts(model, wide, frame) for model, _, _ in points]
    inside = Box(left + 2, top, across.end, bottom - 2)
    labels = place_labels(places, texts, SMALL, inside, DOT + 1)
    for (x, y), label in zip(places, labels, strict=True):
        if label and label.led:
            box = label.box
            near = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
            drawing.line(x, y, *near, "leader")
    for (x, y), label, (model, _, _) in zip(places, labels, points, strict=True):
        shape = "disc" if model.stable or not model.timed else "ring"
        drawing.parts.append(mark(shape, x, y, DOT, f"m {shape}", f"{model.label}: {model.told}"))
        if label:
            drawing.text(label.box.left, label.box.bottom - 4, label.text, class_="small label")


def _front(drawing: Drawing, places: Sequence[tuple[float, float]], points: Points) -> None:
    """A staircase through the models that no other one beats in both."""
    best = front([(cost, value) for _, cost, value in points], higher_is_better=False)
    corners = [places[index] for index in best]
    if len(corners) > 1:
        path = f"M{corners[0][0]:.1f} {corners[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in corners[1:])
        drawing.add("path", d=path, class_="front")


def _texts(model: Model, wide: bool, frame: Box) -> list[str]:
    room = 190.0 if wide and frame.right - frame.left > 500 else 130.0 if wide else 90.0
    return [shortened(f"{model.key} {model.label}", room, SMALL), str(model.key)]


def _plain(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if abs(value) < 1e6 else f"{value:.{digits - 1}e}"


def _cost_name(models: Sequence[Model]) -> str:
    return "latency" if all(model.timed for model in models) else f"{models[0].kind} per inference"
