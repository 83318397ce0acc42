"""Lines in few bytes are the lines that were asked for."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from mlpack_edge.cli.drift_page.paths import line, steps

pixels = st.floats(0, 300)
points = st.lists(st.tuples(pixels, pixels), min_size=1, max_size=40)


def corners(path: str) -> list[tuple[int, int]]:
    """The points of a path of M, l, h and v, as a browser reads them (SVG 2, 9.3)."""
    x = y = 0
    found = []
    for letter, text in re.findall(r"([Mlhv])([^Mlhv]*)", path):
        numbers = [int(number) for number in re.findall(r"-?\d+", text)]
        if letter == "M":
            x, y = numbers
            found.append((x, y))
        pairs = (
            zip(numbers[::2], numbers[1::2], strict=True) if letter == "l"
            else [(number, 0) if letter == "h" else (0, number) for number in numbers] if letter != "M"
            else []
        )  # fmt: skip
        for dx, dy in pairs:
            x, y = x + dx, y + dy
            found.append((x, y))
    return found


@example([(1.0, 0.0), (0.0, 0.0), (1.0, 0.0)])
@given(points)
def test_every_point_that_turns_is_on_the_line_to_the_pixel(given_points: list[tuple[float, float]]) -> None:
    whole = [(round(x), round(y)) for x, y in given_points]
    drawn = corners(line(given_points))
    assert drawn[0] == whole[0]
    for place, point in enumerate(whole):
        level = 0 < place < len(whole) - 1 and whole[place - 1][1] == point[1] == whole[place + 1][1]
        turns = level and (point[0] - whole[place - 1][0]) * (whole[place + 1][0] - point[0]) < 0
        assert (level and not turns) or point in drawn
    assert drawn[-1] == whole[-1] or (len(set(whole)) == 1 and drawn[-1] == (whole[0][0] + 1, whole[0][1]))


def test_a_histogram_begins_and_ends_on_its_base() -> None:
    assert corners(steps([10, 20, 40], [5, 50, 1], 60, 100)) == [
        (10, 100), (10, 95), (20, 95), (20, 50), (40, 50), (40, 99), (60, 99), (60, 100),
    ]  # fmt: skip


def test_a_long_level_line_is_one_step() -> None:
    assert line([(x, 7) for x in range(100)]) == "M0 7h99"
