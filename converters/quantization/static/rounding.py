"""Rounding weights to codes so that the errors of a channel do not add up to one side."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.quantization.static.view import Array

#: The largest code of a weight.
MOST = 127


def nearest(real: Array, scale: Array) -> Array:
    """Whole numbers within 127 for rows of reals, each with a scale."""
    codes: Array = np.clip(np.rint(real / scale.astype(np.float64)[:, None]), -MOST, MOST)
    return codes


def loss(codes: Array, real: Array, scale: Array, lean: float) -> Array:
    """What a row's errors e do to its sums over activations x: `sum(e ** 2) + lean * sum(e) ** 2`, times var(x), where
    lean is mean(x) ** 2 / var(x)."""
    off = codes * scale.astype(np.float64)[:, None] - real
    lost: Array = np.square(off).sum(axis=1) + lean * np.square(off.sum(axis=1))
    return lost


def balanced(codes: Array, real: Array, scale: Array, lean: float, most_of_pair: int = 2 * MOST) -> Array:
    """Codes of which some are one step from the nearest where that makes `loss` smaller.

    Activations behind Relu are positive: errors of rounding that do not cancel become an offset of the channel. The
    codes nearest to the middle between two steps go to the other one, until the next would cost more than it gains.
    No code grows where it would pass 127, or its pair (see `sums`) `most_of_pair`.
    """
    if lean <= 0:
        return codes
    off = codes - real / scale.astype(np.float64)[:, None]
    total = off.sum(axis=1)
    side = np.where(total < 0, -1.0, 1.0)[:, None]
    fits = np.abs(codes - side) <= np.where(np.abs(codes - side) > np.abs(codes), _room(codes, most_of_pair), MOST)
    gain = np.where(fits, side * off, -np.inf)
    order = np.argsort(-gain, axis=1, kind="stable")
    ranks = np.arange(codes.shape[1])[None, :]
    cost = 1 - 2 * np.take_along_axis(gain, order, axis=1) - lean * (2 * (np.abs(total)[:, None] - ranks) - 1)
    moved = np.zeros(codes.shape, np.bool_)
    np.put_along_axis(moved, order, cost < 0, axis=1)
    return np.where(moved, codes - side, codes)


def _room(codes: Array, most_of_pair: int) -> Array:
    """How large each code may become if its neighbour grows by one step as well."""
    width = codes.shape[1] // 2 * 2
    room = np.full(codes.shape, float(MOST))
    left, right = codes[:, 0:width:2], codes[:, 1:width:2]
    # A neighbour that is 0 or of the other sign may become 1 of this one.
    for place, mine, other in ((0, left, right), (1, right, left)):
        beside = np.where(np.sign(mine) * other >= 0, np.abs(other), -1.0) + 1
        room[:, place:width:2] = np.minimum(MOST, most_of_pair - beside)
    return room
