"""A line that says how far a pass over rows is, now and then."""

from __future__ import annotations

from mlpack_edge.converters.quantization.progress import Progress, progress_line


def test_a_line_says_what_is_done_and_how_much_of_it() -> None:
    assert progress_line("calibrating", 420, 1000) == "calibrating [########            ] 42%, 420 of 1,000 rows"
    assert progress_line("judging", 1200, 1000).endswith("100%, 1,000 of 1,000 rows")
    assert progress_line("judging", 7, None) == "judging  7 rows"


def test_lines_come_no_faster_than_a_terminal_is_read() -> None:
    now = [0.0]
    said: list[str] = []
    bar = Progress(said.append, "calibrating", 1000, clock=lambda: now[0])
    for _ in range(100):
        bar.more(10)
        now[0] += 0.01
    assert 2 <= len(said) <= 6 and said[0].endswith("10 of 1,000 rows")
    bar.step("judging dynamic")
    bar.at(500)
    assert said[-2:] == ["judging dynamic", "judging dynamic [##########          ] 50%, 500 of 1,000 rows"]
