"""What `mlpack profile build` was asked for, before any work is done."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from mlpack_edge.core.errors import BadInput

Json = dict[str, Any]


def refuse_options(options: Json) -> None:
    """Wrong usage is click's; BadInput for what is no day or no cohort."""
    from mlpack_edge.batch.templates import date_from_text

    if options["day"]:
        date_from_text(options["day"])
        if options["by"]:
            raise click.UsageError("--day and --by do not go together")
    if not set(options["cohort"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") or len(options["cohort"]) > 32:
        raise BadInput(
            f"--cohort: {options['cohort']!r} is no name of a cohort", "up to 32 of a-z, 0-9, '.', '_' and '-'"
        )
    if options["salt"] and not options["device"]:
        raise click.UsageError("--salt goes with --device")


def millionths(text: str, options: Json) -> int:
    """Of --epsilon, 0 where it is not given. Wrong usage is click's; BadInput for what is no promise."""
    if not text:
        return 0
    from mlpack_edge.profiles.noise import MILLION, MOST, check_epsilon

    try:
        most = Decimal(2 * MOST // MILLION)
        exact = (
            max(min(Decimal(text), most), -most) * MILLION
        )  # 1e999999 has as many digits, and is refused all the same
        whole = int(exact)
    except (InvalidOperation, ValueError):
        raise click.UsageError(f"--epsilon {text}: write a number, such as 1 or .5") from None
    check_epsilon(whole)
    if whole != exact:
        raise click.UsageError(f"--epsilon {text}: at most six digits behind the point")
    if options["by"]:
        raise click.UsageError(
            "--epsilon and --by do not go together: noise is given to one window, name it with --day"
        )
    if not options["device"]:
        raise click.UsageError("--epsilon goes with --device: reports with noise are judged between devices")
    return whole
