"""Every command has help with an example, and help is quick."""

from __future__ import annotations

import resource
import subprocess
import sys

import click
import pytest

from mlpack_edge.cli.main import COMMANDS, cli
from tests.cli.mlpack import LINE, mlpack

HEAVY = ("numpy", "onnx", "onnxruntime", "sklearn", "torch", "polars", "pyarrow", "pandas")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_the_help_line_of_the_list(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None and command.help is not None
    assert "Example" in command.help and f"mlpack {name}" in command.help
    assert command.short_help == COMMANDS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize("words", [["--help"], ["convert", "-h"], ["check", "--help"], ["--version"]])
def test_help_takes_well_under_a_third_of_a_second_of_cpu(words: list[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(3):
        assert mlpack(*words).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent / 3 < 0.3


def test_help_imports_no_heavy_package() -> None:
    code = (
        "import sys\nfrom mlpack_edge.cli.main import COMMANDS, cli\nimport click\n"
        "for name in COMMANDS: cli.get_command(click.Context(cli), name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_completion_works() -> None:
    done = mlpack("", _MLPACK_COMPLETE="bash_complete", COMP_WORDS="mlpack con", COMP_CWORD="1")
    assert "convert" in done.stdout


def test_an_unknown_command_is_exit_code_2() -> None:
    assert mlpack("conver").returncode == 2


def test_no_colour_reaches_a_pipe() -> None:
    done = subprocess.run([*LINE, "convert", "/nonexistent"], capture_output=True, text=True, check=False)
    assert "\x1b" not in done.stderr + done.stdout
