"""Small PyTorch nets, each with one thing that conversions go wrong on. Imported only where torch is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Beside(nn.Module):
    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return torch.cat([x, z], 1)


class Residual(nn.Module):
    """A convolution net with BatchNorm that has seen data, and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.body = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm(self.stem(x)))
        return self.head((y + self.body(y)).mean((2, 3)))


class Recurrent(nn.Module):
    """An LSTM or GRU over any number of steps, whose outputs are reshaped with that number."""

    def __init__(self, kind: str = "LSTM", **options: Any) -> None:
        super().__init__()
        self.cells = getattr(nn, kind)(4, 6, batch_first=True, **options)
        self.head = nn.LazyLinear(2)
        self(torch.zeros(1, 1, 4))

    def forward(self, x: Tensor) -> Tensor:
        steps = self.cells(x)[0]
        flat = self.head(steps.reshape(x.shape[0] * x.shape[1], -1))
        return flat.reshape(x.shape[0], x.shape[1], 2)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Tokens(nn.Module):
    """Token ids, positions out of a table of 16, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50, 8), nn.Parameter(torch.randn(16, 8))
        self.attention, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        states = self.words(ids) + self.places[: ids.shape[1]]
        states = states + self.attention(states, states, states, need_weights=False)[0]
        return self.head(states.mean(1))


class Named(nn.Module):
    """A dict of outputs with None, a tuple and an input handed through."""

    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"double": x * 2, "nothing": None, "more": (x, x.sum(1))}


class Two(nn.Module):
    """Two inputs, an optional third, a number by keyword only; it prints."""

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None = None, *, scale: Tensor | None = None) -> Any:
        print("a line of the user's code")
        made = x @ y.transpose(1, 2)
        if mask is not None:
            made = made.masked_fill(mask, 0.0)
        return made if scale is None else made * scale


class Branch(nn.Module):
    """Which way it goes depends on the numbers."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x + 1
        return x - 1


class Large(nn.Module):
    """Which way it goes depends on the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if x.shape[0] > 4 else x - 1


class Alone(nn.Module):
    """A batch of one goes another way; the layer norm makes torch ask for a batch that is not one in any case."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)

    def forward(self, x: Tensor) -> Tensor:
        made = self.layers(x)
        return made + 1 if x.shape[0] == 1 else made


class Counted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * len(x)


class Counting(nn.Module):
    """It remembers how often it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return x + self.seen


class Svd(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.svd(x)[1]


class Chosen(nn.Module):
    """Both ways are in the graph."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))


class Tied(nn.Module):
    """One tensor under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.words(ids))


class Ready(nn.Module):
    """It brings its own example: one row, and token ids in int32."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.example_inputs = (torch.randn(1, 4), torch.zeros(1, 2, dtype=torch.int32))

    def forward(self, x: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(x) + counts.sum(1, keepdim=True), counts.to(torch.int64)


class Halving(nn.Module):
    """Half the size and back again: an odd size does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 3, 2, 1), nn.ConvTranspose2d(4, 1, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(self.down(x))


class Normed(nn.Module):
    """One step alone has no spread, and the norm refuses it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.LayerNorm(8), nn.InstanceNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).transpose(1, 2))
