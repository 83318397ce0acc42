"""What the documents say is so: commands run, links lead somewhere, the reference is current."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mlpack_edge.cli.main import COMMANDS, cli
from mlpack_edge.cli.reference import page
from tests.cli.mlpack import LINE

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_reference_is_what_the_help_texts_say() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8") == page()


def test_the_reference_names_every_option_of_every_command() -> None:
    """Also of the commands of a group: mlpack fleet drift, mlpack profile spec."""
    sections = dict(re.findall(r"^#{2,3} (mlpack [a-z ]+)\n(.*?)(?=^#|\Z)", page(), re.MULTILINE | re.DOTALL))
    checked = set()
    for path, command in _commands("mlpack", cli):
        checked.add(path)
        for option in command.params:
            assert all(name in sections[path] for name in option.opts if name.startswith("--")), (path, option.name)
    assert {
        "mlpack convert",
        "mlpack fleet",
        "mlpack fleet drift",
        "mlpack profile spec",
        "mlpack target setup",
    } <= checked
    assert checked == set(sections)


def _commands(path: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(f"{path} {name}", command)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_text_exist(path: Path) -> None:
    for verb in re.findall(r"^\$ mlpack ([a-z]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        assert verb in COMMANDS


def test_every_how_to_that_a_message_names_exists() -> None:
    named = set()
    for room in ("core", "runtimes", "profiles", "batch", "converters", "devices", "fleet", "cli"):
        for source in (ROOT / room).rglob("*.py"):
            named |= set(re.findall(r"docs/[a-z/-]+\.md", source.read_text(encoding="utf-8")))
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def _sessions(path: Path) -> list[tuple[str, str]]:
    """(command, printed) of every `$ ` line in the console blocks, in order."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL):
        parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        found += [(part.partition("\n")[0], part.partition("\n")[2].strip()) for part in parts]
    return found


#: What a candidate of mlpack quantize is called; its figures are of measured speed, and of a net trained on this processor.
_QUANTIZED = r"float|static \w+|dynamic|weights int[48]|fp16"


def _plain(text: str) -> str:
    """Without what differs from run to run and from processor to processor: digests, roundings below 1e-5, padding."""
    text = re.sub(r"[0-9a-f]{64}", "<sha256>", text)
    text = re.sub(r'"sha256":"[0-9a-f]+\.\.\.', '"sha256":"<sha256>', text)
    text = re.sub(r"\b\d(?:\.\d+)?e-(?:0[6-9]|[1-9]\d)\b", "0", text)
    text = re.sub(r"^.* (?:stable|unstable)$", _without_figures, text, flags=re.MULTILINE)
    text = re.sub(r"^(\s*\S+ against \S+): .*$", r"\1: <verdict>", text, flags=re.MULTILINE)
    text = re.sub(r"^(\s*on local), .*$", r"\1, <machine>", text, flags=re.MULTILINE)
    text = re.sub(rf"^({_QUANTIZED}) {{2,}}[\d.]+ k?B .*$", r"\1 <figures>", text, flags=re.MULTILINE)
    text = re.sub(rf"^({_QUANTIZED}): [\d.]+ of the size.*$", r"\1 <why>", text, flags=re.MULTILINE)
    text = re.sub(r"^(judged on [\d,]+ rows), .*$", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"(can be quantized: )[\d.]+%", r"\1<share>", text)
    text = re.sub(r"^(\s*time +)[\d.]+ .*$", r"\1<time>", text, flags=re.MULTILINE)
    text = re.sub(r"^(\s*run +)[0-9a-f]{16}$", r"\1<run>", text, flags=re.MULTILINE)
    text = re.sub(r"published-[0-9a-f]{16}", "published-<digest>", text)
    text = re.sub(r" {2,}", "  ", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _without_figures(line: re.Match[str]) -> str:
    """A line of the table of mlpack bench: the model's name, and that there are figures."""
    return " ".join(re.sub(r"\d[\d.]*(?: [a-zA-Z]+)?%?", "#", line[0]).replace("unstable", "stable").split())


@pytest.mark.long
@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-conversion.md"])
def test_the_commands_print_what_the_page_shows(page: str, tmp_path: Path) -> None:
    ran = 0
    folder = tmp_path
    for name, code in re.findall(
        r"```python\n# (\w+\.py)\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    ):
        (tmp_path / name).write_text(code, encoding="utf-8")
    for command, printed in _sessions(ROOT / page):
        words = shlex.split(command)
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        if words[0] == "python":
            line = [sys.executable, *words[1:]]
        elif words[0] == "mlpack":
            line = [*LINE, *words[1:]]
        else:
            continue  # make and pip set the environment up that this runs in
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 3), done.stderr
        assert _plain(done.stderr + done.stdout) == _plain(printed), command
        ran += 1
    assert ran
