"""Sizes, durations and shares as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.quantities import bytes_from_text, seconds_from_text, share_from_text


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("300KB", 300_000), ("1.5 GB", 1_500_000_000), ("512mib", 512 * 2**20)]
)
def test_a_size(text: str, size: int) -> None:
    assert bytes_from_text(text) == size


@pytest.mark.parametrize("text", ["", "0", "0.3", "-1", "1 TBB", "1e3", "9" * 400, "5000000000000GB", "GB"])
def test_no_size(text: str) -> None:
    with pytest.raises(BadInput, match=r"size"):
        bytes_from_text(text)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("5m", 300.0), ("5ms", 0.005), ("1.5h", 5400.0)])
def test_a_duration(text: str, seconds: float) -> None:
    assert seconds_from_text(text) == pytest.approx(seconds, abs=1e-12)


@pytest.mark.parametrize("text", ["", "0", "5 days", "-1s", "9000h", "1e3"])
def test_no_duration(text: str) -> None:
    with pytest.raises(BadInput, match=r"duration|year"):
        seconds_from_text(text)


@pytest.mark.parametrize(
    ("text", "share"), [("0", 0.0), ("0%", 0.0), ("0.1%", 0.001), ("12.5 %", 0.125), ("100%", 1.0)]
)
def test_a_share(text: str, share: float) -> None:
    assert share_from_text(text) == share


@pytest.mark.parametrize("text", ["", "1", "0.001", "101%", "-1%", "nan%", "1e1%", "%", "٣%"])
def test_no_share_and_a_bare_number_could_be_either(text: str) -> None:
    with pytest.raises(BadInput, match=r"percentage|more than all"):
        share_from_text(text)


@given(st.integers(0, 1000))
def test_a_tenth_of_a_percent_is_the_nearest_float(tenths: int) -> None:
    """Divided as decimals: 0.7 / 100 as floats is not 0.007."""
    assert share_from_text(f"{tenths // 10}.{tenths % 10}%") == float(f"{tenths}e-3")
