"""What a store took in and holds, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpack_edge.cli.outcome import short, size_text, table

if TYPE_CHECKING:
    from mlpack_edge.fleet.cohorts import Cohorts
    from mlpack_edge.fleet.intake import Taken
    from mlpack_edge.fleet.status import Figures, SpecStatus, Status

Json = dict[str, Any]
#: Days that are listed, the last ones.
_DAYS = 14
#: Cohorts that a note names, the largest.
_COHORTS = 5


def taken_text(root: Path, taken: Taken) -> str:
    """What a run did, and where what it refused lies."""
    facts = [
        ("read", f"{taken.files:,} files, {size_text(taken.bytes)}"),
        ("stored", f"{taken.reports:,} reports of {taken.rows:,} rows"),
    ]
    for count, what in (
        (taken.late, "of days that were closed: corrections"),
        (taken.strays, "with a clock that cannot be right: by the day of receipt"),
    ):
        if count:
            facts.append(("", f"  {count:,} {what}"))
    if taken.repeated:
        facts.append(("repeated", f"{taken.repeated:,} were there already"))
    if taken.rejected:
        facts += [("rejected", f"{count:,} {reason}") for reason, count in sorted(taken.rejected.items())]
        facts.append(("", f"  {root / 'quarantine'} keeps them with the reasons"))
    if taken.removed:
        facts.append(("removed", f"{taken.removed:,} files"))
    return table(facts)


def refusal_of(root: Path, taken: Taken) -> tuple[str, str] | None:
    """Message and hint where what was refused is no accident of some files: rows are missing until somebody looks."""
    from mlpack_edge.fleet.quarantine import CONFLICT, folder_of

    conflicts = taken.rejected.get(CONFLICT, 0)
    if conflicts and taken.quarantined:
        message = f"{conflicts:,} reports differ from stored ones of the same device and window, and are not counted"
        hint = "a batch that names no device has one report a window: merge its parts first (mlpack profile merge), or name them with "
        return message, hint + f"--device; {root / folder_of(CONFLICT)} says which they are"
    if taken.rejected and not (taken.reports or taken.repeated or taken.waiting):
        return (
            f"none of {sum(taken.rejected.values()):,} reports was sound: {', '.join(taken.rejected)}",
            f"{root / 'quarantine'} says what is wrong with each; reports of a spec that is named later are taken out of it again",
        )
    return None


def cohorts_text(found: Cohorts) -> str:
    """That cohorts are judged together, and which; "" where there are not several."""
    if found.total < 2:
        return ""
    named = [
        f"{short(name) if name else 'reports of none'} ({'no' if devices is None else format(devices, ',')} device{'s' * (devices != 1)})"
        for name, devices in found.shown[:_COHORTS]
    ]
    if len(found.shown) > _COHORTS:
        named.append(f"{len(found.shown) - _COHORTS:,} more")
    if found.fewer:
        named.append(f"{found.fewer:,} too small to show")
    return (
        f"{found.total:,} cohorts are judged together: {', '.join(named)}; what drifts in one may not show among all: "
        "--cohort NAME judges it alone"
    )


def status_json(found: Status) -> Json:
    """As `fleet.status` has it; figures that are not shown are null."""
    return {
        "specs": [
            {
                "digest": spec.digest,
                "model_sha256": spec.model_sha256,
                **_figures(spec.everything),
                "cohorts": [{"cohort": each.name, **_figures(each)} for each in spec.cohorts],
                "days": [{"day": each.name, **_figures(each)} for each in spec.days],
            }
            for spec in found.specs
        ],
        "bytes": found.bytes,
        "files": found.files,
        "quarantine": found.quarantine,
    }


def status_text(found: Status) -> str:
    parts = [_spec_text(spec) for spec in found.specs]
    kept = ", ".join(f"{count:,} {reason}" for reason, count in sorted(found.quarantine.items())) or "nothing"
    parts.append(table([("table", f"{found.files:,} files, {size_text(found.bytes)}"), ("quarantine", kept)]))
    return "\n\n".join(parts)


def _figures(figures: Figures) -> Json:
    record = asdict(figures)
    del record["name"]
    return record


def _spec_text(spec: SpecStatus) -> str:
    head = f"spec {spec.digest}, model {spec.model_sha256[:12]}"
    columns = ("", "reports", "rows", "devices", "corrections", "clock wrong")
    rows = [_row("all", spec.everything)]
    rows += [_row(f"cohort {each.name or '-'}", each) for each in spec.cohorts]
    rows += [_row(each.name, each) for each in spec.days[-_DAYS:]]
    earlier = len(spec.days) - _DAYS
    return f"{head}\n{table(rows, columns)}" + (f"\n{earlier} earlier days: --json has them all" if earlier > 0 else "")


def _row(name: str, figures: Figures) -> tuple[str, ...]:
    if not figures.shown:
        return (name, "too few to show", "", "", "", "")
    numbers = (figures.reports, figures.rows, figures.devices, figures.late, figures.strays)
    return (name, *("-" if number is None else f"{number:,}" for number in numbers))
