"""The page of `mlpack drift --html`."""

from mlpack_edge.cli.drift_page.counted import Counted, counted
from mlpack_edge.cli.drift_page.page import render

__all__ = ["Counted", "counted", "render"]
