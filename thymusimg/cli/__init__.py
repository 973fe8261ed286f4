"""The command line. Thin: every command is a few calls of the engine."""

from __future__ import annotations

import atexit
import gc

__all__ = ["main"]


def main() -> None:
    """Run the command that was typed."""
    from thymusimg.cli.app import main as command_line  # here: workers load this module and run no command

    # else the end of the process looks for cycles among all that was loaded, for half a second
    atexit.register(gc.freeze)
    command_line()
