"""What every registered source owes, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mlpack_edge.converters.opening import kind_of
from mlpack_edge.converters.prove import Allowed, prove
from mlpack_edge.converters.sources.source import Source
from mlpack_edge.core.extensions import SOURCES, extensions
from mlpack_edge.runtimes.onnxruntime import OnnxRunner
from mlpack_edge.runtimes.rows import Hints, make_groups
from tests.converters.source_samples import SAMPLES, Sample


def test_every_registered_source_has_a_sample() -> None:
    assert set(extensions(SOURCES)) == set(SAMPLES)


@pytest.fixture(scope="module", params=sorted(SAMPLES))
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, Source]:
    """A freshly opened sample of each kind."""
    sample = SAMPLES[request.param](tmp_path_factory.mktemp(request.param))
    source: Source = extensions(SOURCES)[request.param].load()(sample.name, sample.options)
    return sample, source


@pytest.mark.long
def test_source(opened: tuple[Sample, Source]) -> None:
    """Recognised by content; converts to a valid model that is proven the same; answers under its signature; runs at
    batch 0 and 1; converts to the same bytes twice; tells hints and notes in their types."""
    sample, source = opened
    assert kind_of(sample.name) == source.kind
    built = source.convert()
    onnx.checker.check_model(built.model, full_check=True)
    assert source.signature == built.signature
    assert [value.name for value in built.model.graph.input] == [spec.name for spec in built.signature.inputs]
    assert [value.name for value in built.model.graph.output] == [spec.name for spec in built.signature.outputs]
    assert isinstance(source.hints(), Hints)
    assert all(isinstance(text, str) for text in source.notes())
    runner = OnnxRunner(built.model.SerializeToString(), built.signature)
    family = "net" if source.kind.startswith(("torch", "onnx")) else "tabular"
    proof = prove(source, runner, source.hints(), None, 200, Allowed(family), lambda feeds: None)
    assert proof.verdict.passed, proof.verdict.reasons
    assert proof.report.rows >= 200
    assert source.convert().model.SerializeToString() == built.model.SerializeToString()


@pytest.mark.long
def test_outputs_are_what_the_signature_says(opened: tuple[Sample, Source]) -> None:
    _, source = opened
    signature = source.convert().signature
    for group in make_groups(signature, source.hints(), 20):
        if not group.name.startswith(("ordinary", "single", "batch 1")):
            continue
        made = source.run(group.feeds)
        assert set(made) == {spec.name for spec in signature.outputs}
        for spec in signature.outputs:
            assert len(made[spec.name]) == group.rows
            assert made[spec.name].ndim == len(spec.shape)
            if spec.role == "probabilities" and group.rows:
                np.testing.assert_allclose(made[spec.name].sum(axis=1), 1, atol=1e-6)


@pytest.mark.long
def test_a_source_answers_under_the_signature_it_adopts(opened: tuple[Sample, Source], tmp_path: Path) -> None:
    _, source = opened
    signature = source.convert().signature
    source.adopt(signature)
    assert source.signature == signature
