"""The trained nets of the quantization benchmark: what they are, their training, their export. Needs torch.

`BatchNorm1d` first on raw columns, and a scaler as the net's first layer, are the tables on which one scale for all
columns of the input loses the small ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import edge_nets
import numpy as np
import quantize_digits as sets
import torch
from quantize_case import write
from torch import Tensor, nn

from mlpack_edge.converters.onnx_from_torch.convert import TorchOptions, convert

#: Rows of the training part that calibrate, at most.
CALIBRATION = 300


class Scaler(nn.Module):
    """Columns by the statistics of those to train on."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("deviation", x.std(0) + 1e-9)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class Named(nn.Module):
    """The net with its input named x."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class SmallNet(nn.Sequential):
    """Three convolutions with BatchNorm and two dense layers, on 3x32x32."""

    def __init__(self) -> None:
        units = [edge_nets.conv_unit(*widths, activation=nn.ReLU) for widths in ((3, 16), (16, 32), (32, 48))]
        layers = [part for unit in units for part in (unit, nn.MaxPool2d(2))]
        super().__init__(*layers, nn.Flatten(), nn.Linear(48 * 16, 96), nn.ReLU(), nn.Linear(96, 10))


class RowEncoder(nn.Module):
    """A transformer encoder (norm first, GELU) over the eight rows of a digit."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.places = nn.Linear(8, 64), nn.Parameter(torch.randn(8, 64) * 0.1)
        layer = nn.TransformerEncoderLayer(64, 4, 128, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(64), enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.embed(x) + self.places).mean(1))


class Number(nn.Module):
    """A net of one output, in the truth's own units."""

    def __init__(self, layers: nn.Module, y: Tensor) -> None:
        super().__init__()
        self.layers, self.mean, self.deviation = layers, float(y.mean()), float(y.std())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)[:, 0] * self.deviation + self.mean


def dense(*widths: int) -> list[nn.Module]:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for wide, wider in itertools.pairwise(widths):
        layers += [nn.Linear(wide, wider), nn.ReLU()]
    return layers[:-1]


@dataclass(frozen=True, slots=True)
class Net:
    """rows: makes the set. build: the net, from the rows and truth to train on. metric: of quantize_judge.METRICS."""

    rows: Callable[[], sets.Set]
    build: Callable[[Tensor, Tensor], nn.Module]
    epochs: int
    metric: str = "accuracy"
    rate: float = 2e-3


NETS = {
    "digits_mlp": Net(sets.digits, lambda x, y: nn.Sequential(*dense(64, 256, 256, 10)), 40),
    "digits_cnn": Net(lambda: sets.photographed_digits(32, 6), lambda x, y: SmallNet(), 10),
    "digits_residual": Net(lambda: sets.photographed_digits(32, 6), lambda x, y: edge_nets.ResidualNet(), 8),
    "digits_depthwise": Net(lambda: sets.photographed_digits(48, 5), lambda x, y: edge_nets.DepthwiseNet(), 8),
    "digits_transformer": Net(sets.digit_rows, lambda x, y: RowEncoder(), 60, rate=1e-3),
    "digits_lstm": Net(
        sets.digit_rows, lambda x, y: edge_nets.Recurrent(nn.LSTM(8, 96, batch_first=True), 10), 120, rate=5e-3
    ),
    "digits_gru": Net(
        sets.digit_rows,
        lambda x, y: edge_nets.Recurrent(nn.GRU(8, 64, batch_first=True, bidirectional=True), 10),
        120,
        rate=5e-3,
    ),
    "cancer_raw_batchnorm": Net(
        sets.cancer, lambda x, y: nn.Sequential(nn.BatchNorm1d(30), *dense(30, 128, 128, 2)), 60, rate=1e-3
    ),
    "cancer_scaled": Net(lambda: sets.scaled(sets.cancer()), lambda x, y: nn.Sequential(*dense(30, 128, 128, 2)), 30),
    "wine_scaler_inside": Net(sets.wine, lambda x, y: nn.Sequential(Scaler(x), *dense(13, 128, 64, 3)), 60),
    "flights_raw_batchnorm": Net(
        sets.flights, lambda x, y: nn.Sequential(nn.BatchNorm1d(8), *dense(8, 128, 128, 64, 2)), 6
    ),
    "diabetes_raw": Net(
        sets.diabetes, lambda x, y: Number(nn.Sequential(Scaler(x), *dense(10, 128, 64, 1)), y), 30, "rmse", 1e-3
    ),
}


def make(name: str, folder: Path) -> None:
    """Train `name` and write its case below `folder`."""
    spec = NETS[name]
    found = spec.rows()
    net = trained(spec, found)
    x = found.x["train"][:1]
    model, _ = convert(Named(net), TorchOptions({"x": ("batch", *x.shape[1:])}))
    output = model.graph.output[0].name
    parts = {"calib": {"x": found.x["train"][:CALIBRATION]}} | {p: {"x": found.x[p]} for p in ("eval", "test")}
    meaning = "number" if spec.metric == "rmse" else "classes"
    write(
        folder / "models" / name, model.SerializeToString(), parts, {p: found.y[p] for p in ("eval", "test")},
        {"kind": "trained", "source": f"quantize_nets.py:{name}", "metric": spec.metric,
         "outputs": {output: {"meaning": meaning}}},
    )  # fmt: skip


def trained(spec: Net, found: sets.Set) -> nn.Module:
    """Adam with a rate that falls to nothing, one thread, a fixed seed: the same net every time."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, y = (torch.from_numpy(part["train"]) for part in (found.x, found.y))
    net = spec.build(x, y).train()
    numbers = spec.metric == "rmse"
    loss_of = nn.functional.mse_loss if numbers else nn.functional.cross_entropy
    optimizer = torch.optim.AdamW(net.parameters(), spec.rate, weight_decay=0.01)
    batches = int(np.ceil(len(x) / 64))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, spec.rate, spec.epochs * batches)
    for _ in range(spec.epochs):
        for places in torch.randperm(len(x)).split(64):
            if len(places) < 2:  # BatchNorm needs two
                schedule.step()
                continue
            optimizer.zero_grad()
            loss_of(net(x[places]), y[places]).backward()
            optimizer.step()
            schedule.step()
    return net.eval()
