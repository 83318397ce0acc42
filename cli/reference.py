"""The page docs/reference/cli.md, made from the help texts: `python -m mlpack_edge.cli.reference`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from mlpack_edge.cli.main import COMMANDS, cli

OPENING = """# The command line

Made from the help texts with `python -m mlpack_edge.cli.reference`; a test keeps the two the same.

Every command: exit code `0` done; `1` could not, with one message; `2` wrong usage; `3` it ran, and a check said no.
`--json` prints exactly one JSON document on standard output; all else goes to standard error.
"""


def page() -> str:
    """The whole page: each command, and below a group each of its commands."""
    found = click.Context(cli)
    commands = [(name, cli.get_command(found, name)) for name in COMMANDS]
    return "\n".join([OPENING, *(part for name, command in commands for part in _parts(command, f"mlpack {name}", 2))])


def _parts(command: click.Command | None, path: str, level: int) -> Iterator[str]:
    assert command is not None
    context = click.Context(command, info_name=path, max_content_width=100)
    yield f"{'#' * level} {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _parts(command.get_command(context, name), f"{path} {name}", level + 1)


if __name__ == "__main__":
    click.echo(page(), nl=False)
