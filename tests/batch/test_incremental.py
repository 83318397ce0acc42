"""Which inputs an incremental run scores, and which rows stay."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.batch.incremental import divide
from mlpack_edge.batch.manifest import Manifest, ManifestInput
from mlpack_edge.batch.plan import Fingerprint, InputFile
from tests.batch.outputs.runs import input_file


def _last(*inputs: InputFile) -> Manifest:
    return Manifest("k", {}, (), tuple(ManifestInput(item, item.rows, item.rows) for item in inputs), ())


def test_new_and_changed_inputs_are_scored_and_unchanged_and_gone_ones_are_kept() -> None:
    last = _last(input_file("same"), input_file("changed"), input_file("gone"))
    now = [input_file("new"), input_file("changed", version=2), input_file("same")]
    division = divide(last, now)
    assert division.scored == (now[0], now[1])
    assert [item.name for item in division.kept] == ["same", "gone"]
    assert (division.new, division.changed, division.grown, division.gone) == (("new",), ("changed",), (), ("gone",))


def test_of_a_grown_input_only_what_follows_is_scored() -> None:
    last = _last(input_file("a", 4))
    asked = []

    def appended(item: InputFile, known: Fingerprint, rows: int) -> int:
        asked.append((item.name, known, rows))
        return rows

    division = divide(last, [input_file("a", 9, version=2), input_file("b")], appended)
    assert [(item.name, item.skip) for item in division.scored] == [("a", 4), ("b", 0)]
    assert division.grown == ("a",)
    assert asked == [("a", input_file("a", 4).fingerprint, 4)]


def test_a_file_that_was_only_touched_is_unchanged_where_its_whole_digest_is_known() -> None:
    item = input_file("a")
    touched = replace(item, fingerprint=replace(item.fingerprint, mtime_ns=99))
    assert divide(_last(item), [touched]).kept == (touched,)
    footer = replace(item, fingerprint=replace(item.fingerprint, whole=False))
    rewritten = replace(footer, fingerprint=replace(footer.fingerprint, mtime_ns=99))
    assert divide(_last(footer), [rewritten]).changed == ("a",)


_NAMES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 2))


@given(_NAMES, _NAMES)
def test_every_input_is_either_scored_or_kept(before: dict[str, int], now: dict[str, int]) -> None:
    last = _last(*(input_file(name, version=version) for name, version in before.items()))
    division = divide(last, [input_file(name, version=version) for name, version in now.items()])
    scored, kept = [item.name for item in division.scored], [item.name for item in division.kept]
    assert sorted(scored + kept) == sorted(set(before) | set(now))
    assert set(scored) == {name for name in now if before.get(name) != now[name]}
    assert scored == [name for name in now if name in scored]
