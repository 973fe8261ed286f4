"""The command line. Thin: every command is a few calls of the engine."""

from thymusimg.cli.app import main

__all__ = ["main"]
