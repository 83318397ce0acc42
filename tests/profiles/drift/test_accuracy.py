"""The accuracy proxy: the reference's hit rates at today's confidences."""

import numpy as np
import pytest

from mlpack_edge.profiles.drift.accuracy import estimate
from mlpack_edge.profiles.spec import Blocks, Reference

PAIRS = tuple((100, 50 + 2 * cell) for cell in range(20))


def _reference(pairs: tuple[tuple[int, int], ...]) -> Reference:
    return Reference(2_000, 2_000, 0, (), (), Blocks("rows", "", "", "", ()), {}, right=pairs)


def test_it_is_the_mean_of_the_cells_rates() -> None:
    confidence = np.zeros(20, int)
    confidence[[4, 19]] = 300, 700
    found = estimate(_reference(PAIRS), confidence.tolist())
    assert found is not None
    assert found.estimate == pytest.approx(0.3 * 0.58 + 0.7 * 0.88)
    assert found.reference == pytest.approx(0.69) and (found.rows, found.labelled) == (1_000, 2_000)


def test_its_error_covers_what_the_same_model_shows() -> None:
    rng = np.random.default_rng(0)
    rates = np.linspace(0.5, 0.95, 20)
    inside = 0
    for _ in range(400):
        labelled = rng.multinomial(1_000, np.full(20, 0.05))
        found = estimate(
            _reference(tuple(zip(labelled.tolist(), rng.binomial(labelled, rates).tolist(), strict=True))), [50] * 20
        )
        assert found is not None
        inside += abs(found.estimate - rng.binomial(50, rates).sum() / 1_000) < 2 * found.error
    assert inside / 400 > 0.92


def test_cells_without_labels_borrow_from_their_neighbours() -> None:
    pairs = tuple((100, 90) if cell in (17, 19) else (0, 0) for cell in range(20))
    confidence = [0] * 20
    confidence[18] = 10
    found = estimate(_reference(pairs), confidence)
    assert found is not None and found.estimate == pytest.approx(0.9)


def test_without_labels_or_predictions_nothing_is_said() -> None:
    assert estimate(_reference(()), [5] * 20) is None
    assert estimate(_reference(PAIRS), [0] * 20) is None
