"""The largest memory of `mlpack quantize` while it calibrates on 1,000 images of 3x640x640 float32 (4.9 GB as .npy)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import score_data
import score_process
from quantize_case import Json

ROWS, SIDE = 1_000, 640
#: Bytes that all processes together may hold at once.
ALLOWED = 2e9


def images(folder: Path, rows: int) -> Path:
    path = folder / f"images-{rows}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".tmp.npy")
        held = np.lib.format.open_memmap(beside, "w+", np.float32, (rows, 3, SIDE, SIDE))
        rng = np.random.default_rng(0)
        coarse = rng.random((16, 3, SIDE // 8, SIDE // 8), np.float32)
        for at in range(rows):
            patch = np.kron(coarse[at % 16], np.ones((1, 8, 8), np.float32))
            held[at] = np.roll(patch, at * 7, (1, 2)) * 2 - 1 + rng.normal(0, 0.05)
        held.flush()
        del held
        beside.rename(path)
    return path


def net(folder: Path) -> Path:
    path = folder / "conv-640.onnx"
    if not path.exists():
        import edge_nets
        import torch
        from torch import nn

        from mlpack_edge.converters.onnx_from_torch.convert import TorchOptions, convert

        torch.manual_seed(0)
        units = [edge_nets.conv_unit(*widths, stride=2, activation=nn.ReLU) for widths in ((3, 8), (8, 16), (16, 32))]

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.units, self.head = nn.Sequential(*units), nn.Linear(32, 10)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.head(self.units(x).mean((2, 3)))

        model, _ = convert(Net().eval(), TorchOptions({"x": ("batch", 3, SIDE, SIDE)}))
        path.write_bytes(model.SerializeToString())
    return path


def memory(folder: Path, rows: int = ROWS) -> Json:
    """Peak of the sum of PSS over all processes, looked at every 50 ms."""
    data, model = images(folder, rows), net(folder)
    out = folder / "conv-640-int8.onnx"
    out.unlink(missing_ok=True)
    line = [
        *score_data.mlpack(),
        "quantize",
        str(model),
        "-o",
        str(out),
        "--data",
        str(data),
        "--scheme",
        "static",
        "--json",
    ]
    ran = score_process.run([*line, "--max-drop", "1", "--max-size", "100MB"], memory=True)
    return {
        "rows": rows, "input_bytes": data.stat().st_size, "peak_bytes": ran.peak_bytes,
        "seconds": round(ran.seconds, 1), "ok": ran.peak_bytes < ALLOWED,
    }  # fmt: skip
