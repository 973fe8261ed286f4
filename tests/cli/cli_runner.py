"""Run the command line in this process, as its entry point does; or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

from thymusimg.cli import main

if TYPE_CHECKING:
    from pathlib import Path

PROGRESS = ("Note:", "  ", "Sections:", "Negative controls:", "Writing")


@dataclass(frozen=True)
class Said:
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


def thymusimg(*arguments: str | Path) -> Said:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["thymusimg", *map(str, arguments)]
    status: int | str | None = 0
    with patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as leaving:
            status = leaving.code
    assert isinstance(status, int)
    return Said(status, out.getvalue(), err.getvalue())


def in_a_process(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Said:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "thymusimg", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, check=False, env={**os.environ, **environment}
    )
    return Said(done.returncode, done.stdout, done.stderr)


def plain_refusal(said: Said, *words: str) -> None:
    """Exit status 2, one or two plain lines that hold every word, no traceback."""
    assert said.status == 2, said
    assert "Traceback" not in said.err
    lines = [line for line in said.err.strip().splitlines() if not line.startswith(PROGRESS)]
    assert 1 <= len(lines) <= 2, said.err
    for word in words:
        assert word in said.err, (word, said.err)
