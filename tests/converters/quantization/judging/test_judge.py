"""The judge: one run of the float model, any number of candidates, the same figures whatever the batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpack_edge.converters.blocks import block_of
from mlpack_edge.converters.quantization.judging import batches
from mlpack_edge.converters.quantization.judging.judge import Judge
from mlpack_edge.converters.quantization.proof import proven
from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Signature, TensorSpec
from tests.converters.quantization.judging.answering import Answering, InMemory, echo, numbered, output, signature

Array = NDArray[Any]
DRAW = np.random.default_rng(11)
LOGITS = (DRAW.normal(size=(3000, 5)) * 3).astype(np.float32)
ROUNDED = np.round(LOGITS * 2) / 2


def of(name: str, array: Array, *, role: str = "", dtype: str = "float32") -> Answering:
    return echo(output(name, *array.shape[1:], role=role, dtype=dtype), **{name: array})


def test_agreement_is_flips_and_noise_and_the_larger_counts() -> None:
    with Judge(of("logits", LOGITS), numbered(3000)) as judge:
        quality = judge.judge(of("logits", ROUNDED))
        assert judge.metric == "agreement"
        assert judge.rows == 3000
    flips = float((LOGITS.argmax(1) != ROUNDED.argmax(1)).mean())
    expected = ((LOGITS - ROUNDED) ** 2).mean(axis=0) / LOGITS.astype(np.float64).var(axis=0).max()
    assert quality.flips == flips
    assert quality.drop == max(flips, quality.slices[0].noise)
    assert [one.noise for one in quality.slices] == pytest.approx(sorted(expected, reverse=True), rel=1e-5)
    assert (quality.before, quality.after) == (1.0, 1.0 - quality.drop)
    assert Judge(of("y", LOGITS), numbered(3000)).judge(of("y", LOGITS * -1)).after == 0.0
    assert {(one.output, one.axis) for one in quality.slices} == {("logits", 1)}


@pytest.mark.parametrize("metric", [None, "accuracy", "f1", "auc", "logloss"])
def test_neither_the_size_of_batches_nor_a_file_for_the_answers_changes_a_figure(
    metric: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    labels = None if metric is None else (LOGITS + DRAW.normal(size=LOGITS.shape) * 3).argmax(axis=1)
    found = []
    for rows, memory in ((1024, 1 << 30), (7, 1000), (1000, 0)):
        monkeypatch.setattr(batches, "ROWS", rows)
        with Judge(of("logits", LOGITS), numbered(3000, labels), metric, memory=memory, folder=tmp_path) as judge:
            found.append(judge.judge(of("logits", ROUNDED)))
    assert found[0].drop == pytest.approx(found[1].drop, rel=1e-9)
    assert found[0].before == pytest.approx(found[2].before, rel=1e-9)
    assert [one.index for one in found[0].slices] == [one.index for one in found[1].slices]
    assert [one.noise for one in found[0].slices] == pytest.approx([one.noise for one in found[1].slices], rel=1e-9)
    assert list(tmp_path.iterdir()) == []


def test_the_float_model_runs_once_for_all_candidates() -> None:
    reference, rows = of("logits", LOGITS), numbered(3000)
    judge = Judge(reference, rows)
    first = judge.judge(of("logits", LOGITS))
    calls = reference.calls
    assert (first.drop, first.flips) == (0, 0)
    assert judge.judge(of("logits", ROUNDED)).drop > 0
    assert judge.judge(of("logits", LOGITS)) == first
    assert reference.calls == calls
    assert rows.passes == 4


def test_few_rows_are_the_first_ones() -> None:
    ruined = LOGITS.copy()
    ruined[1500:] = 0
    with Judge(of("logits", LOGITS), numbered(3000, LOGITS.argmax(axis=1))) as judge:
        few = judge.judge(of("logits", ruined), 100)
        assert few.rows == 1024
        assert (few.flips, few.drop, few.before) == (0, 0, 1)
        assert judge.judge(of("logits", ruined)).flips == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("kind", ["flips", "noise", "sizes"])
def test_a_candidate_that_is_sure_to_lose_too_much_is_not_run_to_the_end(kind: str) -> None:
    ruined = LOGITS.copy()
    ruined[1100:1400] = 0 if kind == "noise" else -LOGITS[1100:1400]
    role = "value" if kind == "noise" else ""
    reference, candidate = of("y", LOGITS, role=role), of("y", ruined, role=role)
    if kind == "sizes":
        candidate.function = lambda feeds: {"y": LOGITS[: len(feeds["x"]) - (feeds["x"][0, 0] == 1024)]}
        reference.function = lambda feeds: {"y": LOGITS[: len(feeds["x"])]}
    with Judge(reference, numbered(3000)) as judge:
        whole = judge.judge(candidate)
        assert whole.drop > 0.08
        assert judge.judge(candidate, enough=0.01).rows == 2048
        assert judge.judge(candidate, enough=0.01).drop > 0.01
        assert judge.judge(candidate, enough=whole.drop + 1e-9) == whole
        assert judge.judge(reference, enough=0.0).rows == 3000


def test_labels_of_the_user_are_always_judged_on_all_rows() -> None:
    with Judge(of("y", LOGITS), numbered(3000, LOGITS.argmax(axis=1))) as judge:
        assert judge.judge(of("y", -LOGITS), enough=0.01).rows == 3000


def test_labels_are_judged_by_the_metric_and_agreement_is_told_beside_it() -> None:
    """Scores may be far off while accuracy is the same: the facts show it."""
    labels = LOGITS.argmax(axis=1)
    with Judge(of("logits", LOGITS), numbered(3000, labels)) as judge:
        quality = judge.judge(of("logits", LOGITS * 0.3))
    assert (quality.metric, quality.before, quality.after, quality.drop) == ("accuracy", 1, 1, 0)
    assert quality.flips == 0
    assert quality.slices[0].noise == pytest.approx(0.49, rel=0.05)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_candidate_that_gives_no_number_once_loses_everything(bad: float, labelled: bool) -> None:
    ruined = LOGITS.copy()
    ruined[2222, 3] = bad
    with Judge(of("logits", LOGITS), numbered(3000, LOGITS.argmax(axis=1) if labelled else None)) as judge:
        quality = judge.judge(of("logits", ruined))
    assert quality.drop == np.inf
    assert not quality.drop <= 1e9
    assert (quality.slices[0].index, quality.slices[0].noise) == (3, np.inf)


def test_a_float_model_that_gives_no_number_itself_asks_for_none() -> None:
    gaps = LOGITS.copy()
    gaps[::7, 2] = np.nan
    with Judge(of("y", gaps, role="value"), numbered(3000)) as judge:
        assert judge.judge(of("y", gaps, role="value")).drop == 0


@pytest.mark.parametrize(
    ("array", "role", "moved", "flips"),
    [
        (LOGITS, "probabilities", ROUNDED, "rows"), (LOGITS, "scores", ROUNDED, "rows"), (LOGITS, "value", ROUNDED, None),
        (LOGITS, "transformed", ROUNDED, None), (LOGITS, "", ROUNDED, "rows"), (np.tile(LOGITS, 40), "", np.tile(ROUNDED, 40), None),
        (LOGITS[:, :, None, None], "", ROUNDED[:, :, None, None], "rows"),
        (LOGITS[:, :1], "proportions", LOGITS[:, :1] + 1, "above a half"), (LOGITS[:, 0], "", LOGITS[:, 0] + 1, None),
        (LOGITS.reshape(300, 10, 5), "", ROUNDED.reshape(300, 10, 5), None),
    ],
    ids=["probabilities", "scores", "values", "transformed", "lone", "wide", "of 1x1 maps", "proportion", "number", "3-D"],
)  # fmt: skip
def test_flips_are_counted_where_an_output_names_a_class(
    array: Array, role: str, moved: Array, flips: str | None
) -> None:
    with Judge(of("y", array, role=role), numbered(len(array))) as judge:
        found = judge.judge(of("y", moved, role=role)).flips
    if flips is None:
        assert found is None
    elif flips == "rows":
        assert found == float((LOGITS.argmax(1) != ROUNDED.argmax(1)).mean())
    else:
        assert found == float(((LOGITS[:, 0] > 0.5) != (LOGITS[:, 0] + 1 > 0.5)).mean())


def test_labels_of_the_model_are_counted_not_measured() -> None:
    made = np.array([["a", "b", "b", "c"], ["a", "b", "c", "c"]], object)
    specs = output("label", role="label", dtype="string"), output("p", 5, role="probabilities")
    answers = [echo(*specs, label=one, p=p) for one, p in zip(made, (LOGITS, ROUNDED), strict=True)]
    with Judge(answers[0], numbered(4)) as judge:
        quality = judge.judge(answers[1])
    assert quality.flips == 0.25
    assert {one.output for one in quality.slices} == {"p"}


@pytest.mark.parametrize("axis", [1, 2])
def test_distributions_at_every_position_are_classes_there(axis: int) -> None:
    """Characters along a line: that one of them, which occurs once, became another must not drown all else."""
    reference = np.full((20, 40, 300), 1e-5)
    reference[:, :, 0] = 1 - 299e-5
    reference[3, 7] = np.eye(300)[123] * 0.9 + 0.1 / 300
    moved = reference.copy()
    moved[3, 7] = np.eye(300)[124] * 0.9 + 0.1 / 300
    one, other = (np.moveaxis(array, 2, axis).astype(np.float32) for array in (reference, moved))
    with Judge(of("y", one, role="probabilities"), numbered(20)) as judge:
        quality = judge.judge(of("y", other, role="probabilities"))
    assert quality.flips == 1 / 800
    assert {fact.axis for fact in quality.slices} == {axis}
    assert quality.slices[0].noise == pytest.approx(0.9, rel=0.15)  # one event is all that this output says
    for place in range(60):
        reference[place % 20, place // 20] = moved[place % 20, place // 20] = np.eye(300)[5]
    one, other = (np.moveaxis(array, 2, axis).astype(np.float32) for array in (reference, moved))
    with Judge(of("y", one, role="probabilities"), numbered(20)) as judge:
        assert judge.judge(of("y", other, role="probabilities")).slices[0].noise < 0.02


def test_pixels_of_a_class_map_are_labels_each() -> None:
    classes = DRAW.integers(0, 9, (4, 10, 10))
    moved = classes.copy()
    moved[0, 0, :] = 99
    with Judge(of("map", classes, dtype="int64"), numbered(4)) as judge:
        assert judge.judge(of("map", moved, dtype="int64")).flips == 10 / 400


def test_a_score_column_beside_boxes_is_found_as_the_worst_slice() -> None:
    boxes, scores = DRAW.uniform(0, 640, (50, 4, 100)), DRAW.beta(0.2, 1, (50, 2, 100))
    reference = np.concatenate([boxes, scores], axis=1).astype(np.float32)
    ruined = np.round(reference / 2.5) * 2.5  # one step for all
    with Judge(of("output0", reference, role="proportions"), numbered(50)) as judge:
        quality = judge.judge(of("output0", ruined.astype(np.float32), role="proportions"))
    assert {(one.output, one.axis, one.index) for one in quality.slices[:2]} == {("output0", 1, 4), ("output0", 1, 5)}
    assert quality.drop > 0.9
    assert quality.slices[2].noise < 1e-3


def test_an_output_whose_size_depends_on_the_rows_flips_them_where_it_changes() -> None:
    """Detections after their suppression: another number of them is another answer."""

    def detections(limit: float) -> Callable[[Any], dict[str, Array]]:
        return lambda feeds: {"found": feeds["x"][feeds["x"][:, 0] > limit]}

    spec = TensorSpec("found", "float32", ("detections", 3))
    rows = InMemory({"x": DRAW.uniform(size=(2048, 3)).astype(np.float32)})
    with Judge(Answering(signature(spec), detections(0.5)), rows) as judge:
        assert judge.judge(Answering(signature(spec), detections(0.5))).drop == 0
        assert judge.judge(Answering(signature(spec), detections(0.51))).flips == 1.0


def test_a_model_of_a_fixed_batch_is_filled_up_and_cut_off() -> None:
    def answer(feeds: Any) -> dict[str, Array]:
        assert len(feeds["x"]) % 8 == 0
        return {"y": feeds["x"] * 2}

    fixed = Signature((TensorSpec("x", "float32", (8, 3)),), (TensorSpec("y", "float32", (8, 3)),))
    x = DRAW.normal(size=(2053, 3)).astype(np.float32)
    with Judge(Answering(fixed, answer), InMemory({"x": x})) as judge:
        quality = judge.judge(Answering(fixed, lambda feeds: {"y": feeds["x"] * 2.02}))
        assert judge.rows == 2053
    assert quality.slices[0].noise == pytest.approx(1e-4, rel=0.05)


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (echo(output("other", 5), other=LOGITS), "has no output 'logits'"),
        (of("logits", LOGITS.astype(np.int8), dtype="int8"), "float32 in the float model and int8"),
    ],
)
def test_a_candidate_of_other_outputs_is_refused(candidate: Answering, said: str) -> None:
    with Judge(of("logits", LOGITS), numbered(3000)) as judge, pytest.raises(CheckFailed, match=said):
        judge.judge(candidate)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(BadInput, match="no rows to judge on"):
        Judge(of("y", LOGITS), numbered(0)).judge(of("y", LOGITS))
    with pytest.raises(BadInput, match="needs labels"):
        Judge(of("y", LOGITS), numbered(10), "accuracy").judge(of("y", LOGITS))
    with pytest.raises(BadInput, match="'top5' is not known"):
        Judge(of("y", LOGITS), numbered(10), "top5")


def test_rows_are_told_as_they_are_judged() -> None:
    told: list[int] = []
    with Judge(of("y", LOGITS), numbered(3000), on_rows=told.append) as judge:
        judge.judge(of("y", LOGITS))
    assert told == [1024, 2048, 3000, 1024, 2048, 3000]


def test_a_net_is_run_in_blocks_of_bounded_bytes_and_a_small_one_in_one_call_a_batch(tmp_path: Path) -> None:
    """The figures are those of whole batches. A model that mixes its rows is run on whole batches."""

    def sizes_of(width: int, function: Callable[[Array], Array]) -> tuple[list[int], float]:
        seen: list[int] = []

        def times(factor: float) -> Answering:
            def answer(feeds: Any) -> dict[str, Array]:
                seen.append(len(feeds["x"]))
                return {"y": function(feeds["x"]) * np.float32(factor)}

            return Answering(signature(output("y"), width=width), answer)

        x = np.random.default_rng(4).normal(size=(2100, width)).astype(np.float32)
        quality, report = proven(times(1), times(1.1), InMemory({"x": x}), None, (), tmp_path)
        assert report["rows"] == 2100
        return seen, quality.drop

    wide, drop = sizes_of(2000, lambda x: x.sum(axis=1))
    assert max(wide) <= 33 and sum(wide) == 4 * 2100
    assert drop == pytest.approx(0.01, rel=0.2)
    assert sizes_of(3, lambda x: x.sum(axis=1))[0] == [*[1024, 1024, 52] * 2, *np.repeat([1024, 1024, 52], 2)]
    assert 1024 in sizes_of(2000, lambda x: x.sum(axis=1)[: len(x) - len(x) % 2])[0]


@pytest.mark.parametrize("length", [100_000, 7])
def test_inputs_of_other_names_of_sizes_are_not_cut(length: int) -> None:
    """However long they are: that two lengths agree makes no pairs of rows."""
    x = np.zeros((100_000, 3), np.float32)
    for name, block in (("n", (1 << 18) // 24), ("m", None)):
        two = Signature((TensorSpec("x", "float32", ("n", 3)), TensorSpec("table", "float32", (name, 3))), ())
        if block is None or length == len(x):
            assert block_of(two, {"x": x, "table": x[:length]}) == block


def test_an_output_that_is_read_as_a_whole_is_one_slice(tmp_path: Path) -> None:
    """A quiet column of an embedding is a part of its length; among boxes and scores it would be a score."""
    loud = DRAW.normal(size=(500, 300)).astype(np.float32)
    loud[:, 3] *= 0.01
    candidate = loud + DRAW.normal(size=loud.shape).astype(np.float32) * 0.01
    with Judge(of("embedding", loud), numbered(500)) as judge:
        assert judge.judge(of("embedding", candidate)).drop > 0.5
    with Judge(of("embedding", loud), numbered(500), whole=["embedding"]) as judge:
        quality = judge.judge(of("embedding", candidate))
    noise = ((candidate - loud) ** 2).mean() / loud.astype(np.float64).var()
    assert quality.drop == pytest.approx(noise, rel=1e-4)
    assert [(one.output, one.index) for one in quality.slices] == [("embedding", None)]
    with Judge(of("logits", LOGITS), numbered(3000), whole=["logits"]) as judge:
        assert judge.judge(of("logits", ROUNDED)).flips is None
    with pytest.raises(BadInput, match="there is no output 'boxes'"):
        Judge(of("embedding", loud), numbered(500), whole=["boxes"])
