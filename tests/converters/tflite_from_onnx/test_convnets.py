"""Convolutional nets exported from PyTorch: transposes at the border, nothing left of BatchNorm and activations."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from mlpack_edge.converters.onnx_from_torch.convert import TorchOptions, convert
from tests.converters.tflite_from_onnx.images import normal
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds

torch = pytest.importorskip("torch", reason="the extra [torch] is not installed")
nn = torch.nn


def _unit(inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1, act: Any = nn.ReLU6) -> Any:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), act())


class Separable(nn.Module):  # type: ignore[misc, name-defined]
    """A stem, a depthwise separable block with stride, a residual one, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_unit(3, 8, stride=2), _unit(8, 8, stride=2, groups=8), _unit(8, 12, 1))
        self.block = nn.Sequential(_unit(12, 12, groups=12), nn.Conv2d(12, 12, 1, bias=False), nn.BatchNorm2d(12))
        self.head = nn.Linear(12, 5)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        return self.head(torch.relu(x + self.block(x)).mean((2, 3)))


class Flattened(nn.Module):  # type: ignore[misc, name-defined]
    """Pools, a hard activation, a flattened image under a dense layer, dilation."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _unit(3, 6, act=nn.ReLU), nn.MaxPool2d(3, 2, 1), nn.Conv2d(6, 8, 3, padding=2, dilation=2), nn.Hardswish(),
            nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(128, 10), nn.ReLU(), nn.Linear(10, 4),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Unet(nn.Module):  # type: ignore[misc, name-defined]
    """Down and up again: a bilinear and a transposed step, skips, an image as the output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (_unit(*w, act=nn.ReLU) for w in ((3, 4), (4, 6), (6, 8)))
        self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), _unit(8, 6, 1, act=nn.ReLU))
        self.join = _unit(12, 6, act=nn.ReLU)
        self.last = nn.Sequential(nn.ConvTranspose2d(6, 4, 2, 2), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: Any) -> Any:
        one = self.first(x)
        two = self.second(torch.max_pool2d(one, 2))
        three = self.third(torch.max_pool2d(two, 2))
        two = self.join(torch.cat([self.up(three), two], 1))
        return torch.sigmoid(self.head(torch.cat([self.last(two), one], 1)))


@pytest.mark.parametrize(
    ("net", "transposes", "allowed"),
    [
        (Separable, 1, {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 2, "PAD": 2, "ADD": 1, "MEAN": 1, "FULLY_CONNECTED": 1}),
        (
            Flattened,
            1,
            {
                "CONV_2D": 2, "PAD": 1, "MAX_POOL_2D": 1, "HARD_SWISH": 1, "AVERAGE_POOL_2D": 1, "RESHAPE": 1,
                "FULLY_CONNECTED": 2,
            },
        ),
        (Unet, 2, {"CONV_2D": 7, "MAX_POOL_2D": 2, "RESIZE_BILINEAR": 1, "CONCATENATION": 2, "DEPTH_TO_SPACE": 1, "LOGISTIC": 1}),
    ],
)  # fmt: skip
def test_a_net_is_as_lean_as_it_can_be(net: Any, transposes: int, allowed: dict[str, int]) -> None:
    """Right at batch 1, 2 and 7 of one file."""
    torch.manual_seed(0)
    made = net().eval()
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    model, _ = convert(made, TorchOptions({"x": ("batch", 3, 16, 16)}))
    lowered = assert_lowered(model, *[{"x": normal(n, 3, 16, 16)} for n in (1, 2, 7)], rtol=1e-4, atol=1e-4)
    assert lowered.signature.inputs[0].shape[0] == "batch"
    assert dict(Counter(kinds(lowered.data))) == {"TRANSPOSE": transposes, **allowed}
