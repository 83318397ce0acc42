"""Rows that need no network: the digits of scikit-learn plain, as rows and on photographs, and its tables, flights.

Every set comes in three parts: `train` (of which the first rows calibrate), `eval` and `test`. No digit, patient,
flight or patch of a photograph is in two of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import score_data
from quantize_case import Array
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_sample_images, load_wine


@dataclass(frozen=True, slots=True)
class Set:
    """Rows and truth by part: train, eval, test."""

    x: dict[str, Array]
    y: dict[str, Array]


def split(x: Array, y: Array, train: float = 0.5, seed: int = 0) -> Set:
    """`train` of the rows to train on, half of the rest each to the others."""
    order = np.random.default_rng(seed).permutation(len(x))
    first, second = int(len(x) * train), int(len(x) * (1 + train) / 2)
    places = {"train": order[:first], "eval": order[first:second], "test": order[second:]}
    return Set({part: x[at] for part, at in places.items()}, {part: y[at] for part, at in places.items()})


def digits() -> Set:
    """[64] in 0 to 1."""
    found = load_digits()
    return split((found.data / 16).astype(np.float32), found.target.astype(np.int64))


def digit_rows() -> Set:
    """[8, 8]: a sequence of eight rows of eight pixels."""
    flat = digits()
    return Set({part: x.reshape(-1, 8, 8) for part, x in flat.x.items()}, flat.y)


def photographed_digits(size: int, copies: int) -> Set:
    """[3, size, size] in -1 to 1: each digit `copies` times, shifted and tinted, over patches of two photographs.

    The left half of the photographs serves to train, the right quarters to evaluate and to test.
    """
    flat = digits()
    photographs = [np.asarray(image, np.float32) / 255 for image in load_sample_images().images]
    x, y = {}, {}
    for number, part in enumerate(flat.x):
        rng = np.random.default_rng(number)
        left, right = ((0, 0.5), (0.5, 0.75), (0.75, 1))[number]
        strips = [image[:, int(left * image.shape[1]) : int(right * image.shape[1])] for image in photographs]
        each = copies if part == "train" else 2
        drawn = [_drawn(digit, strips, size, rng) for digit in flat.x[part] for _ in range(each)]
        x[part], y[part] = np.stack(drawn), np.repeat(flat.y[part], each)
    order = np.random.default_rng(0).permutation(len(x["train"]))  # those that calibrate are the first
    x["train"], y["train"] = x["train"][order], y["train"][order]
    return Set(x, y)


def _drawn(digit: Array, strips: list[Array], size: int, rng: np.random.Generator) -> Array:
    strip = strips[rng.integers(len(strips))]
    top, left = (rng.integers(extent - size) for extent in strip.shape[:2])
    patch = strip[top : top + size, left : left + size]
    side = int(size * rng.uniform(0.75, 0.95))
    mask = np.zeros((size, size), np.float32)
    down, across = rng.integers(size - side + 1, size=2)
    mask[down : down + side, across : across + side] = _enlarged(digit.reshape(8, 8), side)
    colour = rng.uniform(0, 1, 3).astype(np.float32)
    away = np.where(patch.mean((0, 1)) > 0.5, colour * 0.4, 1 - colour * 0.4)  # seen against the patch
    image = patch * (1 - mask[..., None]) + away * mask[..., None]
    return np.ascontiguousarray(image.transpose(2, 0, 1) * 2 - 1, dtype=np.float32)


def _enlarged(image: Array, side: int) -> Array:
    """Bilinear, corners not aligned."""
    places = np.clip((np.arange(side) + 0.5) * len(image) / side - 0.5, 0, len(image) - 1)
    low = np.minimum(places.astype(int), len(image) - 2)
    weights = np.zeros((side, len(image)), np.float32)
    weights[np.arange(side), low] = 1 - (places - low)
    weights[np.arange(side), low + 1] = places - low
    made: Array = weights @ image @ weights.T
    return made


def cancer() -> Set:
    """[30] as measured: areas of thousands beside errors of thousandths."""
    found = load_breast_cancer()
    return split(found.data.astype(np.float32), found.target.astype(np.int64))


def wine() -> Set:
    found = load_wine()
    return split(found.data.astype(np.float32), found.target.astype(np.int64), 0.4)


def diabetes() -> Set:
    """[10] as measured; the truth is a number from 25 to 346."""
    found = load_diabetes(scaled=False)
    return split(found.data.astype(np.float32), found.target.astype(np.float32))


def flights(rows: int = 24_000) -> Set:
    """[8]: month, day, planned minute of departure, delay of departure, distance, and three columns of origin; late?"""
    table = score_data.known_flights()
    table = table.take(np.sort(np.random.default_rng(7).choice(table.num_rows, rows, replace=False)))
    origin = table["origin"].to_numpy()
    columns = [table[name].to_numpy().astype(np.float32) for name in score_data.NUMBERS]
    columns += [(origin == name).astype(np.float32) for name in ("EWR", "JFK", "LGA")]
    late = (table["arr_delay"].to_numpy() > 15).astype(np.int64)
    made = split(np.stack(columns, 1), late, 0.8)
    return Set({part: x[:20_000] for part, x in made.x.items()}, made.y)


def scaled(found: Set) -> Set:
    """Every column by the mean and the deviation of those to train on: what a scaler outside the net does."""
    mean, deviation = found.x["train"].mean(0), found.x["train"].std(0) + 1e-9
    return Set({part: ((x - mean) / deviation).astype(np.float32) for part, x in found.x.items()}, found.y)
