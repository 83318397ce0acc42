"""How a command ends: one JSON document or a text for people, one clear error, the right exit code."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from mlpack_edge.core.errors import CheckFailed, IoFault, MlpackError

Json = dict[str, Any]

SCHEMA = 1
#: Letters of a feature's or category's name in a text.
LONGEST = 40
DONE, COULD_NOT, USAGE, CHECK_SAID_NO = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """`result` is the JSON of the command, `text` what people read instead. stands: what is done, whether it can be printed
    or not ("the table scores is published"); said where it cannot."""

    result: Json
    text: str
    stands: str = ""


def answers(name: str) -> Callable[[Callable[..., Outcome]], Callable[..., None]]:
    """Make a command of a function that returns an Outcome or raises MlpackError: adds `--json`, prints, exits."""

    def wrap(function: Callable[..., Outcome]) -> Callable[..., None]:
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
        @functools.wraps(function)
        def command(*args: Any, as_json: bool, **kwargs: Any) -> None:
            try:
                outcome = function(*args, **kwargs)
            except MlpackError as error:
                clear_progress()
                print_error(name, error, as_json)
                raise SystemExit(CHECK_SAID_NO if isinstance(error, CheckFailed) else COULD_NOT) from None
            clear_progress()
            if as_json:
                print_json({"command": name, "ok": True, "schema": SCHEMA, **outcome.result}, outcome.stands)
            else:
                _say(printable(outcome.text), outcome.stands)

        return command

    return wrap


def print_error(name: str, error: MlpackError, as_json: bool) -> None:
    """One JSON document on standard output, or the three lines on standard error, what was found before them."""
    if as_json:
        record = {"kind": error.kind, "message": error.message, "hint": error.hint, "why": error.why}
        facts = error.data.get("result", {})
        print_json({"command": name, "ok": False, "schema": SCHEMA, **facts, "error": record})
        return
    if error.data.get("text"):
        try:
            _say(printable(error.data["text"]))
        finally:  # also where nobody reads the text
            click.echo(_error_text(error), err=True)
        return
    click.echo(_error_text(error), err=True)


def _error_text(error: MlpackError) -> str:
    lines = [paint("error: ", "red") + printable(error.message)]
    if error.why:
        lines.append(f"  why:  {printable(error.why)}")
    if error.hint:
        lines.append(f"  next: {printable(error.hint)}")
    return "\n".join(lines)


def _say(text: str, stands: str = "") -> None:
    """On standard output. Where that takes nothing more (a full disk), standard error says so: there is no other place. A
    reader that left (`mlpack ... | head`) is told nothing, unless something stands that it should know of."""
    try:
        click.echo(text)
    except OSError as fault:
        if isinstance(fault, BrokenPipeError) and not stands:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what its buffer still holds
        error = IoFault(
            "standard output could not be written" + (f"; {stands}" if stands else ""),
            "make room there, or print to another place",
            why=fault.strerror or str(fault),
        )  # fmt: skip
        click.echo(_error_text(error), err=True)
        raise SystemExit(COULD_NOT) from None


def print_json(document: Json, stands: str = "") -> None:
    """Strict JSON: what is not finite becomes null, never `NaN`, which no other reader takes."""
    # ASCII escapes: file names may hold bytes that are no UTF-8, and the document must be read all the same.
    _say(json.dumps(_finite(document), allow_nan=False, default=str), stands)


def _finite(item: Any) -> Any:
    if isinstance(item, float) and not -float("inf") < item < float("inf"):
        return None
    if isinstance(item, dict):
        return {key: _finite(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_finite(value) for value in item]
    return item


def printable(text: str) -> str:
    """Without terminal escapes and the like: names come from foreign files."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def short(name: str) -> str:
    """At most LONGEST letters of a name from a foreign file, so that one does not fill the screen; JSON has it whole."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def paint(text: str, color: str) -> str:
    """Colour on a terminal, unless NO_COLOR is set (no-color.org)."""
    if os.environ.get("NO_COLOR") or not sys.stderr.isatty():
        return text
    return click.style(text, fg=color)


def show_stage(stage: str) -> None:
    """What is being done, on a terminal only, on one line that the next one replaces."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{printable(' '.join(stage.split()))} ...", nl=False, err=True)


def clear_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def note(text: str) -> None:
    """Something worth knowing that is not the result."""
    clear_progress()
    click.echo(paint("note: ", "yellow") + printable(text), err=True)


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Columns of text, numbers to the right."""
    rows = [[cell.replace("\n", "\\n") for cell in row] for row in rows]  # names come from foreign files
    everything = [tuple(head), *rows] if head else list(rows)
    widths = [max(len(row[i]) for row in everything) for i in range(len(everything[0]))]
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(widths))]
    lines = []
    for row in everything:
        cells = [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _is_number(cell: str) -> bool:
    return cell.replace(".", "").replace(",", "").replace("-", "").replace("e", "").replace("+", "").isdigit()


def size_text(count: int) -> str:
    """Bytes for people: powers of 1,000, as disks are sold and links are rated."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("unreachable: GB is the last unit")
