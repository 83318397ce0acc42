"""The command `mlpack`: finds the verb, and ends every failure with one clear message."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType

import click

from mlpack_edge.cli.outcome import COULD_NOT, clear_progress, print_error
from mlpack_edge.core.errors import Interrupted, MlpackError
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.worker import WorkerBug

#: A file a verb. The help line stands here so that `mlpack --help` imports none of them.
COMMANDS = {
    "convert": "Convert a trained model to ONNX or TFLite and prove that it is still the same.",
    "check": "Compare two models on the same rows, or one on several machines.",
    "quantize": "Make a model smaller and faster without losing it, and prove that.",
    "bench": "Measure how long models take, here or on a device, and whether they differ.",
    "score": "Score a batch of rows once, whatever happens on the way.",
    "profile": "Count what a model sees: integers over fixed cells, and no data.",
    "drift": "Say whether what a model sees has changed, what first and why.",
    "fleet": "Take in what devices report, and watch it by model and cohort.",
    "target": "Set up, list and try the places where models are measured.",
    "inspect": "Say what a model file holds and whether it loads.",
    "doctor": "Show versions, missing extras and packages that do not go together.",
    "demo": "Train, convert, check, quantize, watch and measure a real pipeline.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"mlpack_edge.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mlpack-edge", prog_name="mlpack")
def cli() -> None:
    """Get trained models to where they run, and know that they are still right there.

    \b
    Example:
      mlpack convert model.skops -o model.onnx
      mlpack check model.skops model.onnx --data holdout.parquet
    """


def main() -> None:
    """The console script."""
    _open_closed_streams()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    as_json = "--json" in sys.argv[1:]
    name = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        cli(prog_name="mlpack", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        help_wanted.show()
        raise SystemExit(help_wanted.exit_code) from None
    except click.ClickException as wrong:
        context = getattr(wrong, "ctx", None)
        verb = context.info_name if context is not None and context.parent is not None else ""
        if as_json:
            print_error(verb, Usage(wrong.format_message(), f"mlpack {verb} --help".replace("  ", " ")), as_json)
        else:
            wrong.show()
        raise SystemExit(wrong.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        clear_progress()
        print_error(
            name, Interrupted("interrupted", "start it again when you like; no half-written file was left"), as_json
        )
        raise SystemExit(COULD_NOT) from None
    except WorkerBug as bug:
        # A defect of ours in the child process: its traceback is the one that says where.
        clear_progress()
        click.echo(str(bug).rstrip(), err=True)
        if as_json:
            print_error(name, Defect(str(bug).strip().splitlines()[-1], "report it with the traceback"), as_json)
        raise SystemExit(COULD_NOT) from None
    except BrokenPipeError:
        # The reader of our output left (`mlpack ... | head`): nobody is there to tell.
        sys.stderr.close()
        raise SystemExit(COULD_NOT) from None
    except OSError as fault:
        clear_progress()
        where = f"{fault.filename} " if fault.filename else "a file "
        print_error(name, io_fault(fault, f"{where}could not be used"), as_json)
        raise SystemExit(COULD_NOT) from None
    except Exception as bug:
        if as_json:
            print_error(name, Defect(f"{type(bug).__name__}: {bug}", "report it with the traceback"), as_json)
        raise


def _open_closed_streams() -> None:
    """`mlpack ... >&-`: the next file to be opened would get the stream's number, and be printed into."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


class Usage(MlpackError):
    """Wrong usage, as click words it."""

    kind = "usage"


class Defect(MlpackError):
    """Something that must not happen; the traceback is on standard error."""

    kind = "bug"


def _stop(signum: int, frame: FrameType | None) -> None:
    """A polite kill ends like Ctrl-C: the worker is stopped and drafts are removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
