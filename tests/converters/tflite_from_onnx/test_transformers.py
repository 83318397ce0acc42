"""Transformers exported from PyTorch: right at any batch, and nothing left but products, normalisations and heads."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from mlpack_edge.converters.onnx_from_torch.convert import TorchOptions, convert
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds

torch = pytest.importorskip("torch", reason="the extra [torch] is not installed")
nn = torch.nn
RNG = np.random.default_rng(0)
#: What computes a shape when the model runs; everything behind it is lost to XNNPACK.
_SHAPES = {"SHAPE", "PACK", "RANGE", "FILL", "BROADCAST_TO", "BROADCAST_ARGS"}
if True:  # the classes below need torch

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        """A decoder's block: queries, keys and values of one product, a causal mask, GELU by tanh."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LayerNorm(32), nn.LayerNorm(32)
            self.project, self.join = nn.Linear(32, 96), nn.Linear(32, 32)
            self.layers = nn.Sequential(nn.Linear(32, 64), nn.GELU(approximate="tanh"), nn.Linear(64, 32))

        def forward(self, x: Any) -> Any:
            batch, steps, width = x.shape
            parts = self.project(self.first(x)).chunk(3, -1)
            q, k, v = (part.view(batch, steps, 4, width // 4).transpose(1, 2) for part in parts)
            made = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.join(made.transpose(1, 2).reshape(batch, steps, width))
            return x + self.layers(self.second(x))

    class Own(nn.Module):  # type: ignore[misc, name-defined]
        """Attention written out: scores divided, masked with -inf, softmax."""

        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.join = (nn.Linear(32, 32) for _ in range(4))
            self.register_buffer("mask", torch.tril(torch.ones(12, 12)).bool())

        def forward(self, x: Any) -> Any:
            batch, steps, width = x.shape
            q, k, v = (part(x).view(batch, steps, 4, -1).permute(0, 2, 1, 3) for part in (self.q, self.k, self.v))
            scores = (q @ k.transpose(-2, -1)) / (width / 4) ** 0.5
            shares = scores.masked_fill(~self.mask, float("-inf")).softmax(-1)
            return self.join((shares @ v).permute(0, 2, 1, 3).reshape(batch, steps, width))

    class Patches(nn.Module):  # type: ignore[misc, name-defined]
        """An image in patches, a token for its class in front, an encoder that normalises behind."""

        def __init__(self) -> None:
            super().__init__()
            self.patches, self.head = nn.Conv2d(3, 32, 4, 4), nn.Linear(32, 5)
            self.token, self.places = nn.Parameter(torch.randn(1, 1, 32)), nn.Parameter(torch.randn(1, 17, 32))
            self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")

        def forward(self, x: Any) -> Any:
            rows = self.patches(x).flatten(2).transpose(1, 2)
            rows = torch.cat([self.token.expand(rows.shape[0], -1, -1), rows], 1) + self.places
            return self.head(self.layer(rows)[:, 0])


def _encoder() -> Any:
    return nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True, activation="gelu")


@pytest.mark.long
@pytest.mark.parametrize(
    ("build", "shape", "most"),
    [(_encoder, (12, 32), 36), ("Block", (12, 32), 36), ("Own", (12, 32), 17), ("Patches", (3, 16, 16), 51)],
)
def test_a_transformer_is_right_and_lean(build: Any, shape: tuple[int, ...], most: int) -> None:
    """One transpose for each of queries, keys, values and their joined result, no slices of a product, no shapes."""
    torch.manual_seed(0)
    net = (globals()[build] if isinstance(build, str) else build)()
    for parameter in net.parameters():
        if parameter.dim() == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    name = "src" if build is _encoder else "x"
    model, _ = convert(net.eval(), TorchOptions({name: ("batch", *shape)}))
    feeds = [{name: RNG.normal(size=(n, *shape)).astype(np.float32)} for n in (1, 2, 7)]
    found = Counter(kinds(assert_lowered(model, *feeds, rtol=1e-4, atol=2e-5).data))
    assert found.total() <= most
    assert found["TRANSPOSE"] <= 4 + (build == "Patches")
    assert found["BATCH_MATMUL"] == 2
    assert found["SOFTMAX"] == 1
    assert not _SHAPES & set(found)
