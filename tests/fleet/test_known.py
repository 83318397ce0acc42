"""Which reports are there already."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.fleet import known
from mlpack_edge.fleet.known import NEW, OTHER, SAME, Index, Known

IDS = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(
    lambda pair: bytes(7) + bytes([pair[0]]) + bytes(7) + bytes([pair[1]])
)


@given(st.dictionaries(IDS, st.integers(0, 2**32 - 1)), st.dictionaries(IDS, st.integers(0, 2**32 - 1)), st.lists(IDS))
def test_an_index_finds_what_a_dictionary_finds(
    first: dict[bytes, int], more: dict[bytes, int], asked: list[bytes]
) -> None:
    """Ids that agree in their first half too."""
    more = {name: checksum for name, checksum in more.items() if name not in first}
    index = Index(b"".join(first), np.array(list(first.values()), np.uint32))
    index = index.with_more(b"".join(more), np.array(list(more.values()), np.uint32))
    both = first | more
    assert index.checksums(asked) == [both.get(name, -1) for name in asked]


def test_reports_of_the_store_of_strays_and_of_this_run_are_known(monkeypatch) -> None:
    monkeypatch.setattr(known, "_FRESH", 2)
    names = [bytes(15) + bytes([number]) for number in range(6)]
    stored = Index(names[0], np.array([10], np.uint32))
    strays = Index(names[1], np.array([11], np.uint32))
    seen = Known(lambda day: stored if day == 5 else Index(), lambda: strays)
    assert seen.judge(5, names, [10, 11, 12, 13, 14, 15]) == [SAME, SAME, NEW, NEW, NEW, NEW]
    assert seen.judge(5, names, [10, 99, 12, 13, 14, 99]) == [SAME, OTHER, SAME, SAME, SAME, OTHER]
    assert seen.judge(6, [names[2]], [12]) == [NEW]
