"""The code blocks of the README and of the documentation, as they stand in their pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANGUAGES = ("bash", "python", "toml", "csv", "json", "text")
"""What stands after the three backticks; ``text`` is a tree of files, a formula, or a synopsis of a command."""

REASONS = (
    "installs packages",  # .ci/run does it
    "needs a clone",
    "needs SLURM",  # tests/slurm/run_on_slurm.py does it
    "needs a Dask cluster",
    "needs a GPU",
    "opens a window",  # tests/plugin does it
    "takes minutes",
    "needs weights that do not ship",
    "builds this site",  # tests/docs/test_docs_site.py does it
    "serves until stopped",
    "part of a file",  # a fragment to look at, whose whole is tested elsewhere
)
"""Why a block may not be run. Say it before the block: ``<!-- not run: needs SLURM -->``."""

FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$", re.M | re.S
)
EXCUSE = re.compile(r"<!-- not run: (?P<reason>[^>]*?) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, what it is, and why it is not run (empty where it is)."""

    page: str
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """The README and every page of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        indent = len(match["indent"])
        body = "".join(line[indent:] or "\n" for line in match["body"].splitlines(keepends=True))
        excuse = EXCUSE.search(text[: match.start()])
        found.append(
            Block(
                page.relative_to(ROOT).as_posix(),
                text.count("\n", 0, match.start()) + 1,
                match["info"].strip().split(" ")[0] or _untagged(body),
                body,
                excuse["reason"].strip() if excuse else "",
            )
        )
    return found


def commands(text: str) -> list[str]:
    """Return the lines of a shell block, comments and continuations taken out."""
    joined = text.replace("\\\n", " ")
    return [line for line in map(_uncommented, joined.splitlines()) if line]


def _uncommented(line: str) -> str:
    quote = ""
    for i, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (i == 0 or line[i - 1].isspace()):
            return line[:i].strip()
    return line.strip()


def _untagged(body: str) -> str:
    """A block without a language is shell if any line of it begins with a command of ours."""
    first = {line.split(" ")[0] for line in body.splitlines()}
    return "bash" if first & {"thymusimg", "pip", "napari", "dask", "python"} and "[--" not in body else "text"
