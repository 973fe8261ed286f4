"""Every code block of the README and of the documentation runs, or says why it cannot."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from docs_blocks import LANGUAGES, REASONS, ROOT, Block, blocks_of, commands, pages
from docs_workspace import build, fill_in, write_study

import thymusimg.phantom.sample_study as sample
from thymusimg.batch.profile import SlurmProfile
from thymusimg.cli.app import app
from thymusimg.models.card import ModelCard
from thymusimg.settings import Settings
from thymusimg.study.design import load_study

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from cli_runner import thymusimg

ALL = [block for page in pages() for block in blocks_of(page)]
HARMLESS = {"cat", "ls", "mkdir", "cp", "mv", "head", "echo"}
"""Commands that a page may have run in the sandbox beside ours."""

WORKER = ("--workers", "1")
"""Starting workers takes longer than six tiny lobes."""
ANOTHER_VALUE = ("--vary", "compartments.medulla_cut=0.45")


def quick(words: list[str]) -> tuple[str, ...]:
    """Return what is added to a command, so that it takes seconds."""
    added: tuple[str, ...] = ()
    if words[1] in ("run", "demo", "compare") and "--workers" not in words:
        added = WORKER
    return added + ANOTHER_VALUE if "--sensitivity" in words else added


COMMAND = re.compile(r"(?:^|[/\s])thymusimg\s+(?P<rest>[^&|;>]*)")


def of(*languages: str, run: bool = True) -> list[Block]:
    return [b for b in ALL if b.language in languages and bool(b.reason) is not run]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """One folder for every page, so that what one page's run has finished the next one's reuses."""
    folder = tmp_path_factory.mktemp("docs")
    build(folder)
    said = thymusimg("run", folder / "study.toml", "--out", folder / "results", *WORKER)
    assert said.status == 0, said
    shutil.copytree(folder / "results", folder / "demo")  # of the same sections: any page may come first
    return folder


@pytest.fixture
def there(sandbox, monkeypatch):
    """Stand in the sandbox, with a home of its own and a sample study of six tiny sections."""
    monkeypatch.chdir(sandbox)
    monkeypatch.setenv("HOME", str(sandbox))
    monkeypatch.setattr(sample, "write_sample_study", lambda folder, **_: write_study(Path(folder)))
    return sandbox


def ids(value: object) -> str | None:
    return str(value) if isinstance(value, Block) else None


def test_blocks_are_found():
    assert len(of("bash")) > 12
    assert len(of("python")) > 6
    assert len(of("toml")) > 5


@pytest.mark.parametrize("block", ALL, ids=ids)
def test_a_block_says_what_it_is(block):
    assert block.language in LANGUAGES
    if block.reason:
        assert block.reason in REASONS
        assert block.language not in ("text", "json"), "what is not run anyway needs no excuse"


def test_every_excuse_is_used():
    assert {b.reason for b in ALL if b.reason} <= set(REASONS)


def run_line(line: str) -> None:
    for part in line.split(" && "):
        words = shlex.split(part)
        target = None
        if len(words) > 2 and words[-2] == ">":
            target, words = words[-1], words[:-2]
        if words[0] == "thymusimg":
            extra = quick(words)
            if words[1] == "init":
                _as_it_came(Path(words[2]))
            said = thymusimg(*words[1:], *extra)
            assert said.status == 0, f"{part}\n{said.out[-2000:]}\n{said.err[-2000:]}"
            if target:
                Path(target).write_text(said.out, encoding="utf-8")
            if words[1] == "init":
                fill_in(Path(words[2]))
        else:
            assert words[0] in HARMLESS, f"{part}: not a command that is run here; excuse the block"
            subprocess.run(["bash", "-c", part], check=True, capture_output=True)


def _as_it_came(folder: Path) -> None:
    """Another page has been here: take its study away."""
    for name in ("study.toml", "study.csv"):
        (folder / name).unlink(missing_ok=True)


@pytest.mark.parametrize("block", of("bash"), ids=ids)
def test_commands_run(block, there):
    for line in commands(block.text):
        run_line(line)


@pytest.mark.parametrize("page", [p for p in pages() if any(b.language == "python" for b in blocks_of(p))], ids=str)
def test_python_runs(page, there):
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks_of(page):
        if block.language == "python" and not block.reason:
            exec(compile(block.text, str(block), "exec"), names)  # noqa: S102  the page's own code


@pytest.mark.parametrize("block", of("toml"), ids=ids)
def test_toml_is_understood(block, tmp_path):
    tables = tomllib.loads(block.text)
    if "project" in tables:
        assert set(tables["project"]) <= {"name", "version", "entry-points"}
    elif set(tables) <= set(SlurmProfile.model_fields):
        SlurmProfile.model_validate(tables)
    elif "task" in tables:
        ModelCard.model_validate(tables)
    else:
        Settings.from_mapping(tables, where=str(block))


@pytest.mark.parametrize("block", of("csv"), ids=ids)
def test_tables_are_read(block, tmp_path):
    header, *rows = [line.split(",") for line in block.text.strip().splitlines()]
    for row in rows:
        for name, cell in zip(header, row, strict=True):
            if (name.startswith("path") or name in ("roi", "annotation")) and cell:
                (tmp_path / cell).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / cell).touch()
    table = tmp_path / "study.csv"
    table.write_text(block.text, encoding="utf-8")
    assert len(load_study(table).rows) == len(rows)


def command_line(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that words name, and what is left of them."""
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def ours(text: str) -> list[list[str]]:
    found = [m["rest"] for line in commands(text) for m in COMMAND.finditer(line)]
    return [shlex.split(rest) for rest in found]


@pytest.mark.parametrize("block", of("bash", run=False), ids=ids)
def test_commands_that_are_not_run_parse(block):
    for words in ours(block.text):
        command, rest = command_line(words)
        try:
            command.make_context("thymusimg", rest).close()
        except typer.Exit:  # --version, --slurm-template
            pass


SYNOPSIS = [b for b in ALL if b.language == "text" and b.text.startswith("thymusimg ")]
INLINE = [
    (page.relative_to(ROOT).as_posix(), code)
    for page in pages()
    for code in re.findall(r"(?<!`)`thymusimg ([^`\n]+)`", page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "code"), sorted(set(INLINE)))
def test_commands_in_a_sentence_exist(page, code):
    check_options(code)


@pytest.mark.parametrize("block", SYNOPSIS, ids=ids)
def test_synopses_name_what_there_is(block):
    for line in block.text.strip().splitlines():
        check_options(line.removeprefix("thymusimg "))


def check_options(code: str) -> None:
    words = code.replace("[", " ").replace("]", " ").replace("|", " ").replace("=", " ").split()
    command, _ = command_line(list(words))
    if words[0] != "…" and not words[0].startswith("-"):
        assert command.name not in (None, "thymusimg"), f"thymusimg {code}: no such command"
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help", "--debug"}
    for word in words:
        if word.startswith("--"):
            assert word.rstrip(".,;:") in options, f"thymusimg {code}: no option {word}"
