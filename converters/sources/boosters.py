"""Bare booster files as sources: XGBoost (JSON, UBJSON), LightGBM (text), CatBoost (cbm)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.onnx_from_boosters.columns import booster_thresholds
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET
from mlpack_edge.converters.sources.source import SourceOptions, adopted
from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.ensemble import MEMBER, Ensemble
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.boosters.shared import Booster
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.recognise.sniff import sniff
from mlpack_edge.runtimes.rows import ColumnHint, Hints

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Library:
    """The functions of one library, as its runtime and converter modules have them."""

    kind: str
    parse: Callable[[Booster], Boosted]
    run: Callable[[Booster, Signature, Mapping[str, Array]], dict[str, Array]]
    convert: Callable[[Booster, Signature, int], BuiltModel]


def from_xgboost(name: str, options: SourceOptions) -> BoosterSource:
    """Open an XGBoost file as a source."""
    from mlpack_edge.converters.onnx_from_boosters.xgboost import boosted_from_booster, onnx_from_xgboost
    from mlpack_edge.runtimes.boosters import xgboost

    booster = xgboost.load(Path(name))
    library = Library(
        sniff(Path(name)).value,
        lambda found: boosted_from_booster(found, xgboost.kept_rounds(found)),
        xgboost.run_booster,
        onnx_from_xgboost,
    )
    return BoosterSource(library, booster, xgboost.signature_of(booster, _dtype(options, "float32")), options)


def from_lightgbm(name: str, options: SourceOptions) -> BoosterSource:
    """Open a LightGBM file as a source."""
    from mlpack_edge.converters.onnx_from_boosters.lightgbm import boosted_from_booster, onnx_from_lightgbm
    from mlpack_edge.runtimes.boosters import lightgbm

    booster = lightgbm.load(Path(name))
    library = Library("lightgbm", boosted_from_booster, lightgbm.run_booster, onnx_from_lightgbm)
    return BoosterSource(library, booster, lightgbm.signature_of(booster, _dtype(options, "float64")), options)


def from_catboost(name: str, options: SourceOptions) -> BoosterSource:
    """Open a CatBoost file as a source."""
    from mlpack_edge.converters.onnx_from_boosters.catboost import boosted_from_booster, onnx_from_catboost
    from mlpack_edge.runtimes.boosters import catboost

    booster = catboost.load(Path(name))
    library = Library("catboost", boosted_from_booster, catboost.run_booster, onnx_from_catboost)
    return BoosterSource(library, booster, catboost.signature_of(booster, _dtype(options, "float32")), options)


def _dtype(options: SourceOptions, own: str) -> str:
    """As asked; else as the data have it; else what the library itself compares in."""
    if options.stop_before:
        raise BadInput("a booster file has no steps to stop before", "leave --stop-before out")
    if options.dtype:
        return options.dtype
    if options.data is not None and options.data.arrays:
        given = str(next(iter(options.data.arrays.values())).dtype)
        return given if given in ("float32", "float64") else own
    return own


class BoosterSource:
    """A bare booster: runs as its library runs it, converts to ONNX."""

    def __init__(self, library: Library, booster: Booster, signature: Signature, options: SourceOptions) -> None:
        self.kind = library.kind
        self.signature = signature
        self._library, self._booster, self._options = library, booster, options
        self._boosted = library.parse(booster)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What the library gives, on one thread. Raises RowsRefused where it does not take these rows."""
        try:
            with np.errstate(all="ignore"):
                return self._library.run(self._booster, self.signature, feeds)
        except (BadInput, ValueError) as fault:
            raise RowsRefused(str(fault)) from fault

    def convert(self) -> BuiltModel:
        built = self._library.convert(self._booster, self.signature, self._options.opset or DEFAULT_OPSET)
        self.signature = built.signature
        return built

    def adopt(self, signature: Signature) -> None:
        self.signature = adopted(self.signature, signature)

    def hints(self) -> Hints:
        """The thresholds and the range of every column that a tree splits on."""
        model = self._boosted.model
        if not isinstance(model, Ensemble):
            return Hints()
        columns, thresholds = {}, dict(booster_thresholds(self._boosted))
        for position, column in enumerate(self.signature.columns):
            edges = thresholds.get(position)
            if edges is not None and edges.size:
                columns[(column.input, column.index)] = ColumnHint(edges=edges)
            elif position in self._boosted.truncated:
                codes = [code for node in _category_nodes(model, position) for code in model.members[node]]
                columns[(column.input, column.index)] = ColumnHint(
                    values=np.unique(np.array(codes or [0], np.float64)),
                    low=-1.0,
                    high=float(max(codes, default=0) + 2),
                )
        return Hints(columns)

    def step_outputs(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {}

    def notes(self) -> list[str]:
        return []


def _category_nodes(ensemble: Ensemble, feature: int) -> list[int]:
    return [int(node) for node in np.flatnonzero((ensemble.feature == feature) & (ensemble.mode == MEMBER))]
