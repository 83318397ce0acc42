"""The page docs/reference/cli.md, made from the help texts: `python -m mlpack_edge.cli.reference`."""

from __future__ import annotations

import click

from mlpack_edge.cli.main import COMMANDS, cli

OPENING = """# The command line

Made from the help texts with `python -m mlpack_edge.cli.reference`; a test keeps the two the same.

Every command: exit code `0` done; `1` could not, with one message; `2` wrong usage; `3` it ran, and a check said no.
`--json` prints exactly one JSON document on standard output; all else goes to standard error.
"""


def page() -> str:
    """The whole page."""
    parts = [OPENING]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        context = click.Context(command, info_name=f"mlpack {name}", max_content_width=100)
        parts.append(f"## mlpack {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    click.echo(page(), nl=False)
