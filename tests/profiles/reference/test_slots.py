"""Which features a signature makes."""

from __future__ import annotations

import pytest

from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.profiles.reference.slots import LARGEST_PLACE, LARGEST_VALUE, Slot, slots_of

X = TensorSpec("x", "float32", ("batch", 3))


def _named(slots: tuple[Slot, ...]) -> list[tuple[str, bool]]:
    return [(slot.source.name, slot.category) for slot in slots]


def test_columns_give_their_names_units_and_categories() -> None:
    columns = (
        Column("weight", "numeric", "x", 1, unit="kg"), Column("kind", "categorical", "x", 0, (1.0, 2, "", "b")),
        Column("remark", "text", "x", 2),
    )  # fmt: skip
    made = slots_of(Signature((X,), (), columns)).inputs
    assert _named(made) == [("kind", True), ("weight", False), ("remark", True)]
    assert made[0].known == ("1", "2", "b") and made[0].declared
    assert (made[1].source.unit, made[1].source.index, made[1].source.tensor) == ("kg", 1, "x")
    assert not made[2].declared


@pytest.mark.parametrize(
    ("shape", "names"),
    [(("batch", 3), ["x[0]", "x[1]", "x[2]"]), (("batch", 1), ["x"]), (("batch",), ["x"]), (("batch", 2, 2), 4)],
)
def test_tensors_without_names_are_numbered(shape: tuple[int | str, ...], names: list[str] | int) -> None:
    made = slots_of(Signature((TensorSpec("x", "float32", shape),), ())).inputs
    assert len(made) == names if isinstance(names, int) else [slot.source.name for slot in made] == names


@pytest.mark.parametrize("shape", [("batch", 257), ("batch", 3, 224, 224), ("batch", "steps", 4)])
def test_images_and_open_sizes_are_no_inputs_and_said_so(shape: tuple[int | str, ...]) -> None:
    made = slots_of(Signature((TensorSpec("x", "float32", shape),), ()))
    assert made.inputs == () and len(made.notes) == 1 and "'x'" in made.notes[0]


def _outputs(*specs: TensorSpec, classes: tuple[str | int, ...] = ()) -> tuple[list[tuple[str, bool]], str]:
    made = slots_of(Signature((X,), specs, (), classes))
    return _named(made.outputs), made.probabilities


def test_of_two_probabilities_the_second_is_counted() -> None:
    label = TensorSpec("label", "int64", ("batch",), "label")
    sure = TensorSpec("p", "float32", ("batch", 2), "probabilities")
    assert _outputs(label, sure, classes=(0, 1)) == ([("label", True), ("p[1]", False)], "p")
    one = TensorSpec("p", "float32", ("batch", 1), "probabilities")
    assert _outputs(one, classes=(0, 1)) == ([("p", False)], "p")


def test_classes_name_probabilities_and_scores() -> None:
    sure = TensorSpec("p", "float32", ("batch", 3), "probabilities")
    assert _outputs(sure, classes=("a", "b", "c"))[0] == [("p[a]", False), ("p[b]", False), ("p[c]", False)]
    scores = TensorSpec("s", "float32", ("batch", 3), "scores")
    assert _outputs(scores)[0] == [("s[0]", False), ("s[1]", False), ("s[2]", False)]


def test_of_a_thousand_classes_the_largest_is_counted() -> None:
    made = slots_of(Signature((X,), (TensorSpec("p", "float32", ("batch", 1000), "probabilities"),)))
    assert _named(made.outputs) == [("p.largest", True), ("p.largest_value", False)]
    assert [slot.source.index for slot in made.outputs] == [LARGEST_PLACE, LARGEST_VALUE]
    assert made.outputs[0].known[:3] == ("0", "1", "2")


def test_a_value_and_what_is_neither_label_nor_score() -> None:
    value = TensorSpec("y", "float64", ("batch", 1), "value")
    boxes = TensorSpec("boxes", "float32", ("batch", 100, 4))
    made = slots_of(Signature((X,), (value, boxes)))
    assert _named(made.outputs) == [("y", False)] and "'boxes'" in made.notes[0]


def test_no_two_features_have_one_name_nor_that_of_a_group() -> None:
    columns = (
        Column("latency", "numeric", "x", 0),
        Column("y", "numeric", "x", 1),
        Column("y (output)", "numeric", "x", 2),
    )
    made = slots_of(Signature((X,), (TensorSpec("y", "float32", ("batch",), "value"),), columns))
    assert [slot.source.name for slot in made.all] == ["latency (input)", "y", "y (output)", "y (output) (output)"]
