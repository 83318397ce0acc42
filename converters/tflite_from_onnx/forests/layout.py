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
#: A walk of at most so many more rounds may take two operators a round more, for a smaller file.
SHORT_WALK = 6


@dataclass(frozen=True, slots=True)
class NodeTable:
    """The trees start at the first nodes. column: int64, threshold: float32, child: int64, all [nodes].

    dense: the first so many nodes hold the top `levels` levels of all trees. rounds: how many more levels there are.
    last: leaves that no round looks up by their place come last; so many nodes stand before them. tail: whether they
    are all pairs of leaves, so that a walk may come to them early and has to stay, else the last level alone.
    """

    trees: int
    column: NDArray[np.int64]
    threshold: NDArray[np.float32]
    child: NDArray[np.int64]
    dense: int
    levels: int
    rounds: int
    last: int
    tail: bool


def node_table(asked: Questions, says: NDArray[np.int32]) -> NodeTable:
    """The table. says: int32 [nodes], what leaves hold (the bits that stand in their threshold)."""
    nodes = len(asked.column)
    leaf = asked.column < 0
    level, tree = asked.roots, np.arange(len(asked.roots))
    #: per level: the node at each place of the table, and the tree it belongs to
    placed, owners = [level], [tree]
    #: per level: whether the node is one of a pair of leaves
    leaves = [np.zeros(len(level), np.bool_)]
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
        leaves.append(np.repeat(both[own], 2))
        size += len(level)
        if len(sizes) < DENSE_LEVELS:
            pairs.clear()  # so that children come after their parents
        sizes.append(size)
    node, child = np.concatenate(placed), np.concatenate(child_of_place)
    assert len(node) == size and nodes
    depth = _depth(child, len(asked.roots))
    levels = next((k for k in range(DENSE_LEVELS, 1, -1) if k <= depth and sizes[k - 1] <= MOST_DENSE), min(1, depth))
    dense = sizes[levels - 1] if levels else 0
    late = np.arange(size) >= (sizes[-2] if depth > levels else size)
    ends = np.concatenate(leaves) & (np.arange(size) >= dense)
    tail = 0 < depth - levels <= SHORT_WALK and int(ends.sum()) - int(late.sum()) > size // 8
    last = size - int((ends if tail else late).sum())
    order, place = _tree_by_tree(np.concatenate(owners), dense, ends if tail else late)
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
        last=last,
        tail=tail,
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


def _tree_by_tree(
    owner: NDArray[np.int64], dense: int, late: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(which place comes where, where each place goes): between the dense levels and the late nodes those of a tree
    stay together, and children come after their parents."""
    place = np.arange(len(owner))
    key = np.where(place < dense, -1, np.where(late, owner.max() + 1, owner))
    order = np.argsort(key, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return order, place
