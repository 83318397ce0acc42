"""A forest as one table of nodes in which the children of a node lie side by side.

A walk is `at = child[at] + (x[column[at]] <= threshold[at])`. Leaves lead to themselves: they read a column of NaN, and
their threshold holds what they say. Pairs of leaves that say the same are one pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.forests.questions import Questions

#: How many levels are asked all at once, for every node in them, in front of the walk.
DENSE_LEVELS = 3
#: At most so many nodes are asked at once.
MOST_DENSE = 4096


@dataclass(frozen=True, slots=True)
class NodeTable:
    """The trees start at the first nodes. column: int64, threshold: float32, child: int64, all [nodes].

    dense: the first so many nodes hold the top `levels` levels of all trees. rounds: how many more levels there are.
    """

    trees: int
    column: NDArray[np.int64]
    threshold: NDArray[np.float32]
    child: NDArray[np.int64]
    dense: int
    levels: int
    rounds: int


def node_table(asked: Questions, says: NDArray[np.int32]) -> NodeTable:
    """The table. says: int32 [nodes], what leaves hold (the bits that stand in their threshold)."""
    nodes = len(asked.column)
    leaf = asked.column < 0
    level, tree = asked.roots, np.arange(len(asked.roots))
    #: per level: the node at each place of the table, and the tree it belongs to
    placed, owners = [level], [tree]
    child_of_place: list[NDArray[np.int64]] = []
    size = len(level)
    sizes = [size]
    pairs: dict[int, int] = {}
    while True:
        inner = np.flatnonzero(~leaf[level])
        at = level[inner]
        first, second = asked.first[at], asked.second[at]
        both = leaf[first] & leaf[second]
        key = says[first].astype(np.int64) * (1 << 32) + (says[second].astype(np.int64) & 0xFFFFFFFF)
        own = np.ones(len(at), np.bool_)
        to = np.zeros(len(at), np.int64)
        shared = np.flatnonzero(both)
        unique, first_seen, inverse = np.unique(key[shared], return_index=True, return_inverse=True)
        own[shared] = False
        fresh = np.array([int(pair) not in pairs for pair in unique], np.bool_)
        own[shared[first_seen[fresh]]] = True
        to[own] = size + 2 * np.arange(int(own.sum()))
        for pair, place in zip(unique[fresh].tolist(), shared[first_seen[fresh]].tolist(), strict=True):
            pairs[pair] = int(to[place])
        to[shared] = np.array([pairs[pair] for pair in unique.tolist()], np.int64)[inverse]
        child = np.full(len(level), -1, np.int64)
        child[inner] = to
        child_of_place.append(child)
        if not len(at):
            break
        level = np.stack([first[own], second[own]], axis=1).reshape(-1)
        tree = np.repeat(tree[inner][own], 2)
        placed.append(level)
        owners.append(tree)
        size += len(level)
        sizes.append(size)
    node, child = np.concatenate(placed), np.concatenate(child_of_place)
    assert len(node) == size and nodes
    depth = _depth(child, len(asked.roots))
    levels = next((k for k in range(DENSE_LEVELS, 1, -1) if k <= depth and sizes[k - 1] <= MOST_DENSE), min(1, depth))
    dense = sizes[levels - 1] if levels else 0
    order, place = _tree_by_tree(np.concatenate(owners), dense)
    node, child = node[order], child[order]
    is_leaf = leaf[node]
    threshold = asked.threshold[node].copy()
    threshold[is_leaf] = says[node[is_leaf]].view(np.float32)
    return NodeTable(
        trees=len(asked.roots),
        column=np.where(is_leaf, asked.columns.nothing, asked.column[node]),
        threshold=threshold,
        child=np.where(is_leaf, np.arange(size), place[np.maximum(child, 0)]),
        dense=dense,
        levels=levels,
        rounds=depth - levels,
    )


def _depth(child: NDArray[np.int64], trees: int) -> int:
    """How many questions the longest way asks."""
    at, depth = np.arange(trees), 0
    while True:
        at = np.unique(child[at])
        at = at[at >= 0]
        if not at.size:
            return depth
        at, depth = np.concatenate([at, at + 1]), depth + 1


def _tree_by_tree(owner: NDArray[np.int64], dense: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(which place comes where, where each place goes): below the dense levels the nodes of a tree stay together."""
    key = np.where(np.arange(len(owner)) < dense, -1, owner)
    order = np.argsort(key, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return order, place
