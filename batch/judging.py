"""Whether a run may be published: the budget of rejected rows and the contract's rules for tables. Policies over facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.facts import ShardFacts
from mlpack_edge.core.errors import CheckFailed

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Budget:
    """How many rows of a run may be rejected. share: 0 to 1, of the rows that are read."""

    share: float

    def allows(self, rejected: int, rows: int) -> bool:
        # The product is rounded: 0.1 % of 1,000 rows is one row, whatever 0.001 * 1000 is in binary.
        return rejected <= round(self.share * rows, 9)

    def text(self) -> str:
        return f"{100 * self.share:g}% of them" if self.share else "none"


class Spending:
    """Rows rejected so far, against the budget of the whole run: it is known early that a run cannot succeed."""

    def __init__(self, budget: Budget, rows: int, where: str) -> None:
        """rows: of the whole run. where: where the rejected rows can be looked at, for the message."""
        self._budget = budget
        self._rows = rows
        self._where = where
        self._reasons: dict[str, int] = {}
        self._seen = 0

    def add(self, facts: ShardFacts) -> None:
        """Raises CheckFailed, naming reasons and counts, where no more rows may be rejected."""
        for reason, rows in facts.rejected.items():
            self._reasons[reason] = self._reasons.get(reason, 0) + rows
        self._seen += facts.rows_in
        rejected = sum(self._reasons.values())
        if self._budget.allows(rejected, self._rows):
            return
        worst = sorted(self._reasons.items(), key=lambda item: (-item[1], item[0]))
        shown = "; ".join(f"{counted(count, 'row')}: {reason}" for reason, count in worst[:5])
        more = f"; {len(worst) - 5} more reasons" if len(worst) > 5 else ""
        are = "is" if rejected == 1 else "are"
        said = f"{rejected:,} of {self._rows:,} rows {are} rejected"
        if self._seen < self._rows:
            said = f"{rejected:,} of the first {self._seen:,} rows {are} rejected, of {self._rows:,} in all"
        raise CheckFailed(
            f"{said}; {self._budget.text()} may be, and nothing was published",
            f"look at {self._where}; mend the input, or allow more with --max-rejected (the finished shards are kept)",
            why=shown + more,
            result={
                "rows_in": self._seen, "rows_rejected": rejected, "rejected": dict(worst), "rejected_file": self._where,
            },
        )  # fmt: skip


def refuse_broken_rules(reasons: Sequence[str]) -> None:
    """Raise CheckFailed with what the contract's rules for tables found, if anything."""
    if not reasons:
        return
    raise CheckFailed(
        f"the input breaks {'a rule' if len(reasons) == 1 else f'{len(reasons)} rules'} of the contract; "
        "nothing was published",
        "mend the input, or change the contract where the new data are right",
        why="; ".join(reasons),
        result={"broken_rules": list(reasons)},
    )
