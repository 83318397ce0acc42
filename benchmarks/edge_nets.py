"""Seven small PyTorch nets of the kinds that go to devices; they need torch and nothing of this project.

`mlpack convert edge_nets:mlp --shape x=batchx512` (in this directory) exports one; `tflite_nets.py` and
`peer_tflite.py` use all of them. Weights are random with a fixed seed, statistics of BatchNorm are not the trivial
ones. SHAPES has the size of one row of the only input, `x`, float32.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """Three hidden layers and class probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(512, 1536), nn.ReLU(), nn.Linear(1536, 1536), nn.ReLU(), nn.Linear(1536, 512), nn.ReLU()
        )
        self.head = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.head(self.layers(x)), 1)


class DepthwiseNet(nn.Module):
    """MobileNetV2's inverted residual blocks (Sandler 2018) at a third of the width, on 96x96 images."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_unit(3, 16, stride=2)
        widths = ((16, 1, 1), (24, 4, 2), (24, 4, 1), (32, 4, 2), (32, 4, 1), (64, 4, 2), (64, 4, 1), (96, 4, 1))
        blocks, width = [], 16
        for wider, factor, stride in widths:
            blocks.append(InvertedResidual(width, wider, factor, stride))
            width = wider
        self.blocks = nn.Sequential(*blocks)
        self.last = conv_unit(width, 256, size=1)
        self.head = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.blocks(self.stem(x))).mean((2, 3)))


class InvertedResidual(nn.Module):
    def __init__(self, width: int, wider: int, factor: int, stride: int) -> None:
        super().__init__()
        inner = width * factor
        self.layers = nn.Sequential(
            conv_unit(width, inner, size=1),
            conv_unit(inner, inner, stride=stride, groups=inner),
            nn.Conv2d(inner, wider, 1, bias=False),
            nn.BatchNorm2d(wider),
        )
        self.shortcut = stride == 1 and width == wider

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.shortcut else self.layers(x)


class ResidualNet(nn.Module):
    """A ResNet (He 2015) for 32x32 images: three stages of two basic blocks, max pooling behind the stem."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_unit(3, 24, activation=nn.ReLU), nn.MaxPool2d(3, 2, 1))
        stages = ((24, 24, 1), (24, 24, 1), (24, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1))
        self.blocks = nn.Sequential(*(BasicBlock(*stage) for stage in stages))
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(96, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))


class BasicBlock(nn.Module):
    def __init__(self, width: int, wider: int, stride: int) -> None:
        super().__init__()
        self.first = conv_unit(width, wider, stride=stride, activation=nn.ReLU)
        self.second = nn.Sequential(nn.Conv2d(wider, wider, 3, padding=1, bias=False), nn.BatchNorm2d(wider))
        fitting = nn.Sequential(nn.Conv2d(width, wider, 1, stride, bias=False), nn.BatchNorm2d(wider))
        self.shortcut = nn.Identity() if stride == 1 and width == wider else fitting

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


class UNet(nn.Module):
    """Two levels down and up (Ronneberger 2015) on 64x64 images: bilinear upsampling once, a transposed convolution
    once, skips joined by concatenation; a mask an image pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = double(3, 8), double(8, 16), double(16, 32)
        self.pool = nn.MaxPool2d(2)
        self.wider2 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.wider1 = nn.ConvTranspose2d(16, 8, 2, 2)
        self.up2, self.up1 = double(32 + 16, 16), double(8 + 8, 8)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down1(x)
        middle = self.down2(self.pool(fine))
        coarse = self.bottom(self.pool(middle))
        middle = self.up2(torch.cat([self.wider2(coarse), middle], 1))
        fine = self.up1(torch.cat([self.wider1(middle), fine], 1))
        return torch.sigmoid(self.head(fine))


class Recurrent(nn.Module):
    """A recurrent layer over the steps of a sequence and a head on the mean of all: a state left over from the call
    before would show in the first steps, and be forgotten by the last."""

    def __init__(self, cells: nn.RNNBase, classes: int) -> None:
        super().__init__()
        self.cells = cells
        width = cells.hidden_size * (2 if cells.bidirectional else 1)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x)[0].mean(1))


class Encoder(nn.Module):
    """A transformer encoder (Vaswani 2017, norm first, GELU) over 48 steps, learned positions, the mean of the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.places = nn.Linear(40, 96), nn.Parameter(torch.randn(48, 96) * 0.1)
        layer = nn.TransformerEncoderLayer(96, 4, 384, activation="gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(96), enable_nested_tensor=False)
        self.head = nn.Linear(96, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.embed(x) + self.places).mean(1))


def conv_unit(
    width: int, wider: int, size: int = 3, stride: int = 1, groups: int = 1, activation: type[nn.Module] = nn.ReLU6
) -> nn.Sequential:
    convolution = nn.Conv2d(width, wider, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(wider), activation())


def double(width: int, wider: int) -> nn.Sequential:
    return nn.Sequential(conv_unit(width, wider, activation=nn.ReLU), conv_unit(wider, wider, activation=nn.ReLU))


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    """The net with the same weights every time; BatchNorm as if it had seen data."""
    torch.manual_seed(0)
    net = build()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.7, 1.3)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    return net.eval()


def mlp() -> nn.Module:
    return seeded(Perceptron)


def depthwise_cnn() -> nn.Module:
    return seeded(DepthwiseNet)


def residual_cnn() -> nn.Module:
    return seeded(ResidualNet)


def unet() -> nn.Module:
    return seeded(UNet)


def lstm() -> nn.Module:
    return seeded(lambda: Recurrent(nn.LSTM(40, 128, batch_first=True), 10))


def bigru() -> nn.Module:
    return seeded(lambda: Recurrent(nn.GRU(40, 96, batch_first=True, bidirectional=True), 10))


def transformer() -> nn.Module:
    return seeded(Encoder)


#: By the name of the builder: the shape of one row of `x`.
SHAPES: dict[str, tuple[int, ...]] = {
    "mlp": (512,),
    "depthwise_cnn": (3, 96, 96),
    "residual_cnn": (3, 32, 32),
    "unet": (3, 64, 64),
    "lstm": (64, 40),
    "bigru": (48, 40),
    "transformer": (48, 40),
}


def build(name: str) -> nn.Module:
    builder: Callable[[], nn.Module] = globals()[name]
    return builder()
