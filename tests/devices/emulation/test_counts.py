"""Counts that the plugin wrote: read whole, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpack_edge.core.errors import WorkerFault
from mlpack_edge.devices.emulation.counts import CLASSES, read_regions

LINE = "region " + " ".join(f"{name}={place * 10}" for place, name in enumerate(CLASSES)) + "\n"


def test_regions_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "counts").write_text(LINE + LINE.replace("simd=10", "simd=11"))
    first, second = read_regions(tmp_path / "counts")
    assert first == {name: place * 10 for place, name in enumerate(CLASSES)}
    assert second == first | {"simd": 11}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "marked no region"),
        (LINE + LINE[:-1], "cut"),
        (LINE[:-20] + "\n", "cut"),
        (LINE + "fault the guest ended inside a region\n", "ended inside a region"),
        ("fault a region ends that did not begin\n" + LINE, "did not begin"),
    ],
)
def test_what_is_not_whole_is_refused(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "counts").write_text(text)
    with pytest.raises(WorkerFault) as caught:
        read_regions(tmp_path / "counts")
    assert why in caught.value.why


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkerFault, match="not counted"):
        read_regions(tmp_path / "counts")
